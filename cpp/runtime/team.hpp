// Threads that stay together for a sequence of short parallel phases, as in iterations that depend on each other.
//
// parallel_blocks wakes its helpers for each call, which costs 5-50 us. A Team is woken once; between phases its
// helpers watch an atomic word, so that a phase starts within a microsecond. One thread, the caller of with_team,
// leads:
//
//     const bool finished = with_team(worth_threads, [&](Team& team) {
//       for (...) {
//         team.run(n_blocks, [&](Size block) { ... });   // returns when all blocks are done
//         ...                                             // the leader alone
//       }
//     });
//
// Blocks are claimed one by one, by whoever is there: with no helper at all the leader does everything. The leader
// asks for Ctrl-C, through an InterruptTimer of its own; run() calls `between` in it after each of its blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "runtime/thread_pool.hpp"
#include "runtime/threads.hpp"

namespace mmlfast {

class Team {
 public:
  using Block = Size;
  static constexpr Block most_blocks = std::numeric_limits<std::int32_t>::max();

  // body(block) for 0 .. n_blocks - 1 (< most_blocks), in any order, from several threads; must not throw.
  template <class Body, class Between>
  void run(Block n_blocks, Body&& body, Between&& between) noexcept {
    if (alone_ || n_blocks < 2) {
      if constexpr (MMLFAST_BLOCK_TIMES)
        return void(parallel_blocks(n_blocks, threaded_ ? threading_threshold_ns : 0, body));
      for (Block b = 0; b < n_blocks; ++b) body(b), between();
      return;
    }
    using Plain = std::remove_reference_t<Body>;
    function_ = [](void* context, Block block) { (*static_cast<Plain*>(context))(block); };
    context_ = const_cast<void*>(static_cast<const void*>(&body));
    done_.store(0, std::memory_order_relaxed);
    state_.store(static_cast<std::uint64_t>(n_blocks) << 32, std::memory_order_release);
    while (work_one()) between();
    Patience patience;
    while (done_.load(std::memory_order_acquire) < n_blocks) patience.wait();
  }
  template <class Body>
  void run(Block n_blocks, Body&& body) noexcept {
    run(n_blocks, body, [] {});
  }

 private:
  template <class Leader>
  friend bool with_team(bool threaded, Leader&& leader) noexcept;

  // Watches for a while, then lets others run between looks.
  struct Patience {
    int looks = 0;
    void wait() noexcept {
      if (++looks > 2000) yield_thread();
    }
  };

  // Claims and runs one block; false if none is left. The word holds the number of blocks and the next one, so that a
  // claim can only succeed in the phase that it was read in or in one with the same word, where it is as good; what the
  // block is to do is read after the claim, when the phase cannot end any more.
  bool work_one() noexcept {
    std::uint64_t state = state_.load(std::memory_order_acquire);
    do {
      if ((state & 0xffffffffu) >= (state >> 32)) return false;
    } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire));
    function_(context_, static_cast<Block>(state & 0xffffffffu));
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  void serve() noexcept {
    Patience patience;
    while (!over_.load(std::memory_order_acquire)) {
      if (work_one())
        patience = {};
      else
        patience.wait();
    }
  }

  bool alone_ = false, threaded_ = false;
  // One line of the cache, which a helper has to get from the leader's.
  alignas(64) std::atomic<std::uint64_t> state_{0};
  detail::BlockFunction function_ = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<Block> done_{0};
  alignas(64) std::atomic<bool> over_{false};
};

// Calls leader(team) once, in this thread. Returns false if the user interrupted outside of the leader.
template <class Leader>
bool with_team(bool threaded, Leader&& leader) noexcept {
  Team team;
  const int threads = threaded ? get_num_threads() : 1;
  if (threads == 1 || MMLFAST_BLOCK_TIMES) {
    team.alone_ = true;
    team.threaded_ = threaded;
    leader(team);
    return true;
  }
  const std::uint64_t caller = this_thread_number();
  bool led = false;  // touched by the caller only
  return parallel_blocks(threads, 2 * threading_threshold_ns, [&](Size) {
    if (this_thread_number() != caller) return team.serve();
    if (led) return;
    led = true;
    leader(team);
    team.over_.store(true, std::memory_order_release);
  });
}

}  // namespace mmlfast
