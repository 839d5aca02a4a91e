// Least squares for batches of any size: lanes for small problems, SciPy's LAPACK for large ones.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: m x n, b: m x k, x: n x k; rcond and rank: one number per item (rcond NaN: the default); residuals: k; s: min(m,
// n) singular values, its data null if they are not wanted.
template <class T>
struct LstsqCall {
  Size n_items;
  Batch<const T> a, b, rcond;
  Batch<T> x, residuals;
  Batch<std::int64_t> rank;
  Batch<T> s;
};

template <class T>
Outcome lstsq(const LstsqCall<T>& call) noexcept;

}  // namespace mmlfast::drivers
