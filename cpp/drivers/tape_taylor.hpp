// Taylor series of what a graph computes, along a curve through the space of its inputs.
//
// A plan is made once for a graph, its outputs, how many coefficients the inputs have and the order of the result; it
// then works for any number of points, from several threads. Eight points at a time in lanes, or, for one point, eight
// elements of a run at a time: the same operations on each series, so the same bits.
#pragma once

#include <vector>

#include "drivers/tape_graph.hpp"
#include "kernels/tape_taylor.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// The first operation of a function whose series is not finite though those of its operands are.
struct TaylorFailure {
  TapeOp op = TapeOp::input;  // input: none
  TapeId id = 0;
  double operand[2] = {0, 0};  // their values at t = 0
};

class TaylorPlan : NonCopyable {
 public:
  // n_coefficients >= 1: of each input of group 0. The other groups are constant. std::bad_alloc passes through.
  // The graph must outlive the plan; what is added to it later does not matter.
  TaylorPlan(const TapeGraph& graph, TapeView outputs, int n_coefficients, int order);

  int order() const noexcept { return order_; }
  int n_coefficients() const noexcept { return n_coefficients_; }
  Size n_outputs() const noexcept { return static_cast<Size>(outputs_.size()); }
  const std::vector<std::int32_t>& input_groups() const noexcept { return input_groups_; }
  // Does it need a function of the user's own, which has no series?
  bool has_callback() const noexcept { return has_callback_; }

  // coefficients: n_points x inputs x n_coefficients; parameters[g - 1]: the inputs of group g;
  // result: n_points x outputs x (order + 1).
  Outcome evaluate(Size n_points, const double* coefficients, const double* const* parameters,
                   double* result) const noexcept;
  // For one point whose result is not finite.
  Outcome find_failure(const double* coefficients, const double* const* parameters,
                       TaylorFailure& failure) const noexcept;

 private:
  friend class TaylorPoints;

  // A run, and where its series are: element i at (at + i (2 last + 3)) lanes numbers.
  struct Step {
    TapeRun run;
    int last;
    Size at, values;  // values: of constants, where they begin; of inputs, the group
  };

  int degree_of(const TapeRun& run, const std::vector<int>& degree) const;
  int degree_of(const TapeOperand& operand, const std::vector<int>& degree) const;
  void place(TapeView outputs);
  void count_work();
  int last_of(const TapeOperand& operand) const noexcept;
  const Step& step_of(TapeId id) const noexcept {
    return steps_[static_cast<std::size_t>(step_of_[static_cast<std::size_t>(id)])];
  }

  int n_coefficients_, order_;
  bool has_callback_ = false, packs_one_ = false;
  std::vector<Step> steps_;
  std::vector<std::int32_t> step_of_, input_groups_;
  std::vector<double> constants_;
  TapeIds outputs_;
  // Numbers per lane of all series; series that are packed at a time; terms; numbers of a kernel's scratch.
  Size size_ = 0, packed_ = 0, n_operands_ = 4, scratch_ = 0;
  double ns_ = 0;  // of a point
};

}  // namespace mmlfast::drivers
