// The loop of a driver over a batch in lanes.
#pragma once

#include <bit>

#include "drivers/common/batch.hpp"
#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {

// Up to the first order lanes are taken even when only one of them has work, up to the second if they are filled.
struct LaneOrders {
  Size always, filled;

  // fits(order): whether an item is small enough for lanes of that order.
  template <class T, class Fits>
  constexpr bool suit_if(Size n_items, Fits&& fits) const noexcept {
    return fits(always) || (n_items >= items_per_group<T> && fits(filled));
  }
  template <class T>
  constexpr bool suit(Size n, Size n_items) const noexcept {
    return suit_if<T>(n_items, [n](Size order) { return n <= order; });
  }
};

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
