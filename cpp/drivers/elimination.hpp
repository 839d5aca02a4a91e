// Gaussian elimination for batches of any size: lanes for small matrices, SciPy's LAPACK for large
// ones.
#pragma once

#include "drivers/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: n x n, b and x: n x m.
template <class T>
Outcome solve(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept;

template <class T>
Outcome inverse(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept;

// det: one number per item.
template <class T>
Outcome determinant(Size n_items, const Batch<const T>& a, const Batch<T>& det) noexcept;

template <class T>
Outcome log_determinant(Size n_items, const Batch<const T>& a, const Batch<T>& sign, const Batch<T>& logabs) noexcept;

// singular: true where elimination meets a pivot that is exactly zero. Finds the item to name in an
// error message.
template <class T>
Outcome is_exactly_singular(Size n_items, const Batch<const T>& a, const Batch<bool>& singular) noexcept;

}  // namespace mmlfast::drivers
