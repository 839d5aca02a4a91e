// Which matrices are eliminated in lanes. The others go to blocks, with the same bits.
#pragma once

#include "drivers/common/lane_batch.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {

// Measured (bench/curve.py goes across all of them): lanes that are filled, or nearly so, are up to four times as fast
// as blocks, until the factors of a group leave the caches (Elimination::fastest_lanes); one or two items, which leave
// most lanes free, only as long as a column of a block takes as long as all its lanes.
inline constexpr Size largest_alone = 12;

// Matrices of n rows, of each of which the result has `columns` columns. `least`: items that fill the lanes well
// enough.
template <class T>
bool goes_in_lanes(Size n, Size columns, Size n_items, Size least) noexcept {
  const FastestLanes most = kernel_of<Elimination<T>>().fastest_lanes;
  return n <= largest_alone || (n <= (2 * columns < n ? most.few : most.many) && n_items >= least);
}
template <class T>
bool goes_in_lanes(Size n, Size columns, Size n_items) noexcept {
  return goes_in_lanes<T>(n, columns, n_items, n <= 32 ? 3 : 4);
}

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides
// only about threads.
template <class T>
double elimination_ns(Size n, Size m) {
  const double d = static_cast<double>(n), flops = d * d * d * 2 / 3 + 2 * d * d * static_cast<double>(m);
  return (3 + flops * 0.06) * (static_cast<double>(sizeof(T)) / 8);
}

}  // namespace mmlfast::drivers
