// Work in fixed blocks, claimed one by one by the calling thread and a few helpers.
//
// - Lazy: no thread exists until the first call that is worth one.
// - Sized from the affinity mask and the container's CPU quota, and by what mmlfast/_config.py finds in the
// environment.
// - Blocks are claimed, never dealt out: a helper that the system has put aside delays nobody but
// its own block.
// - Only blocks, never threads, decide what is computed: the same bits come out for every thread
// count.
// - A second caller, or a call from inside a block, finds the pool busy and does its work alone.
// - After fork() the child starts with an empty pool of its own.
// - The calling thread asks between its blocks whether the user pressed Ctrl-C. Blocks should take
// well under 50 ms.
#pragma once

#include <type_traits>

#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast {

// Threads that a call may use, the calling one included; at least 1.
int get_num_threads() noexcept;
// n < 1 restores the default.
void set_num_threads(int n) noexcept;
bool threads_are_set() noexcept;
// n < 1: available_cpus().
void set_default_threads(int n) noexcept;
// What affinity mask and container quota allow.
int available_cpus() noexcept;

// Work below this, in nanoseconds on one thread, is not worth waking a helper for (measured: a
// wake-up costs 5-50 us).
inline constexpr double threading_threshold_ns = 40'000;

namespace detail {
using BlockFunction = void (*)(void* context, Size block);
// False if interrupted.
bool run_blocks(Size n_blocks, BlockFunction function, void* context, bool threaded) noexcept;
}  // namespace detail

// Calls body(block) once for each block in 0 .. n_blocks - 1, in any order, from several threads.
// `body` must not throw. `total_ns` is an estimate of the whole work. Returns false if the user
// interrupted; some blocks were then not run.
template <class Body>
[[nodiscard]] bool parallel_blocks(Size n_blocks, double total_ns, Body&& body) noexcept {
  using Plain = std::remove_reference_t<Body>;
  const detail::BlockFunction call = [](void* context, Size block) { (*static_cast<Plain*>(context))(block); };
  return detail::run_blocks(n_blocks, call, const_cast<void*>(static_cast<const void*>(&body)),
                            total_ns >= threading_threshold_ns);
}

}  // namespace mmlfast
