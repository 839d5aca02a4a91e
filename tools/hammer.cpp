// The thread pool, the team, the locks and the memory of threads, from several threads at once: to be built with a
// thread sanitizer (tools/platforms.py tsan), which says where two of them meet unguarded.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/locked_state.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"
#include "runtime/thread_pool.hpp"

namespace {

using mmlfast::Size;

constexpr int callers = 4, rounds = 20;
constexpr Size n_blocks = 64, per_block = 50;

std::atomic<bool> wanted{false};  // Ctrl-C

void expect(bool good, const char* what) {
  if (good) return;
  std::printf("wrong: %s\n", what);
  std::exit(1);
}

// Plain numbers, written by blocks and read after the call.
void blocks_are_done_once() {
  std::vector<int> done(n_blocks * per_block, 0);
  mmlfast::JoinedOutcome outcome;
  const bool finished = mmlfast::parallel_blocks(n_blocks, 1e9, [&](Size block) {
    const mmlfast::ScratchLease scratch(64 * 1024);
    char* bytes = static_cast<char*>(scratch.data());
    for (Size i = block * per_block; i < (block + 1) * per_block; ++i)
      bytes[i] = 1, done[static_cast<std::size_t>(i)] += bytes[i];
    if (block % 8 == 3) outcome.join({mmlfast::Outcome::Status::failed_items, block, 1});
  });
  if (!finished) return;
  for (int times : done) expect(times == 1, "a block");
  expect(outcome.get().first_failed() == 3 && outcome.get().n_failed() == n_blocks / 8, "joined outcomes");
}

// Phases of a team, each of which reads what the one before has written.
void phases_follow_each_other() {
  std::vector<Size> numbers(n_blocks, 0);
  const bool finished = mmlfast::with_team(true, [&](mmlfast::Team& team) {
    for (Size phase = 0; phase < 20; ++phase)
      team.run(n_blocks, [&](Size block) { numbers[static_cast<std::size_t>(block)] += phase; });
  });
  if (!finished) return;
  for (Size number : numbers) expect(number == 190, "a phase");
}

mmlfast::LockedState<std::vector<int>> shared;

void states_are_locked() {
  expect(shared.write([](std::unique_ptr<std::vector<int>>& state) {
    const mmlfast::Commit commit;
    if (!state) state = std::make_unique<std::vector<int>>(8, 0);
    for (int& number : *state) ++number;
  }),
         "a write");
  shared.read([](const std::vector<int>* state) {
    for (int number : *state) expect(number == state->front(), "a read");
  });
}

}  // namespace

int main() {
  mmlfast::set_num_threads(4);
  mmlfast::set_interrupt_check([] { return wanted.load(); });
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([caller] {
      for (int round = 0; round < rounds; ++round) {
        blocks_are_done_once();
        phases_follow_each_other();
        states_are_locked();
        if (caller == 0) wanted = round % 10 == 9;
        mmlfast::trim_thread_scratch();
      }
    });
  for (std::thread& thread : threads) thread.join();
  shared.read([](const std::vector<int>* state) { expect(state->front() == callers * rounds, "all writes"); });
  std::printf("%d threads, %d rounds: all right\n", callers, rounds);
  return 0;
}
