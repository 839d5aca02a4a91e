#include "runtime/threads.hpp"

#include <atomic>

#if !MMLFAST_NO_THREADS
#include <chrono>
#include <thread>
#if !defined(_WIN32)
#include <pthread.h>
#endif
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mmlfast {

std::uint64_t this_thread_number() noexcept {
  static std::atomic<std::uint64_t> given{0};
  static thread_local std::uint64_t number = 0;
  if (number == 0) number = ++given;
  return number;
}

#if MMLFAST_NO_THREADS

void yield_thread() noexcept {}
void sleep_thread(int) noexcept {}
void stop_thread() noexcept { __builtin_trap(); }

#else

void yield_thread() noexcept { std::this_thread::yield(); }
void sleep_thread(int microseconds) noexcept { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }
void stop_thread() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

#endif

#if defined(__linux__)
int this_thread_id() noexcept { return static_cast<int>(syscall(SYS_gettid)); }
int this_cpu() noexcept { return sched_getcpu(); }
bool allow_cpu(int thread_id, int cpu, bool allowed) noexcept {
  cpu_set_t set;
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(thread_id, sizeof set, &set) != 0) return false;
  if ((CPU_ISSET(static_cast<unsigned>(cpu), &set) != 0) == allowed)
    return false;  // what others forbid is not allowed later
  if (allowed)
    CPU_SET(static_cast<unsigned>(cpu), &set);
  else
    CPU_CLR(static_cast<unsigned>(cpu), &set);
  return CPU_COUNT(&set) > 0 && sched_setaffinity(thread_id, sizeof set, &set) == 0;
}
#else
int this_thread_id() noexcept { return -1; }
int this_cpu() noexcept { return -1; }
bool allow_cpu(int, int, bool) noexcept { return false; }
#endif

#if MMLFAST_NO_THREADS || defined(_WIN32)
void at_fork(void (*)(), void (*)(), void (*)()) noexcept {}
#else
void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) noexcept {
  pthread_atfork(before, in_parent, in_child);
}
#endif

}  // namespace mmlfast
