// Which matrices are eliminated in lanes.
#pragma once

#include "drivers/common/lane_batch.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {

// Measured (bench/curve.py goes across both): one item alone costs 1.3 to 1.6 times what LAPACK takes at n = 32, the
// price of bits that do not depend on the batch; filled lanes are still twice as fast as LAPACK at n = 128, where the
// factors of a group begin to leave the second-level cache.
inline constexpr LaneOrders elimination_orders{32, max_lane_order};

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides
// only about threads.
template <class T>
double elimination_ns(Size n, Size m) {
  const double d = static_cast<double>(n), flops = d * d * d * 2 / 3 + 2 * d * d * static_cast<double>(m);
  return (3 + flops * 0.06) * (static_cast<double>(sizeof(T)) / 8);
}

}  // namespace mmlfast::drivers
