// Derivatives of residuals by differences, whose steps are chosen by what they do: relative to the parameter at first,
// then such that the residuals change by enough to be seen and by little enough to be linear. Never outside of bounds.
#pragma once

#include "drivers/least_squares.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

class LeastSquaresDifferences : NonCopyable {
 public:
  // Bounds: n numbers each, or none.
  LeastSquaresDifferences(Size m, Size n, const double* lower, const double* upper) noexcept;
  explicit operator bool() const noexcept { return static_cast<bool>(memory_); }

  // Both sides of each parameter from now on, where bounds leave room: errors of 1e-10 for twice the evaluations.
  void refine() noexcept { both_sides_ = true; }
  // As ResidualFunction::jacobian.
  bool jacobian(ResidualFunction& function, const double* p, const double* r, double* columns, Size ld) noexcept;
  Size n_evaluations() const noexcept { return n_evaluations_; }

 private:
  // One column. False: the function failed.
  bool column(ResidualFunction& function, Size j, const double* r, double* to) noexcept;
  bool change(ResidualFunction& function, Size j, double step, const double* r, double* to, double& size) noexcept;
  double feasible(Size j, double step) const noexcept;

  Size m_, n_;
  const double *lower_, *upper_;
  AlignedBuffer<double> memory_;
  double *p_, *steps_, *other_;  // n, n, m
  double start_ = 0, size_ = 0;
  bool both_sides_ = false;
  Size n_evaluations_ = 0;
};

}  // namespace mmlfast::drivers
