// Ctrl-C in work that several threads share.
#pragma once

#include <utility>

#include "runtime/interrupt.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// Is the work to end, by what is joined or because the user wants to stop? To be asked every few milliseconds, in any
// thread: it is Python's main one that learns of the user.
inline bool stops(JoinedOutcome& outcome) noexcept {
  if (!outcome.stopped() && InterruptTimer().interrupted()) outcome.join({Outcome::Status::interrupted});
  return outcome.stopped();
}

// leader(team) -> Outcome; interrupted too if the user stopped it while it waited for its threads.
template <class Leader>
Outcome run_in_team(bool threaded, Leader&& leader) noexcept {
  Outcome outcome;
  if (!with_team(threaded, [&](Team& team) { outcome = leader(team); })) outcome.join({Outcome::Status::interrupted});
  return outcome;
}

}  // namespace mmlfast::drivers
