#include <vector>

#include "bind/gufunc.hpp"
#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/power_iteration.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome power_iteration(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  const auto x0 = f.column<const T>(0);
  const auto tol = f.number<const double>();
  const auto max_iter = f.number<const std::int64_t>();
  drivers::PowerPairs<T> pairs;
  pairs.value = f.number<T>();
  pairs.vector = f.column<T>(0);
  pairs.residual = f.number<T>();
  pairs.n_iter = f.number<std::int64_t>();
  pairs.converged = f.number<bool>();
  if (f.n_items() == 0) return {};
  // One stopping rule per call: that of the first item.
  const drivers::PowerStop stop{*tol.data, *max_iter.data};
  const auto run = [&] { return drivers::power_iteration<T>(f.n_items(), a, x0, stop, pairs); };
  // NumPy keeps the GIL for a few small items, which is wrong for those that may iterate for long.
  const double n = static_cast<double>(a.layout.rows), most_flops = n * n * static_cast<double>(stop.max_iter);
  if (most_flops < 2e5 || PyGILState_Check() == 0) return run();
  const ReleasedGil unlocked;
  return run();
}

void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

// A contiguous, aligned, native vector of `n` elements of E.
template <class E>
const E* vector_of(const py::array& x, Size n, const char* message) {
  require(x.ndim() == 1 && (n < 0 || x.shape(0) == n) && py::isinstance<py::array_t<E, py::array::c_style>>(x) &&
              reinterpret_cast<std::uintptr_t>(x.data()) % alignof(E) == 0,
          message);
  return static_cast<const E*>(x.data());
}

template <class T, class Index>
py::tuple run_sparse(const py::array& data, const py::array& columns, const py::array& starts, const py::array& x0,
                     double tol, Size max_iter) {
  const Size n = x0.ndim() == 1 ? x0.shape(0) : 0, n_stored = data.ndim() == 1 ? data.shape(0) : 0;
  const T* numbers = vector_of<T>(data, n_stored, "data must be a contiguous vector of the type of x0");
  const Index* given_columns =
      vector_of<Index>(columns, n_stored, "indices must be a contiguous vector as long as data");
  const Index* given_starts =
      vector_of<Index>(starts, n + 1, "indptr must be a contiguous vector of the type of indices");
  // Copies: another thread may write into the matrix while this one computes, and these are indices.
  const std::vector<Index> own_columns(given_columns, given_columns + n_stored),
      own_starts(given_starts, given_starts + n + 1);
  const drivers::CsrMatrix<T, Index> a{n, numbers, own_columns.data(), own_starts.data(), n_stored};
  const T* start = vector_of<T>(x0, n, "x0 must be a contiguous vector");
  require(n > 0 && max_iter > 0, "n and max_iter must be positive");
  py::array_t<T> vector(n), value(std::vector<py::ssize_t>{}), residual(std::vector<py::ssize_t>{});
  std::int64_t n_iter = 0;
  bool converged = false, formed = false;
  const drivers::PowerPairs<T> pair{{value.mutable_data(), 1, {1, 1, 1, 1}},
                                    {vector.mutable_data(), n, {n, 1, 1, 1}},
                                    {residual.mutable_data(), 1, {1, 1, 1, 1}},
                                    {&n_iter, 1, {1, 1, 1, 1}},
                                    {&converged, 1, {1, 1, 1, 1}}};
  run_without_gil([&] {
    formed = drivers::well_formed(a);
    return formed ? drivers::power_iteration(a, start, {tol, max_iter}, pair) : Outcome{};
  });
  require(formed,
          "power_iteration: the sparse matrix a is not well formed: indptr must ascend from 0, and every index "
          "must be a column");
  return py::make_tuple(value, vector, residual, n_iter, converged);
}

py::tuple power_iteration_csr(const py::array& data, const py::array& columns, const py::array& starts,
                              const py::array& x0, double tol, Size max_iter) {
  return by_float_type(x0, [&](auto zero) {
    using T = decltype(zero);
    return columns.itemsize() == 8 ? run_sparse<T, std::int64_t>(data, columns, starts, x0, tol, max_iter)
                                   : run_sparse<T, std::int32_t>(data, columns, starts, x0, tol, max_iter);
  });
}

}  // namespace

void register_power_iteration(PyObject* module) {
  add_gufunc(module, {"power_iteration", "(n,n),(n),(),()->(),(n),(),(),()", nullptr},
             floats("ttdq->tttq?", []<class T>(GufuncFrame& f) { return power_iteration<T>(f); }));
  module_of(module).def("power_iteration_csr", &power_iteration_csr);
}

}  // namespace mmlfast::bind
