// The functions that fill the module, one per kernel family and one for the runtime. Each in a file
// of its own.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

void register_runtime(py::module_& m);
void register_backprop(py::module_& m);
void register_cholesky(py::module_& m);
void register_covariance(py::module_& m);
void register_distances(py::module_& m);
void register_eigh(py::module_& m);
void register_elimination(py::module_& m);
void register_qr(py::module_& m);
void register_inner_product(py::module_& m);
void register_lstsq(py::module_& m);
void register_exact_elimination(py::module_& m);
void register_row_echelon(py::module_& m);
void register_power_iteration(py::module_& m);
void register_simd_math(py::module_& m);
void register_gram_schmidt(py::module_& m);
void register_matmul(py::module_& m);
void register_rfactor(py::module_& m);
void register_projection(py::module_& m);
void register_svd(py::module_& m);
void register_links(py::module_& m);
void register_neighbors(py::module_& m);
void register_pagerank(py::module_& m);

}  // namespace mmlfast::bind
