// The loop of a driver over a batch in lanes.
#pragma once

#include <bit>

#include "drivers/common/batch.hpp"
#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {

// The table of a kernel for T, out of the one for float64 and the one for float32.
template <class T, class Table64, class Table32>
const auto& of_type(const Table64& (*f64)(), const Table32& (*f32)()) noexcept {
  if constexpr (sizeof(T) == 8)
    return f64();
  else
    return f32();
}

// Item `first` is in lane 0; the lanes in `failed` have no answer.
inline Outcome outcome_of_lanes(Size first, LaneBits failed) noexcept {
  if (failed == 0) return {};
  return {Outcome::Status::failed_items, first + std::countr_zero(failed), std::popcount(failed)};
}

// Runs call(first, count, scratch) -> LaneBits of failed lanes for each group of up to items_per_group<T> consecutive
// items, or `Groups` times as many for a kernel that takes several groups at once. `scratch_vectors` are vectors of 64
// bytes; `item_ns` decides only about threads.
template <class T, int Groups = 1, class Call>
Outcome run_in_lanes(Size n_items, double item_ns, Size scratch_vectors, Call&& call) noexcept {
  constexpr Size lanes = Groups * items_per_group<T>;
  return parallel_with_scratch(ceil_div(n_items, lanes), item_ns * lanes, checked_product(scratch_vectors, 64),
                               [&](Size group, void* scratch) {
                                 const Size first = group * lanes, count = std::min(lanes, n_items - first);
                                 return outcome_of_lanes(first, call(first, count, scratch) & occupied(count));
                               });
}

}  // namespace mmlfast::drivers
