// Objects that change: one thread at a time, readable from a signal handler that interrupts a change of theirs, and
// from a child that was forked in the middle of one.
//
// - A change is made of commits, short stretches that take the object from one consistent state to the next. Within a
//   Commit nobody looks: the thread does not ask for Ctrl-C (so no signal handler runs), and fork() waits for its end.
// - A thread asks for Ctrl-C between its commits only. The signal handler is Python code of the same thread, and may
//   ask the object: it reads the state after the last commit. It cannot change the object: write() says so.
// - A forked child has none of the threads that held locks. Locks know the process that they were taken in, and those
//   of another one are free.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "runtime/interrupt.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast {

// A lock that a forked child finds free, whoever held it. First come, first served. Never waited for with the GIL.
class StateLock {
 public:
  // Does this thread hold it?
  bool mine() const noexcept;
  void lock() noexcept;
  void unlock() noexcept;

 private:
  // Generation of the process (16 bits), the next ticket (24), and the ticket that is served (24).
  std::atomic<std::uint64_t> word_{0};
  std::atomic<std::uint64_t> owner_{0};
};

class StateGuard : NonCopyable {
 public:
  explicit StateGuard(StateLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~StateGuard() { lock_.unlock(); }

 private:
  StateLock& lock_;
};

class Commit : NonCopyable {
 public:
  Commit() noexcept;
  ~Commit();

 private:
  HeldInterrupts held_;
};

// A state that is made when it is first written to.
template <class State>
class LockedState {
 public:
  // f(const State*): nullptr if there is none yet.
  template <class Read>
  void read(Read&& f) const {
    if (lock_.mine()) return f(const_cast<const State*>(state_.get()));
    const StateGuard guard(lock_);
    f(const_cast<const State*>(state_.get()));
  }

  // f(std::unique_ptr<State>&). False, and nothing is done, if this thread is in the middle of a write: we are in a
  // signal handler that interrupts it.
  template <class Write>
  [[nodiscard]] bool write(Write&& f) {
    if (lock_.mine()) return false;
    const StateGuard guard(lock_);
    f(state_);
    return true;
  }

 private:
  mutable StateLock lock_;
  std::unique_ptr<State> state_;
};

}  // namespace mmlfast
