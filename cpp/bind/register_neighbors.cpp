#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/neighbors.hpp"

namespace mmlfast::bind {
namespace {

// (distances, indices), or None if a number is not finite.
template <class T>
py::object search(const py::array& x, const py::array& y, Size k, bool squared) {
  const drivers::RowTable<T> queries{static_cast<const T*>(x.data()), x.shape(0), x.shape(1)};
  const drivers::RowTable<T> points{static_cast<const T*>(y.data()), y.shape(0), y.shape(1)};
  py::array_t<T> distances({queries.count, k});
  py::array_t<std::int64_t> indices({queries.count, k});
  T* d = distances.mutable_data();
  std::int64_t* i = indices.mutable_data();
  const Outcome outcome = outcome_without_gil([&] { return drivers::neighbors<T>(queries, points, k, squared, d, i); });
  if (outcome.status == Outcome::Status::failed_items) return py::none();
  raise_unless_ok(outcome);
  return py::make_tuple(std::move(distances), std::move(indices));
}

// Checked and converted in Python: x and y are contiguous, native, of two dimensions, both float32 or both float64,
// finite; 1 <= k <= len(y).
py::object neighbors(const py::array& x, const py::array& y, Size k, bool squared) {
  for (const py::array& a : {x, y})
    if (!PyArray_ISCARRAY_RO(as_array(a.ptr())))
      throw py::value_error("knn: rows that are not contiguous, aligned and native");
  if (y.shape(0) > drivers::most_neighbor_points) throw py::value_error("knn: at most 2**31 points");
  py::object found = by_float_type(x, [&](auto zero) { return search<decltype(zero)>(x, y, k, squared); });
  if (found.is_none()) throw py::value_error("knn: a number that is not finite");
  return found;
}

// The same of any arrays; None unless they are tables of float32 for which nothing has to be converted, scaled or
// refused.
py::object quick_neighbors(const py::array& x, const py::array& y, Size k) {
  for (const py::array& a : {x, y})
    if (PyArray_TYPE(as_array(a.ptr())) != NPY_FLOAT || !PyArray_ISCARRAY_RO(as_array(a.ptr())) || a.ndim() != 2)
      return py::none();
  const Size count = y.shape(0), d = y.shape(1);
  if (x.shape(1) != d || d == 0 || k < 1 || k > count || count > drivers::most_neighbor_points) return py::none();
  return search<float>(x, y, k, false);
}

}  // namespace

void register_neighbors(PyObject* module) {
  module_of(module).def("neighbors", &neighbors);
  module_of(module).def("quick_neighbors", &quick_neighbors);
}

}  // namespace mmlfast::bind
