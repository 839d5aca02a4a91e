// Residuals of a traced model of one point, evaluated at many: in blocks, SIMD lanes and threads. Its tape does not
// grow with the number of points.
#pragma once

#include "drivers/least_squares_tape.hpp"

namespace mmlfast::drivers {

// Programs have the numbers of a point as their x, then p, then `fixed`, and the last of them v. All that is pointed to
// stays where it is.
struct RowModel {
  const TapeProgram* values = nullptr;        // 1
  const TapeProgram* jacobian = nullptr;      // n: the derivatives by p
  const TapeProgram* second = nullptr;        // 1: the second derivative along v, which is one more group
  const TapeDoubleDouble* precise = nullptr;  // the value again
  const double* x = nullptr;                  // m rows
  const double* fixed = nullptr;              // or none
  Size m = 0;
  const double* y = nullptr;          // m
  const double* weights = nullptr;    // m, or none
  const double* whitening = nullptr;  // m x m, row-major, lower triangular; or none
  TapeCallback callback;
};

class RowResiduals : public TracedResiduals {
 public:
  explicit RowResiduals(const RowModel& model) noexcept;

  bool residuals(const double* p, double* r) noexcept override;
  bool jacobian(const double* p, const double* r, double* columns, Size ld) noexcept override;
  Answer second_derivative(const double* p, const double* v, double* r_vv) noexcept override;
  Answer precise_residuals(const double* p, double* r) noexcept override;

 private:
  void weigh(double* r) const noexcept { weigh_residuals(model_.weights, model_.whitening, n_residuals(), r); }

  RowModel model_;
};

}  // namespace mmlfast::drivers
