// Products of batches of matrices and vectors over threads. Which way is taken changes no bit of a product.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

inline constexpr Size least_striped = 16;

// a: m x k, b: k x n, c: m x n.
template <class T>
Outcome matmul(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& c) noexcept;

// a: m x k, x: k x 1, y: m x 1. From least_striped columns on the sums run in stripes, below they are those of matmul.
template <class T>
Outcome matvec(Size n_items, const Batch<const T>& a, const Batch<const T>& x, const Batch<T>& y) noexcept;

// x and y: k x 1; sum: one number per item.
template <class T>
Outcome vecdot(Size n_items, const Batch<const T>& x, const Batch<const T>& y, const Batch<T>& sum) noexcept;

}  // namespace mmlfast::drivers
