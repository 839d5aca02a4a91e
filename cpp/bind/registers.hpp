// The functions that fill the module, one per kernel family and one for the runtime, each in a file of its own.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

void register_runtime(PyObject* module);
void register_backprop(PyObject* module);
void register_bfgs(PyObject* module);
void register_cholesky(PyObject* module);
void register_covariance(PyObject* module);
void register_curve_fit_many(PyObject* module);
void register_distances(PyObject* module);
void register_eigh(PyObject* module);
void register_elimination(PyObject* module);
void register_qr(PyObject* module);
void register_inner_product(PyObject* module);
void register_least_squares(PyObject* module);
void register_linear_fit(PyObject* module);
void register_lstsq(PyObject* module);
void register_exact_elimination(PyObject* module);
void register_row_echelon(PyObject* module);
void register_power_iteration(PyObject* module);
void register_simd_math(PyObject* module);
void register_gradient_descent(PyObject* module);
void register_gram_schmidt(PyObject* module);
void register_matmul(PyObject* module);
void register_rfactor(PyObject* module);
void register_projection(PyObject* module);
void register_svd(PyObject* module);
void register_tape(PyObject* module);
void register_links(PyObject* module);
void register_neighbors(PyObject* module);
void register_newton_many(PyObject* module);
void register_pagerank(PyObject* module);

// The class behind stats.Moments, which register_covariance adds.
void add_moments_object(PyObject* module);

}  // namespace mmlfast::bind
