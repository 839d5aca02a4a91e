// The steps of a plan at one point, or at eight points in lanes.
#pragma once

#include "drivers/tape_taylor.hpp"

namespace mmlfast::drivers {

// Are the terms of a reduction in the lanes, at one point, rather than results? Where there are few results.
constexpr bool taylor_across(Size count, Size terms) { return count < 4 && terms > 1; }

class TaylorPoints {
 public:
  static Size bytes(const TaylorPlan& plan, bool in_lanes) noexcept;
  TaylorPoints(const TaylorPlan& plan, bool in_lanes, void* memory) noexcept;

  // At `count` points; the last one again in the lanes that are left. Stops at the first failure if it is asked for.
  void run(int count, const double* coefficients, const double* const* parameters,
           TaylorFailure* failure = nullptr) noexcept;
  void write(int count, double* result) const noexcept;

 private:
  using Step = TaylorPlan::Step;

  double* series(const Step& step, std::int32_t i) const noexcept {
    return values_ + lanes_ * (step.at + Size{i} * taylor_rows(step.last));
  }
  double* series(TapeId id) const noexcept {
    const Step& step = plan_.step_of(id);
    return series(step, id - step.run.first);
  }
  TaylorOperand operand(TapeId id) const noexcept { return {series(id), plan_.step_of(id).last}; }

  void set_constants(const Step& step, const double* numbers) const noexcept;
  void set_inputs(const Step& step, int count, const double* coefficients) const noexcept;
  TaylorOperand pack(const TapeOperand& ids, std::int32_t first, std::int32_t stride, int count, bool with_zeros,
                     double*& to) const noexcept;
  void unpack(const Step& step, std::int32_t first, int count, const double* from) const noexcept;
  void elementwise(const Step& step) const noexcept;
  void packed_elementwise(const Step& step) const noexcept;
  void reduce(const Step& step) const noexcept;
  void packed_reduce(const Step& step) const noexcept;
  void whole(const Step& step) const noexcept;
  bool find_failure(const Step& step, TaylorFailure& failure) const noexcept;
  bool is_finite(TapeId id) const noexcept;

  const TaylorPlan& plan_;
  const TapeTaylor& kernel_;
  Size lanes_;
  double *values_, *packed_, *scratch_;
  TaylorOperand* operands_;
};

}  // namespace mmlfast::drivers
