#include "runtime/thread_pool.hpp"

#include <atomic>
#include <new>

#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/threads.hpp"

#if !MMLFAST_NO_THREADS
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#endif
#if MMLFAST_BLOCK_TIMES
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#endif
#if defined(__linux__)
#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <string>
#endif

namespace mmlfast {
namespace {

constexpr int most_threads = 256;

#if MMLFAST_NO_THREADS

int count_cpus() { return 1; }

#else

#if defined(__linux__)
// Whole CPUs granted by a cgroup quota ("max" or microseconds per period), or 0 if there is no
// limit.
int quota_cpus() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  double quota = -1, period = -1;
  std::string word;
  if (v2 >> word >> period) {
    if (word == "max") return 0;
    quota = std::strtod(word.c_str(), nullptr);
  } else {
    std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (!(q >> quota) || !(p >> period)) return 0;
  }
  if (quota <= 0 || period <= 0) return 0;
  const int cpus = static_cast<int>(quota / period);
  return cpus < 1 ? 1 : cpus;
}
#endif

int count_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  const int quota = quota_cpus();
  if (quota > 0 && quota < cpus) cpus = quota;
#endif
  if (cpus < 1) return 1;
  return cpus > most_threads ? most_threads : cpus;
}

#endif

std::atomic<int> requested{0}, usual{0};

int at_most_threads(int n) noexcept { return n < 1 ? 0 : (n > most_threads ? most_threads : n); }

// This thread is working on a block. What it calls from there runs in this thread, and asks nobody whether to stop: the
// thread of the public call does that, and it may hold the GIL while it waits for us.
thread_local bool inside_block = false;

#if MMLFAST_NO_THREADS

bool run_in_pool(detail::BlockFunction, void*, Size, int, InterruptTimer&) noexcept { return false; }

#else

// For one that looks again and again.
void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

struct Job {
  detail::BlockFunction function = nullptr;
  void* context = nullptr;
  Size n_blocks = 0;
  std::atomic<Size> next{0};
  std::atomic<bool> stop{false};

  // Claims and runs blocks until none is left; `pause` is asked between blocks and may stop
  // everyone.
  template <class Pause>
  void work(Pause&& pause) noexcept {
    while (!stop.load(std::memory_order_relaxed)) {
      const Size block = next.fetch_add(1, std::memory_order_relaxed);
      if (block >= n_blocks) return;
      inside_block = true;
      function(context, block);
      inside_block = false;
      if (pause()) stop.store(true, std::memory_order_relaxed);
    }
  }
};

class Pool {
 public:
  // One job at a time; false if another thread is using the pool.
  bool try_run(detail::BlockFunction function, void* context, Size n_blocks, int threads,
               InterruptTimer& timer) noexcept {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return false;
    grow(threads - 1);
    {
      std::lock_guard<std::mutex> guard(mutex_);
      job_.function = function;
      job_.context = context;
      job_.n_blocks = n_blocks;
      job_.next.store(0);
      job_.stop.store(false);
      places_ = threads - 1 < n_helpers_ ? threads - 1 : n_helpers_;
      ++generation_;
      keep_off_this_cpu();
    }
    wake_.notify_all();
    job_.work([&] { return timer.interrupted(); });
    // Nobody may join from here on; those inside are each at most one block away from leaving: watching them for that
    // long is faster than to sleep and to be woken up.
    {
      std::lock_guard<std::mutex> guard(mutex_);
      places_ = 0;
    }
    for (int looks = 0; looks < 1000; ++looks) {
      if (inside_.load(std::memory_order_acquire) == 0) return true;
      pause_cpu();
    }
    std::unique_lock<std::mutex> guard(mutex_);
    idle_.wait(guard, [&] { return inside_.load(std::memory_order_acquire) == 0; });
    return true;
  }

 private:
  struct Helper {
    int id = -1, cpu = -1;  // where it sleeps
    int wary_calls = 0;     // so many it is kept off where their callers work: it was found there
    int kept_off = -1;      // a processor where it must not wake up
  };

  // System calls are made for each helper in each of these; where there are many, few are still drawn to a caller.
  static constexpr int most_wary_calls = 64;

  // A helper that sleeps where the caller is now, because one of them has been moved, would wake up there and get its
  // turn when the caller has done everything: the system looks for another place only if that is idle at this moment,
  // and draws a thread to the one that wakes it up.
  void keep_off_this_cpu() noexcept {
    const int cpu = this_cpu();
    if (cpu < 0 || n_helpers_ >= available_cpus()) return;
    for (int i = 0; i < n_helpers_; ++i) {
      Helper& helper = helpers_[i];
      if (helper.cpu == cpu) helper.wary_calls = most_wary_calls;
      if (helper.wary_calls == 0) continue;
      --helper.wary_calls;
      if (helper.kept_off == cpu) continue;
      allow_again(helper);
      if (allow_cpu(helper.id, cpu, false)) helper.kept_off = cpu;
    }
  }

  static void allow_again(Helper& helper) noexcept {
    if (helper.kept_off >= 0) allow_cpu(helper.id, helper.kept_off, true);
    helper.kept_off = -1;
  }

  void grow(int wanted) noexcept {
    while (n_helpers_ < wanted) {
      try {
        std::thread([this, &helper = helpers_[n_helpers_]] { help(helper); }).detach();
      } catch (const std::system_error&) {
        return;  // no more threads to be had: those there are will do
      }
      ++n_helpers_;
    }
  }

  void help(Helper& helper) noexcept {
    std::uint64_t seen = 0;
    std::unique_lock<std::mutex> guard(mutex_);
    helper.id = this_thread_id();
    for (;;) {
      wake_.wait(guard, [&] {
        helper.cpu = this_cpu();
        allow_again(helper);  // it is awake, in time or not, and what others now say of its processors holds
        return generation_ != seen && places_ > 0;
      });
      seen = generation_;
      --places_;
      inside_.fetch_add(1, std::memory_order_relaxed);
      guard.unlock();
      job_.work([] { return false; });
      trim_thread_scratch();
      guard.lock();
      if (inside_.fetch_sub(1, std::memory_order_release) == 1) idle_.notify_one();
    }
  }

  std::mutex turn_;   // held by the thread whose job it is
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, idle_;
  std::uint64_t generation_ = 0;
  int n_helpers_ = 0, places_ = 0;
  std::atomic<int> inside_{0};  // changed with the mutex held
  Helper helpers_[most_threads];
  Job job_;
};

// Never destroyed: helpers may still be waiting in it while the process ends. A forked child has no
// helpers and possibly locked mutexes, so it leaves the old pool alone and makes a new one.
std::atomic<Pool*> the_pool{nullptr};

Pool* pool() noexcept {
  Pool* p = the_pool.load(std::memory_order_acquire);
  if (p != nullptr) return p;
  [[maybe_unused]] static const bool registered =
      (at_fork(nullptr, nullptr, [] { the_pool.store(nullptr, std::memory_order_release); }), true);
  Pool* fresh = new (std::nothrow) Pool;
  if (fresh == nullptr) return nullptr;
  if (the_pool.compare_exchange_strong(p, fresh)) return fresh;
  delete fresh;
  return p;
}

// False, and nothing is done, if there is no pool to be had now.
bool run_in_pool(detail::BlockFunction function, void* context, Size n_blocks, int threads,
                 InterruptTimer& timer) noexcept {
  Pool* p = pool();
  return p != nullptr && p->try_run(function, context, n_blocks, threads, timer);
}

#endif

#if MMLFAST_BLOCK_TIMES

// What this thread has worked, whatever else the machine does.
std::int64_t worked_ns() noexcept {
  std::timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::int64_t{1'000'000'000} * t.tv_sec + t.tv_nsec;
}

// This thread does all blocks. A line is added to the file that the environment names: the nanoseconds of each block,
// and last what all of this took, the clock and the writing included.
void timed_blocks(Size n_blocks, detail::BlockFunction function, void* context) noexcept {
  static std::FILE* const file = [] {
    const char* name = std::getenv("MMLFAST_BLOCK_TIMES");
    return name == nullptr ? nullptr : std::fopen(name, "a");
  }();
  const std::int64_t begin = worked_ns();
  inside_block = true;
  for (Size block = 0; block < n_blocks; ++block) {
    const std::int64_t start = worked_ns();
    function(context, block);
    if (file != nullptr) std::fprintf(file, "%" PRId64 " ", worked_ns() - start);
  }
  inside_block = false;
  if (file == nullptr) return;
  std::fprintf(file, "%" PRId64 "\n", worked_ns() - begin);
  std::fflush(file);
}

#endif

}  // namespace

int available_cpus() noexcept {
  static const int cpus = [] {
    try {
      return count_cpus();
    } catch (...) {
      return 1;
    }
  }();
  return cpus;
}

int get_num_threads() noexcept {
  const int n = requested.load(std::memory_order_relaxed);
  if (n > 0) return n;
  const int m = usual.load(std::memory_order_relaxed);
  return m > 0 ? m : available_cpus();
}

void set_num_threads(int n) noexcept { requested.store(at_most_threads(n), std::memory_order_relaxed); }
void set_default_threads(int n) noexcept { usual.store(at_most_threads(n), std::memory_order_relaxed); }
bool threads_are_set() noexcept { return requested.load(std::memory_order_relaxed) > 0; }

bool detail::run_blocks(Size n_blocks, BlockFunction function, void* context, bool threaded) noexcept {
  if (inside_block) {
    for (Size block = 0; block < n_blocks; ++block) function(context, block);
    return true;
  }
#if MMLFAST_BLOCK_TIMES
  if (threaded && n_blocks > 1) return timed_blocks(n_blocks, function, context), true;
#endif
  InterruptTimer timer;
  const int threads = get_num_threads();
  if (threaded && threads > 1 && n_blocks > 1) {
    const int useful = n_blocks < threads ? static_cast<int>(n_blocks) : threads;
    if (run_in_pool(function, context, n_blocks, useful, timer)) return !timer.interrupted();
  }
  for (Size block = 0; block < n_blocks; ++block) {
    function(context, block);
    if (timer.interrupted()) return false;
  }
  return true;
}

}  // namespace mmlfast
