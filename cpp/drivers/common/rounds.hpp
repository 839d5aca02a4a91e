// Iterations of a batch of items that need different numbers of steps.
#pragma once

#include <algorithm>
#include <atomic>

#include "drivers/common/parallel.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

// Steps of an item in the first round, and in later ones at most.
struct Rounds {
  Size first, most;
  double ns_per_step;

  Rounds(Size first_steps, double ns) : first(first_steps), ns_per_step(ns) {
    constexpr double most_ns = 2e6;
    most = std::max(first, static_cast<Size>(most_ns / ns));
  }
};

// Advances all items to `max_steps` at most. Items are advanced in rounds of a limited number of steps, because only
// between blocks of work can Ctrl-C be seen. After a round those that still run are gathered, so that the stragglers of
// a batch share their lanes with each other and not with empty ones.
//   advance(items, count, done, until, scratch)  takes the `count` items of one group from step `done` to `until`;
//                                                items[] is filled up with the last one
//   still_runs(item)                             after that
template <Size group, class StillRuns, class Advance>
Outcome in_rounds(Size n_items, Size max_steps, const Rounds& r, Size scratch_bytes, StillRuns&& still_runs,
                  Advance&& advance) noexcept {
  AlignedBuffer<Size> running;  // none in the first round: all items run
  InterruptTimer timer;
  Size n_running = n_items, done = 0, steps = r.first;
  for (;;) {
    const Size until = std::min(max_steps, done + steps), n_groups = ceil_div(n_running, group);
    const double group_ns = r.ns_per_step * static_cast<double>(until - done);
    std::atomic<Size> left = 0;
    const Outcome outcome = parallel_with_scratch(n_groups, group_ns, scratch_bytes, [&](Size g, void* scratch) {
      Size items[group];
      const Size count = std::min(group, n_running - g * group);
      for (Size l = 0; l < group; ++l) {
        const Size position = g * group + std::min(l, count - 1);
        items[l] = running ? running[position] : position;
      }
      advance(items, count, done, until, scratch);
      Size run_on = 0;
      for (Size l = 0; l < count; ++l) run_on += still_runs(items[l]);
      if (run_on > 0) left += run_on;
    });
    if (!outcome.ok()) return outcome;
    if (timer.interrupted()) return {Outcome::Status::interrupted};
    if (until == max_steps) return {};
    if (left == 0) return {};
    if (!running) {
      running = AlignedBuffer<Size>(left);
      if (!running) return {Outcome::Status::no_memory};
      for (Size i = 0, to = 0; i < n_items; ++i)
        if (still_runs(i)) running[to++] = i;
    } else {
      for (Size p = 0, to = 0; p < n_running; ++p)
        if (still_runs(running[p])) running[to++] = running[p];
    }
    n_running = left;
    done = until;
    steps = std::min(2 * steps, r.most);
  }
}

}  // namespace mmlfast::drivers
