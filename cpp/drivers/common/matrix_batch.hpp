// The loop of a driver over matrices that are too large for the lanes: many small ones share our threads, one large
// one has them all, LAPACK's own included.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>

#include "drivers/common/batch.hpp"
#include "runtime/blas_threads.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/outcome.hpp"
#include "runtime/scratch.hpp"

namespace mmlfast::drivers {

// serial_lapack: LAPACK that more than one BLAS thread makes no faster. Such a thread goes on looking for work for 25
// or 100 ms after its last, and takes a processor from whatever comes next: our own threads, or the caller's.
enum class Uses { own_code, lapack, serial_lapack };

// Runs call(i, scratch) -> Outcome for each of n_items items, with `scratch_bytes` of working memory. Items of less
// than 20 ms go to one thread each (Ctrl-C is asked for between items); larger ones one after another.
template <class Call>
Outcome run_matrices(Size n_items, double item_ns, Size scratch_bytes, Uses uses, Call&& call) noexcept {
  constexpr double most_shared_ns = 20e6, block_ns = 50e3;
  std::atomic<int> worst{0};
  const auto join = [&](Outcome one) {
    int seen = worst.load(std::memory_order_relaxed);
    while (static_cast<int>(one.status) > seen && !worst.compare_exchange_weak(seen, static_cast<int>(one.status))) {
    }
  };
  std::optional<SingleBlasThread> single;
  bool shared = n_items > 1 && item_ns < most_shared_ns;
  if (uses == Uses::serial_lapack || (shared && uses == Uses::lapack)) {
    const bool held = single.emplace().held();
    shared = shared && held;
  }
  if (shared) {
    const Size per_block = std::clamp<Size>(static_cast<Size>(block_ns / item_ns), 1, n_items);
    const Size n_blocks = (n_items + per_block - 1) / per_block;
    const bool finished = parallel_blocks(n_blocks, item_ns * static_cast<double>(n_items), [&](std::int64_t block) {
      void* scratch = Scratch::request(scratch_bytes);
      if (scratch == nullptr) return join({Outcome::Status::no_memory});
      for (Size i = block * per_block; i < std::min(n_items, (block + 1) * per_block); ++i) join(call(i, scratch));
    });
    if (!finished) join({Outcome::Status::interrupted});
    return {static_cast<Outcome::Status>(worst.load())};
  }
  const OwnScratch scratch(scratch_bytes);
  if (scratch.data() == nullptr) return {Outcome::Status::no_memory};
  InterruptTimer timer;
  for (Size i = 0; i < n_items && worst.load() <= static_cast<int>(Outcome::Status::failed_items); ++i) {
    join(call(i, scratch.data()));
    if (i + 1 < n_items && timer.interrupted()) join({Outcome::Status::interrupted});
  }
  return {static_cast<Outcome::Status>(worst.load())};
}

}  // namespace mmlfast::drivers
