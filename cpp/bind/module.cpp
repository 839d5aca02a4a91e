#include "bind/pybind.hpp"
#include "bind/registers.hpp"

namespace mmlfast::bind {
namespace {

void fill(PyObject* m) {
  import_numpy_api();
  install_runtime_hooks();
  register_runtime(m);
  register_backprop(m);
  register_bfgs(m);
  register_cholesky(m);
  register_covariance(m);
  register_curve_fit_many(m);
  register_distances(m);
  register_eigh(m);
  register_elimination(m);
  register_exact_elimination(m);
  register_gradient_descent(m);
  register_gram_schmidt(m);
  register_inner_product(m);
  register_least_squares(m);
  register_linear_fit(m);
  register_links(m);
  register_lstsq(m);
  register_matmul(m);
  register_neighbors(m);
  register_newton_many(m);
  register_pagerank(m);
  register_power_iteration(m);
  register_projection(m);
  register_qr(m);
  register_rfactor(m);
  register_row_echelon(m);
  register_simd_math(m);
  register_svd(m);
  register_tape(m);
}

}  // namespace
}  // namespace mmlfast::bind

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled core of mmlfast. Private: use the modules of mmlfast.";
  try {
    mmlfast::bind::fill(m.ptr());
  } catch (const mmlfast::bind::PythonError&) {
    throw pybind11::error_already_set();
  }
}
