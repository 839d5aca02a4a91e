#include "drivers/gradient_descent.hpp"

#include "drivers/common/rounds.hpp"
#include "drivers/tape_blocks.hpp"

namespace mmlfast::drivers {
namespace {

// Runs that go on together.
constexpr Size group = 64;
// The same for all but slow ones.
constexpr Size first_round = 64;
// A step of backtracking takes some evaluations.
constexpr Size most_trials = 4;

struct Work {
  double *tape, *x, *velocity, *at, *gradient, *start;
  double *value, *rate, *momentum, *tol, *n_iter, *status;
  const double** results;

  Work(const TapeProgram& program, Size n, void* memory, Size& bytes) noexcept {
    Divider divider(memory);
    tape = divider.take<double>(TapeBlock::bytes(program, group) / 8);
    for (double** rows : {&x, &velocity, &at, &gradient, &start}) *rows = divider.take<double>(n * group);
    for (double** row : {&value, &rate, &momentum, &tol, &n_iter, &status}) *row = divider.take<double>(group);
    results = divider.take<const double*>(program.layout().n_outputs);
    bytes = divider.used();
  }
  DescentLanes lanes() const noexcept {
    return {x, velocity, at, gradient, value, rate, n_iter, status, start, momentum, tol};
  }
};

void gather(const DescentRuns& runs, const Size* items, Size lanes, DescentForm form, const Work& work) noexcept {
  for (Size l = 0; l < lanes; ++l) {
    const Size item = items[l];
    work.rate[l] = runs.rate[item];
    work.momentum[l] = runs.momentum[item];
    work.tol[l] = runs.tol[item];
    work.n_iter[l] = static_cast<double>(runs.n_iter[item]);
    work.status[l] = static_cast<double>(runs.status[item]);
    work.value[l] = 0;
    for (Size i = 0; i < runs.n; ++i) {
      const Size from = item * runs.n + i, to = i * lanes + l;
      work.x[to] = runs.x[from];
      work.velocity[to] = runs.velocity[from];
      work.start[to] = runs.start[from];
      work.gradient[to] = 0;
      work.at[to] =
          form == DescentForm::nesterov ? runs.x[from] + runs.momentum[item] * runs.velocity[from] : runs.x[from];
    }
  }
}

void scatter(const DescentRuns& runs, const Size* items, Size count, Size lanes, Size evaluations,
             const Work& work) noexcept {
  for (Size l = 0; l < count; ++l) {
    const Size item = items[l];
    if (runs.status[item] == 0) runs.n_evaluations[item] += evaluations;
    runs.rate[item] = work.rate[l];
    runs.n_iter[item] = static_cast<std::int32_t>(work.n_iter[l]);
    runs.status[item] = static_cast<std::int8_t>(work.status[l]);
    for (Size i = 0; i < runs.n; ++i) {
      runs.x[item * runs.n + i] = work.x[i * lanes + l];
      runs.velocity[item * runs.n + i] = work.velocity[i * lanes + l];
    }
  }
}

void keep(const DescentRuns& runs, const Size* items, Size count, Size lanes, Size max_iter,
          const Work& work) noexcept {
  for (Size l = 0; l < count; ++l) {
    const auto k = static_cast<Size>(work.n_iter[l]);
    double* to = runs.path + (items[l] * (max_iter + 1) + k) * runs.n;
    for (Size i = 0; i < runs.n; ++i) to[i] = work.x[i * lanes + l];
  }
}

// Whether a step may write its points where the tape reads them. Not if a derivative is there too, in the row of a
// variable before its own: of x[0] * x[1] they are the rows of the points in the other order.
bool takes_points_in_place(const TapeLayout& layout) noexcept {
  for (Size k = 0; k < layout.n_outputs; ++k)
    if (layout.results[static_cast<std::size_t>(k)] < k) return false;
  return true;
}

}  // namespace

Outcome gradient_descent(const TapeProgram& program, const double* const* parameters, const DescentRuns& runs,
                         DescentForm form, Size max_iter) noexcept {
  if (runs.count == 0) return {};
  const TapeProgram::Numbers numbers = program.numbers();
  if (const Outcome outcome = prepare_tape(program, numbers, parameters, {}); !outcome.ok()) return outcome;
  const GradientDescent& kernel = kernel_of<GradientDescent>();
  const bool tries = form == DescentForm::backtracking;
  const bool in_place = !tries && takes_points_in_place(program.layout());
  const auto limit = static_cast<double>(max_iter);
  Size bytes = 0;
  Work(program, runs.n, nullptr, bytes);
  const double ns =
      static_cast<double>(group) * (program.layout().ns_per_point + 0.5 * static_cast<double>(runs.n) + 0.5);
  const Size most = tries ? checked_product(most_trials, max_iter) + 64 : max_iter;
  return in_rounds<group>(
      runs.count, most, Rounds(first_round, ns), bytes, [&](Size item) { return runs.status[item] == 0; },
      [&](const Size* items, Size count, Size done, Size until, void* memory) {
        Size unused;
        Work work(program, runs.n, memory, unused);
        TapeBlock block(program, numbers.fixed(), group, work.tape);
        const Size lanes = block.set_points(count);
        for (Size k = 0; k < program.layout().n_outputs; ++k) work.results[k] = block.output(k);
        if (in_place) work.at = block.input(0);  // each step writes the points anew
        gather(runs, items, lanes, form, work);
        const DescentLanes state = work.lanes();
        Size evaluations = 0;
        for (Size k = done; k < until; ++k) {
          if (!in_place) std::copy_n(work.at, runs.n * lanes, block.input(0));
          block.run();
          ++evaluations;
          const Size running =
              tries ? kernel.backtracking(runs.n, lanes, work.results, state, k == done, limit)
                    : kernel.fixed(runs.n, lanes, work.results, state, form == DescentForm::nesterov, limit);
          if (runs.path != nullptr) keep(runs, items, count, lanes, max_iter, work);
          if (running == 0) break;
        }
        scatter(runs, items, count, lanes, evaluations, work);
      });
}

}  // namespace mmlfast::drivers
