#include "drivers/newton_many.hpp"

#include <atomic>
#include <bit>
#include <limits>

#include "drivers/common/rounds.hpp"
#include "drivers/tape_blocks.hpp"

namespace mmlfast::drivers {
namespace {

// Starts that go on together: eight registers of eight, whose numbers stay in the first cache for all but long tapes.
constexpr Size group = 64;
// Most starts have found their root before they could have gone round in a cycle.
constexpr Size first_looked_at = 8;
// Long enough for most starts: those that need more are then put together.
constexpr Size first_round = 16;

struct Work {
  double *tape, *x, *scratch;
  const double** results;
  NewtonLanes lanes;

  Work(const TapeProgram& program, const NewtonStarts& starts, void* memory, Size& bytes) noexcept {
    Divider divider(memory);
    tape = divider.take<double>(TapeBlock::bytes(program, group) / 8);
    x = divider.take<double>(starts.width * group);
    lanes.x = x;
    lanes.checkpoint = divider.take<double>(starts.n * group);
    lanes.moved = divider.take<double>(group);
    lanes.n_iter = divider.take<double>(group);
    lanes.status = divider.take<double>(group);
    scratch = divider.take<double>(starts.n * starts.n + 2 * starts.n);
    results = divider.take<const double*>(program.layout().n_outputs);
    bytes = divider.used();
  }
};

void gather(const NewtonStarts& starts, const Size* items, Size lanes, bool first, const Work& work) noexcept {
  for (Size i = 0; i < starts.width; ++i) {
    const bool moved = !first && i < starts.n;
    const double* from = (moved ? starts.x : starts.begin) + i;
    for (Size l = 0; l < lanes; ++l) work.x[i * lanes + l] = from[items[l] * (moved ? starts.n : starts.width)];
  }
  std::fill_n(work.lanes.status, lanes, 0.0);
  if (first) {
    constexpr double far = std::numeric_limits<double>::infinity();
    std::fill_n(work.lanes.moved, lanes, far);
    std::fill_n(work.lanes.checkpoint, starts.n * lanes, far);
    return;
  }
  for (Size l = 0; l < lanes; ++l) {
    work.lanes.moved[l] = starts.moved[items[l]];
    for (Size i = 0; i < starts.n; ++i)
      work.lanes.checkpoint[i * lanes + l] = starts.checkpoint[items[l] * starts.n + i];
  }
}

// How all have ended so far.
struct Ends {
  std::atomic<Size> n_converged = 0;
  std::atomic<bool> doubtful = false;
};

void scatter(const NewtonStarts& starts, const Size* items, Size count, Size lanes, std::int32_t done, const Work& work,
             Ends& ends) noexcept {
  constexpr std::int32_t few_steps = 2;  // as _doubtful() of optimize/_newton_many.py has it, which says why
  Size n_converged = 0;
  bool doubtful = false;
  for (Size l = 0; l < count; ++l) {
    const Size item = items[l];
    for (Size i = 0; i < starts.n; ++i) starts.x[item * starts.n + i] = work.x[i * lanes + l];
    const auto status = static_cast<std::int8_t>(work.lanes.status[l]);
    starts.status[item] = status;
    starts.n_iter[item] = status == 0 ? done : static_cast<std::int32_t>(work.lanes.n_iter[l]);
    const bool converged = status == static_cast<std::int8_t>(NewtonStatus::converged),
               stalled = status == static_cast<std::int8_t>(NewtonStatus::stalled);
    n_converged += converged || stalled;
    doubtful = doubtful || stalled || (converged && starts.n_iter[item] <= few_steps);
    if (status != 0) continue;
    starts.moved[item] = work.lanes.moved[l];
    for (Size i = 0; i < starts.n; ++i) starts.checkpoint[item * starts.n + i] = work.lanes.checkpoint[i * lanes + l];
  }
  ends.n_converged += n_converged;
  if (doubtful) ends.doubtful = true;
}

}  // namespace

Outcome newton_many(const TapeProgram& program, const double* const* parameters, const NewtonStarts& starts, double tol,
                    Size max_iter, Size& n_converged, bool& doubtful) noexcept {
  n_converged = 0;
  doubtful = false;
  if (starts.count == 0) return {};
  const TapeProgram::Numbers numbers = program.numbers();
  if (const Outcome outcome = prepare_tape(program, numbers, parameters, {}); !outcome.ok()) return outcome;
  const NewtonMany& kernel = kernel_of<NewtonMany>();
  const bool bends = program.layout().n_outputs > starts.n + starts.n * starts.n;
  Size bytes = 0;
  Work(program, starts, nullptr, bytes);
  const double ns = static_cast<double>(group) *
                    (program.layout().ns_per_point + 1.0 + 2.0 * static_cast<double>(starts.n * starts.n));
  Ends ends;
  const Outcome outcome = in_rounds<group>(
      starts.count, max_iter, Rounds(first_round, ns), bytes, [&](Size item) { return starts.status[item] == 0; },
      [&](const Size* items, Size count, Size done, Size until, void* memory) {
        Size unused;
        const Work work(program, starts, memory, unused);
        TapeBlock block(program, numbers.fixed(), group, work.tape);
        const Size lanes = block.set_points(count);
        for (Size k = 0; k < program.layout().n_outputs; ++k) work.results[k] = block.output(k);
        gather(starts, items, lanes, done == 0, work);
        for (Size k = done; k < until; ++k) {
          std::copy_n(work.x, starts.width * lanes, block.input(0));
          block.run();
          const NewtonStep settings{tol, static_cast<double>(k + 1),
                                    std::has_single_bit(static_cast<std::uint64_t>(k + 1)), k >= first_looked_at};
          if (kernel.step(starts.n, lanes, work.results, bends, work.lanes, settings, work.scratch) == 0) break;
        }
        scatter(starts, items, count, lanes, static_cast<std::int32_t>(until), work, ends);
      });
  n_converged = ends.n_converged;
  doubtful = ends.doubtful;
  return outcome;
}

}  // namespace mmlfast::drivers
