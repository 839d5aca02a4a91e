#include "drivers/tape.hpp"

#include <algorithm>

#include "drivers/common/parallel.hpp"
#include "drivers/tape_blocks.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

void run(const std::vector<TapeStep>& steps, const TapeFrame& frame) noexcept {
  run_steps(steps.data(), steps.data() + steps.size(), frame);
}

// The arguments of a callback, which lie in slots or among the fixed numbers, one after the other.
bool call_back(const TapeStep& step, const TapeFrame& frame, const TapeCallback& callback) noexcept {
  const std::uint32_t n = step.from[1];
  double* arguments = frame.scratch;
  for (std::uint32_t i = 0; i < n; ++i) {
    switch (step.access_of(0)) {
      case TapeAccess::list:
        arguments[i] = frame.slots[frame.lists[step.from[0] + i]];
        break;
      case TapeAccess::fixed_list:
        arguments[i] = frame.fixed[frame.lists[step.from[0] + i]];
        break;
      default:
        arguments[i] = frame.slots[step.from[0] + i];
    }
  }
  return callback.call(callback.context, step.aux(), arguments, n, frame.slots + step.to, step.count);
}

bool run_with_callbacks(const std::vector<TapeStep>& steps, const TapeFrame& frame,
                        const TapeCallback& callback) noexcept {
  for (const TapeStep& step : steps) {
    if (step.function != nullptr)
      step.function(step, frame);
    else if (!call_back(step, frame, callback))
      return false;
  }
  return true;
}

bool one_point(const TapeProgram& program, const TapeFrame& frame, const double* x, double* result,
               const TapeCallback& callback) noexcept {
  const TapeLayout& layout = program.layout();
  if (!layout.group_sizes.empty()) std::copy_n(x, layout.group_sizes[0], frame.slots);
  if (!layout.calls_python)
    run(layout.per_point.point, frame);
  else if (!run_with_callbacks(layout.per_point.point, frame, callback))
    return false;
  std::copy_n(frame.slots + layout.first_output, layout.n_outputs, result);
  return true;
}

Outcome one_after_the_other(const TapeProgram& program, const TapeProgram::Numbers& numbers, Size n_points,
                            const double* x, double* result, const TapeCallback& callback) noexcept {
  const TapeFrame frame = numbers.frame();
  const Size n = program.layout().group_sizes[0], m = program.layout().n_outputs;
  run(program.layout().copies.point, frame);
  for (Size i = 0; i < n_points; ++i)
    if (!one_point(program, frame, x + i * n, result + i * m, callback)) return {Outcome::Status::interrupted};
  return {};
}

// The blocks of some points, in memory of the calling thread.
void run_blocks(const TapeProgram& program, const double* fixed, Size n_points, const double* x, double* result,
                double* memory) noexcept {
  const TapeLayout& layout = program.layout();
  const Tape& kernel = kernel_of<Tape>();
  const Size n = layout.group_sizes[0], m = layout.n_outputs, most = program.rows() * tape_lanes;
  TapeBlock block(program, fixed, most, memory);
  for (Size first = 0; first < n_points; first += most) {
    const Size points = std::min(most, n_points - first), slot = block.set_points(points);
    kernel.load(x + first * n, n, n, points, memory, slot);
    block.run();
    kernel.store(memory, slot, layout.results.data(), m, points, result + first * m, m);
  }
}

}  // namespace

Outcome prepare_tape(const TapeProgram& program, const TapeProgram::Numbers& numbers, const double* const* parameters,
                     const TapeCallback& callback) noexcept {
  if (!numbers) return {Outcome::Status::no_memory};
  const TapeLayout& layout = program.layout();
  for (std::size_t g = 1; g < layout.group_sizes.size(); ++g)
    if (layout.group_fixed[g] >= 0)
      std::copy_n(parameters[g - 1], layout.group_sizes[g], numbers.fixed() + layout.group_fixed[g]);
  const TapeFrame frame = numbers.frame();
  if (!layout.calls_python) {
    run(layout.per_call.point, frame);
    return {};
  }
  return run_with_callbacks(layout.per_call.point, frame, callback) ? Outcome{} : Outcome{Outcome::Status::interrupted};
}

TapeEvaluator::TapeEvaluator(const TapeProgram& program, const double* const* parameters,
                             const TapeCallback& callback) noexcept
    : program_(program), callback_(callback), numbers_(program) {
  outcome_ = prepare_tape(program, numbers_, parameters, callback);
  if (outcome_.ok()) run(program.layout().copies.point, numbers_.frame());
}

Outcome TapeEvaluator::operator()(const double* x, double* result) const noexcept {
  if (!outcome_.ok()) return outcome_;
  return one_point(program_, numbers_.frame(), x, result, callback_) ? Outcome{}
                                                                     : Outcome{Outcome::Status::interrupted};
}

Outcome evaluate_tape(const TapeProgram& program, const double* x, const double* const* parameters, double* result,
                      const TapeCallback& callback) noexcept {
  return TapeEvaluator(program, parameters, callback)(x, result);
}

Outcome evaluate_tape_batch(const TapeProgram& program, Size n_points, const double* x, const double* const* parameters,
                            double* result, const TapeCallback& callback) noexcept {
  const TapeLayout& layout = program.layout();
  const TapeProgram::Numbers numbers = program.numbers();
  if (const Outcome outcome = prepare_tape(program, numbers, parameters, callback); !outcome.ok()) return outcome;
  if (layout.calls_python) return one_after_the_other(program, numbers, n_points, x, result, callback);
  const Size n = layout.group_sizes[0], m = layout.n_outputs, block = program.rows() * tape_lanes;
  const Size bytes = TapeBlock::bytes(program, block);
  // Pieces of some 10 us, so that what is done once for each of them is little.
  const double ns = layout.ns_per_point + 0.3 * static_cast<double>(n + m) + 0.1;
  const Size piece = block * static_cast<Size>(std::clamp(10'000 / (ns * static_cast<double>(block)), 1.0, 1024.0));
  return parallel_with_scratch(ceil_div(n_points, piece), ns * static_cast<double>(piece), bytes,
                               [&](Size i, void* memory) {
                                 const Size first = i * piece;
                                 run_blocks(program, numbers.fixed(), std::min(piece, n_points - first), x + first * n,
                                            result + first * m, static_cast<double*>(memory));
                               });
}

}  // namespace mmlfast::drivers
