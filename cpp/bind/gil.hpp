// The GIL, let go of and taken back by threads that may outlive the interpreter.
//
// A daemon thread that asks for the GIL while the interpreter ends does not get it: up to Python 3.13 it is ended there
// and then, by unwinding its stack. Whatever is on it, functions that let no exception pass among it, would end the
// whole process with "terminate called without an active exception", and destructors would touch objects of Python
// without the GIL. So such a thread stops where it asks, as Python itself does from 3.14 on, and the process ends
// without it.
#pragma once

#include "bind/numpy_api.hpp"
#include "runtime/non_copyable.hpp"
#include "runtime/threads.hpp"

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace mmlfast::bind {

template <class Take>
auto take_or_stop(Take&& take) {
#if defined(__GLIBCXX__)
  try {
    return take();
  } catch (const abi::__forced_unwind&) {
    stop_thread();
  }
#else
  return take();
#endif
}

// Without the GIL, which this thread has, while it lives (`let_go` false: nothing happens).
class ReleasedGil : NonCopyable {
 public:
  explicit ReleasedGil(bool let_go = true) noexcept : state_(let_go ? PyEval_SaveThread() : nullptr) {}
  ~ReleasedGil() {
    if (state_ != nullptr) take_or_stop([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_;
};

// With the GIL, whether this thread has it already or not.
class AcquiredGil : NonCopyable {
 public:
  AcquiredGil() noexcept : state_(take_or_stop([] { return PyGILState_Ensure(); })) {}
  ~AcquiredGil() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

// f() with the GIL. Whatever Python does in there, this thread either comes back from it or stops in it.
template <class F>
auto with_gil(F&& f) {
  const AcquiredGil gil;
  return take_or_stop(f);
}

}  // namespace mmlfast::bind
