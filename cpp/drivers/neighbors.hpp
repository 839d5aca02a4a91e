// The k nearest points of each query, exactly, in order of the distance and, where that is equal, of the index.
#pragma once

#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Contiguous rows.
template <class T>
struct RowTable {
  const T* data;
  Size count, d;
  const T* row(Size i) const noexcept { return data + i * d; }
};

inline constexpr std::int64_t most_neighbor_points = std::int64_t{1} << 31;

// 1 <= k <= y.count <= most_neighbor_points; x.d = y.d > 0; distances (or, with `squared`, their squares) and indices
// are x.count x k. Squares of distances must not exceed the range of float64. Where they may have lost digits to
// underflow (float64 only), the query has NaN for its first distance, and its neighbours mean nothing. failed_items if
// a number is not finite.
template <class T>
Outcome neighbors(const RowTable<T>& x, const RowTable<T>& y, Size k, bool squared, T* distances,
                  std::int64_t* indices) noexcept;

}  // namespace mmlfast::drivers
