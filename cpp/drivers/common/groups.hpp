// Rows of a table by the groups that they belong to.
#pragma once

#include <algorithm>
#include <cstring>

#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {

// Rows in the order of their groups, and in each in their own order; group[i] of row i is at least 0 and less than
// n_groups. offsets has n_groups + 1 numbers. False if a number is no group.
inline bool order_by_group(const std::int64_t* group, Size n_rows, Size n_groups, std::int64_t* order,
                           std::int64_t* offsets) noexcept {
  std::fill_n(offsets, n_groups + 1, 0);
  for (Size i = 0; i < n_rows; ++i) {
    if (group[i] < 0 || group[i] >= n_groups) return false;
    ++offsets[group[i] + 1];
  }
  for (Size g = 0; g < n_groups; ++g) offsets[g + 1] += offsets[g];
  for (Size i = 0; i < n_rows; ++i) order[offsets[group[i]]++] = i;  // offsets[g] runs to the start of the next group
  for (Size g = n_groups; g > 0; --g) offsets[g] = offsets[g - 1];
  offsets[0] = 0;
  return true;
}

// to[k] := the row order[k] of a table whose rows have `bytes` bytes.
inline Outcome gather_rows(const char* table, Size bytes, const std::int64_t* order, Size count, char* to) noexcept {
  constexpr Size block = 4096, ahead = 32;  // rows in no order are far from each other
  const double block_ns = 4096 * (3 + static_cast<double>(bytes) / 8);
  return parallel_with_scratch(ceil_div(count, block), block_ns, 0, [&](Size b, void*) {
    const Size end = std::min(count, (b + 1) * block);
    for (Size k = b * block; k < end; ++k) {
      if (k + ahead < end) __builtin_prefetch(table + order[k + ahead] * bytes);
      std::memcpy(to + k * bytes, table + order[k] * bytes, static_cast<std::size_t>(bytes));
    }
  });
}

}  // namespace mmlfast::drivers
