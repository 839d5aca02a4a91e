#include "bind/errors.hpp"
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
  Outcome outcome;
  {
    const py::gil_scoped_release unlocked;
    outcome = drivers::neighbors<T>(queries, points, k, squared, d, i);
  }
  raise_unless_ok(outcome);
  return py::make_tuple(std::move(distances), std::move(indices));
}

// Numbers at addresses that are no multiple of their size, as in a packed record, are copied.
py::array aligned(const py::array& a) {
  const auto address = reinterpret_cast<std::uintptr_t>(a.data());
  if (address % static_cast<std::uintptr_t>(a.itemsize()) == 0) return a;
  return py::array(a.attr("copy")());
}

// Checked and converted in Python: x and y are contiguous, native, of two dimensions, both float32 or both float64,
// finite; 1 <= k <= len(y).
py::tuple neighbors(const py::array& any_x, const py::array& any_y, Size k, bool squared) {
  const py::array x = aligned(any_x), y = aligned(any_y);
  if (y.shape(0) > drivers::most_neighbor_points) throw py::value_error("knn: at most 2**31 points");
  return x.itemsize() == 4 ? search<float>(x, y, k, squared) : search<double>(x, y, k, squared);
}

}  // namespace

void register_neighbors(py::module_& m) { m.def("neighbors", &neighbors); }

}  // namespace mmlfast::bind
