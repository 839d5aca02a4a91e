// Cholesky factors for batches of any size: lanes for small matrices, blocks of our own for large ones.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a, x: n x n. x is lower triangular with a = x x', from the lower triangle of a; or upper triangular with a = x' x,
// from the upper one.
template <class T>
Outcome cholesky(Size n_items, const Batch<const T>& a, const Batch<T>& x, bool upper) noexcept;

}  // namespace mmlfast::drivers
