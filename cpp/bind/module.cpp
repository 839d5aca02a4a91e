#include "bind/errors.hpp"
#include "bind/registers.hpp"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace mmlfast::bind;
  m.doc() = "The compiled core of mmlfast. Private: use the modules of mmlfast.";
  import_numpy_api();
  install_runtime_hooks();
  register_runtime(m);
  register_backprop(m);
  register_cholesky(m);
  register_covariance(m);
  register_distances(m);
  register_eigh(m);
  register_elimination(m);
  register_qr(m);
  register_inner_product(m);
  register_lstsq(m);
  register_exact_elimination(m);
  register_row_echelon(m);
  register_power_iteration(m);
  register_simd_math(m);
  register_gram_schmidt(m);
  register_matmul(m);
  register_rfactor(m);
  register_projection(m);
  register_svd(m);
  register_links(m);
  register_neighbors(m);
  register_pagerank(m);
}
