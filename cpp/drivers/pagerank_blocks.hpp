// What all ways to rank a graph share: its links in the kernels' form, the loop over its fixed blocks of rows, and the
// choice of threads.
#pragma once

#include <atomic>

#include "drivers/links.hpp"
#include "kernels/pagerank.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

inline ArrivingLinks arriving(const Links& links) {
  return {links.starts(), links.columns(), links.weights(), links.n_core()};
}

// body(block, first row, last row) for blocks first .. last - 1; `between` in the leader, after each of its blocks.
template <class Body, class Between>
void over_row_blocks(Team& team, const Links& links, Size first, Size last, Body&& body, Between&& between) {
  team.run(
      last - first, [&](Size k) { body(first + k, links.first_row(first + k), links.first_row(first + k + 1)); },
      between);
}

// Nanoseconds of one sweep, for the decision about threads.
inline double sweep_ns(const Links& links) {
  return static_cast<double>(links.n_links()) + 8 * static_cast<double>(links.n_nodes());
}
inline constexpr double worth_a_team_ns = 100'000;

inline Outcome outcome_of(bool interrupted) {
  return {interrupted ? Outcome::Status::interrupted : Outcome::Status::ok};
}

// The state of rankings that several threads work on.
struct RankWork {
  std::atomic<bool> stopped{false};
  JoinedOutcome joined;

  void join(const Outcome& outcome) {
    joined.join(outcome);
    if (outcome.stopped()) stopped.store(true, std::memory_order_relaxed);
  }
  Outcome outcome(bool finished) {
    joined.join(outcome_of(!finished));
    return joined.get();
  }
};

}  // namespace mmlfast::drivers
