// Ctrl-C in work that several threads share.
#pragma once

#include "runtime/interrupt.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Is the work to end, by what is joined or because the user wants to stop? To be asked in any thread, every few
// milliseconds.
inline bool stops(JoinedOutcome& outcome) noexcept {
  if (!outcome.stopped() && InterruptTimer().interrupted()) outcome.join({Outcome::Status::interrupted});
  return outcome.stopped();
}

}  // namespace mmlfast::drivers
