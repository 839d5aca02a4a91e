// Residuals of a traced model: (model(p) - y) by weights, or by the inverse of a triangle.
#pragma once

#include <memory>

#include "drivers/least_squares.hpp"
#include "drivers/tape.hpp"
#include "drivers/tape_double_double.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Programs have p as their x; `data` are their further groups. All that is pointed to stays where it is.
struct TapeModel {
  const TapeProgram* values = nullptr;        // m
  const TapeProgram* jacobian = nullptr;      // n x m: the derivatives by p[0], then those by p[1], ...
  const TapeProgram* second = nullptr;        // m: the second derivative along v, which is one more group; or none
  const TapeDoubleDouble* precise = nullptr;  // the values again; or none
  const double* const* data = nullptr;
  Size n_data = 0;
  const double* y = nullptr;          // m, or none: zero
  const double* weights = nullptr;    // m, or none
  const double* whitening = nullptr;  // m x m, row-major, lower triangular: residuals are L^-1 (model - y); or none
  TapeCallback callback;
};

// r by weights and by the inverse of a triangle, where there are such.
void weigh_residuals(const double* weights, const double* whitening, Size m, double* r) noexcept;

// What residuals of traced models have in common.
class TracedResiduals : public ResidualFunction {
 public:
  // Not ok after an answer of `false` or `stop`.
  const Outcome& outcome() const noexcept { return outcome_; }

 protected:
  TracedResiduals(Size n_residuals, Size n_parameters) noexcept
      : ResidualFunction(n_residuals, n_parameters), derivatives_(checked_product(n_residuals, n_parameters)) {}

  AlignedBuffer<double> derivatives_;
  Outcome outcome_;
};

class TapeResiduals : public TracedResiduals {
 public:
  TapeResiduals(const TapeModel& model) noexcept;

  bool residuals(const double* p, double* r) noexcept override;
  bool jacobian(const double* p, const double* r, double* columns, Size ld) noexcept override;
  Answer second_derivative(const double* p, const double* v, double* r_vv) noexcept override;
  Answer precise_residuals(const double* p, double* r) noexcept override;

 private:
  void weigh(double* r) const noexcept;

  TapeModel model_;
  TapeEvaluator values_, jacobian_;
  AlignedBuffer<Double2> precise_;
  AlignedBuffer<const double*> data_;
};

}  // namespace mmlfast::drivers
