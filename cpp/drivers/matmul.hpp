// Products of batches of matrices and vectors over threads. Which way is taken changes no bit of a product.
#pragma once

#include "drivers/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: m x k, b: k x n, c: m x n.
template <class T>
Outcome matmul(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& c) noexcept;

// x and y: k x 1; sum: one number per item.
template <class T>
Outcome vecdot(Size n_items, const Batch<const T>& x, const Batch<const T>& y, const Batch<T>& sum) noexcept;

}  // namespace mmlfast::drivers
