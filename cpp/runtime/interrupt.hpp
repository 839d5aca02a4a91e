// Ctrl-C. The runtime knows nothing of Python: cpp/bind installs a function that asks the
// interpreter, and long loops ask through here, in the thread that called, at most every 40 ms.
#pragma once

#include "runtime/non_copyable.hpp"

namespace mmlfast {

// Returns true if the work in progress should stop. Called without the GIL, in the thread of the
// public call.
using InterruptCheck = bool (*)();

void set_interrupt_check(InterruptCheck check) noexcept;

// While one lives in this thread, the thread does not ask: something is half done that a signal handler could look at.
class HeldInterrupts : NonCopyable {
 public:
  HeldInterrupts() noexcept;
  ~HeldInterrupts();
};

class InterruptTimer {
 public:
  // Cheap (one clock reading); true once the user wants to stop.
  bool interrupted() noexcept;

 private:
  bool stop_ = false;
};

}  // namespace mmlfast
