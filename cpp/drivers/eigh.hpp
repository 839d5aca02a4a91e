// Symmetric eigenproblems for batches of any size: lanes for small matrices, one after another for large ones
// (drivers/eigh_large.hpp).
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// The triangle of a that is read.
enum class Triangle { lower, upper };

// values: n per item, ascending; vectors: n x n, unit vectors in columns.
template <class T>
Outcome eigh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values,
             const Batch<T>& vectors) noexcept;

template <class T>
Outcome eigvalsh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values) noexcept;

}  // namespace mmlfast::drivers
