// Distances between all rows of two tables, or of pairs of tables in batches.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/distances.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// x is n x d, y is m x d, out is n x m.
template <class T>
Outcome distances(Size n_items, const Batch<const T>& x, const Batch<const T>& y, bool squared,
                  const Batch<T>& out) noexcept;

}  // namespace mmlfast::drivers
