// The loop of a driver over independent pieces of work, each with scratch memory and an outcome of its own.
#pragma once

#include <algorithm>
#include <type_traits>

#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

// Enough for an item of order 3 or 4 in lanes.
inline constexpr Size most_scratch_on_stack = 4096;

// call(scratch) -> Outcome, with a lease of `bytes`. Of no bytes there is none: the thread's buffer is left to what the
// call calls.
template <class Call>
Outcome with_scratch(Size bytes, Call&& call) noexcept {
  if (bytes == 0) return call(static_cast<void*>(nullptr));
  const ScratchLease scratch(bytes);
  return scratch ? call(scratch.data()) : Outcome{Outcome::Status::no_memory};
}

// Calls body(i, scratch) for i = 0 .. n - 1, in any order and from several threads; `scratch` has `bytes` bytes. The
// body returns an Outcome or nothing; what is joined of all of them is returned. Pieces are claimed in blocks of
// roughly 50 us, or smaller ones where a short loop would leave a thread without any; `ns_each` decides about nothing
// else. Ctrl-C is asked for between blocks. A loop over one piece pays for nothing but the piece.
template <class Body>
Outcome parallel_with_scratch(Size n, double ns_each, Size bytes, Body&& body) noexcept {
  const auto one = [&](Size i, void* scratch) -> Outcome {
    if constexpr (std::is_void_v<decltype(body(i, scratch))>)
      return body(i, scratch), Outcome{};
    else
      return body(i, scratch);
  };
  const auto trim = [bytes] {
    if (bytes > most_kept_scratch) trim_thread_scratch();
  };
  if (n == 1) {
    alignas(64) char small[most_scratch_on_stack];
    const auto with_lease = [&]() -> Outcome {
      const ScratchLease scratch(bytes, small);
      return scratch ? one(0, scratch.data()) : Outcome{Outcome::Status::no_memory};
    };
    const Outcome outcome = with_lease();
    trim();
    return outcome;
  }
  constexpr double block_ns = 50'000;
  const double total_ns = ns_each * static_cast<double>(n);
  Size per_block = static_cast<Size>(std::clamp(block_ns / ns_each, 1.0, 0x1p40));
  if (total_ns >= threading_threshold_ns) per_block = std::clamp<Size>(n / (4 * get_num_threads()), 1, per_block);
  JoinedOutcome outcome;
  const bool finished = parallel_blocks(ceil_div(n, per_block), total_ns, [&](Size block) {
    if (outcome.stopped()) return;
    const Size end = std::min(n, (block + 1) * per_block);
    const Outcome rest = with_scratch(bytes, [&](void* scratch) {
      for (Size i = block * per_block; i < end; ++i) outcome.join(one(i, scratch));
      return Outcome{};
    });
    outcome.join(rest);
  });
  trim();
  if (!finished) outcome.join({Outcome::Status::interrupted});
  return outcome.get();
}

}  // namespace mmlfast::drivers
