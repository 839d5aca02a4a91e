// The loop of a driver over matrices that are too large for the lanes: many small ones share our threads, one large
// one has them all, LAPACK's own included.
#pragma once

#include <optional>

#include "drivers/common/parallel.hpp"
#include "runtime/blas_threads.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

// serial_lapack: LAPACK that more than one BLAS thread makes no faster. Such a thread goes on looking for work for 25
// or 100 ms after its last, and takes a processor from whatever comes next: our own threads, or the caller's.
enum class Uses { own_code, lapack, serial_lapack };

// Runs call(i, scratch) -> Outcome for each of n_items items, with `scratch_bytes` of working memory. Items of less
// than 20 ms go to one thread each (Ctrl-C is asked for between items); larger ones one after another.
template <class Call>
Outcome run_matrices(Size n_items, double item_ns, Size scratch_bytes, Uses uses, Call&& call) noexcept {
  constexpr double most_shared_ns = 20e6;
  std::optional<SingleBlasThread> single;
  bool shared = n_items > 1 && item_ns < most_shared_ns;
  if (uses == Uses::serial_lapack || (shared && uses == Uses::lapack)) {
    const bool held = single.emplace().held();
    shared = shared && held;
  }
  const auto one = [&](Size i, void* scratch) {
    const Outcome outcome = call(i, scratch);
    return outcome.status == Outcome::Status::failed_items ? Outcome{outcome.status, i} : outcome;
  };
  if (shared) return parallel_with_scratch(n_items, item_ns, scratch_bytes, one);
  const AlignedBuffer<char> scratch(scratch_bytes);
  if (!scratch) return {Outcome::Status::no_memory};
  InterruptTimer timer;
  Outcome outcome;
  for (Size i = 0; i < n_items && !outcome.stopped(); ++i) {
    outcome.join(one(i, scratch.data()));
    if (i + 1 < n_items && timer.interrupted()) outcome.join({Outcome::Status::interrupted});
  }
  return outcome;
}

}  // namespace mmlfast::drivers
