#include "runtime/locked_state.hpp"

#include <algorithm>

#include "runtime/threads.hpp"

namespace mmlfast {
namespace {

constexpr std::uint64_t ticket_mask = 0xffffff, next_shift = 24, generation_shift = 48, generation_mask = 0xffff;

// How often this process is a forked child of one that used this library. Starts at 1: an unused lock is of no process.
std::atomic<std::uint64_t> generation{1};

// Threads within a commit, and threads that want to fork.
std::atomic<int> committing{0}, forking{0};

void before_fork() {
  forking.fetch_add(1);
  while (committing.load() != 0) yield_thread();
}
void after_fork_in_parent() { forking.fetch_sub(1); }
void after_fork_in_child() {
  // Of the other threads, which are not here, some may have been about to begin a commit.
  committing.store(0);
  forking.store(0);
  generation.fetch_add(1);
}

const bool registered = (at_fork(before_fork, after_fork_in_parent, after_fork_in_child), true);

thread_local int commits_here = 0;

std::uint64_t current_generation() noexcept { return generation.load(std::memory_order_acquire) & generation_mask; }

}  // namespace

bool StateLock::mine() const noexcept {
  const std::uint64_t owner = owner_.load(std::memory_order_acquire);
  return owner != 0 && owner == this_thread_number() &&
         word_.load(std::memory_order_acquire) >> generation_shift == current_generation();
}

void StateLock::lock() noexcept {
  const std::uint64_t here = current_generation();
  std::uint64_t word = word_.load(std::memory_order_acquire), wanted, ticket;
  do {
    // Held or queued for in another process, or never used: as if nobody was there.
    const std::uint64_t now = word >> generation_shift == here ? word : here << generation_shift;
    ticket = now >> next_shift & ticket_mask;
    wanted = (now & ~(ticket_mask << next_shift)) | ((ticket + 1) & ticket_mask) << next_shift;
  } while (!word_.compare_exchange_weak(word, wanted, std::memory_order_acq_rel, std::memory_order_acquire));
  int pause = 20;
  for (int looks = 0; (word_.load(std::memory_order_acquire) & ticket_mask) != ticket; ++looks) {
    if (looks < 100) {
      yield_thread();
    } else {
      sleep_thread(pause);
      pause = std::min(2 * pause, 1280);
    }
  }
  owner_.store(this_thread_number(), std::memory_order_release);
}

void StateLock::unlock() noexcept {
  if (!mine()) return;  // this is a child that a signal handler forked
  std::uint64_t word = word_.load(std::memory_order_relaxed), wanted;
  owner_.store(0, std::memory_order_release);
  do {
    wanted = (word & ~ticket_mask) | ((word + 1) & ticket_mask);
  } while (!word_.compare_exchange_weak(word, wanted, std::memory_order_acq_rel, std::memory_order_relaxed));
}

Commit::Commit() noexcept {
  if (commits_here++ > 0) return;
  committing.fetch_add(1);
  while (forking.load() != 0) {
    committing.fetch_sub(1);
    while (forking.load() != 0) yield_thread();
    committing.fetch_add(1);
  }
}

Commit::~Commit() {
  if (--commits_here == 0) committing.fetch_sub(1, std::memory_order_release);
}

}  // namespace mmlfast
