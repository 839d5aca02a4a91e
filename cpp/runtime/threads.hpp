// What the system has of threads and of fork(). Nothing outside of cpp/runtime includes <thread>, <mutex>,
// <condition_variable> or <pthread.h>, and where there are no threads these functions have nothing to do.
#pragma once

#include <cstdint>

// The one name for "no threads": WebAssembly without its option for them. The calling thread does all the work then.
#if defined(__wasm__) && !defined(_REENTRANT)
#define MMLFAST_NO_THREADS 1
#else
#define MMLFAST_NO_THREADS 0
#endif

// 1 in a build for bench/threads.py alone (cmake -DMMLFAST_BLOCK_TIMES=ON): the calling thread does all the work and
// writes down how long each block takes, so that one can tell what many threads would do.
#ifndef MMLFAST_BLOCK_TIMES
#define MMLFAST_BLOCK_TIMES 0
#endif

namespace mmlfast {

// A number that no other thread has or will have, unlike the addresses and numbers that the system gives them. Never 0.
std::uint64_t this_thread_number() noexcept;

// Lets others run.
void yield_thread() noexcept;
void sleep_thread(int microseconds) noexcept;
// This thread does nothing more, until the process ends.
[[noreturn]] void stop_thread() noexcept;

// A number for allow_cpu; the processor that this thread is on. -1 where the system does not say.
int this_thread_id() noexcept;
int this_cpu() noexcept;
// Whether that thread of this process may run there; it goes elsewhere at once if not. False if nothing was changed:
// there is nowhere else, or this system has no such thing.
bool allow_cpu(int thread_id, int cpu, bool allowed) noexcept;

// From now on fork() calls these, where there is a fork(); nullptr: nothing.
void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) noexcept;

}  // namespace mmlfast
