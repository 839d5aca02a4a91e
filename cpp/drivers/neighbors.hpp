// The k nearest points of each query, exactly, in order of the distance and, where that is equal, of the index.
#pragma once

#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Contiguous rows of finite numbers.
template <class T>
struct RowTable {
  const T* data;
  Size count, d;
  const T* row(Size i) const noexcept { return data + i * d; }
};

inline constexpr Size most_neighbor_points = Size{1} << 31;

// 1 <= k <= y.count <= most_neighbor_points; x.d = y.d > 0; distances and indices are x.count x k. Squares of
// distances must be in the range of float64.
template <class T>
Outcome neighbors(const RowTable<T>& x, const RowTable<T>& y, Size k, T* distances, std::int64_t* indices) noexcept;

}  // namespace mmlfast::drivers
