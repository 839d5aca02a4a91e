#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/neighbors.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
py::tuple search(const py::array& x, const py::array& y, Size k, bool squared) {
  const drivers::RowTable<T> queries{static_cast<const T*>(x.data()), x.shape(0), x.shape(1)};
  const drivers::RowTable<T> points{static_cast<const T*>(y.data()), y.shape(0), y.shape(1)};
  py::array_t<T> distances({queries.count, k});
  py::array_t<std::int64_t> indices({queries.count, k});
  T* d = distances.mutable_data();
  std::int64_t* i = indices.mutable_data();
  run_without_gil([&] { return drivers::neighbors<T>(queries, points, k, squared, d, i); });
  return py::make_tuple(std::move(distances), std::move(indices));
}

// Checked and converted in Python: x and y are contiguous, native, of two dimensions, both float32 or both float64,
// finite; 1 <= k <= len(y).
py::tuple neighbors(const py::array& x, const py::array& y, Size k, bool squared) {
  for (const py::array& a : {x, y})
    if (!PyArray_ISCARRAY_RO(as_array(a.ptr())))
      throw py::value_error("knn: rows that are not contiguous, aligned and native");
  if (y.shape(0) > drivers::most_neighbor_points) throw py::value_error("knn: at most 2**31 points");
  return by_float_type(x, [&](auto zero) { return search<decltype(zero)>(x, y, k, squared); });
}

}  // namespace

void register_neighbors(PyObject* module) { module_of(module).def("neighbors", &neighbors); }

}  // namespace mmlfast::bind
