// The loop of a driver over a batch in lanes: scratch memory, failed items and interrupts in one place.
#pragma once

#include <atomic>

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"
#include "runtime/scratch.hpp"

namespace mmlfast::drivers {

// The table of a kernel for T, out of the one for float64 and the one for float32.
template <class T, class Table64, class Table32>
const auto& of_type(const Table64& (*f64)(), const Table32& (*f32)()) noexcept {
  if constexpr (sizeof(T) == 8)
    return f64();
  else
    return f32();
}

// Runs call(first, count, scratch) -> LaneBits of failed lanes for each group of items, or `Groups` of them at once.
// `scratch_vectors` are vectors of 64 bytes; `item_ns` decides only about threads.
template <class T, int Groups = 1, class Call>
Outcome run_in_lanes(Size n_items, double item_ns, Size scratch_vectors, Call&& call) noexcept {
  const Size scratch_bytes = checked_product(scratch_vectors, 64);
  std::atomic<bool> no_memory{false}, failed{false};
  const bool finished = for_each_group<T, Groups>(n_items, item_ns, [&](Size first, Size count) {
    void* scratch = Scratch::request(scratch_bytes);
    if (scratch == nullptr) {
      no_memory.store(true, std::memory_order_relaxed);
      return;
    }
    if (call(first, count, scratch) & occupied(count)) failed.store(true, std::memory_order_relaxed);
  });
  if (no_memory) return {Outcome::Status::no_memory};
  if (!finished) return {Outcome::Status::interrupted};
  return {failed ? Outcome::Status::failed_items : Outcome::Status::ok};
}

}  // namespace mmlfast::drivers
