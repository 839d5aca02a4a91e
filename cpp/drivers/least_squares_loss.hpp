// Losses that large residuals count less in, by the formulas of scipy.optimize.least_squares.
#pragma once

#include "drivers/least_squares.hpp"

namespace mmlfast::drivers {

// rho and its first two derivatives at z >= 0.
struct Rho {
  double value, first, second;
};
Rho rho_of(Loss loss, double z) noexcept;  // not of Loss::other

// What of the curvature of a loss goes into the Jacobian where it is small or negative: for a search a hundredth of the
// slope, so that residuals keep their size and steps theirs; nothing, as SciPy has it in the Jacobian of its result.
enum class Curvature : std::uint8_t { for_search, as_scipy };

// By what a row of the Jacobian is multiplied.
double row_factor(Curvature curvature, const Rho& rho, double z) noexcept;

class LossFunction {
 public:
  // other: of Loss::other.
  LossFunction(Loss loss, double scale, OtherLoss* other) noexcept : loss_(loss), scale_(scale), other_(other) {}

  bool is_linear() const noexcept { return loss_ == Loss::linear; }
  // sum of scale^2 rho((r / scale)^2); work: 4 m numbers. False: stop.
  bool sum(const double* r, Size m, double* work, double& result) const noexcept;
  // Residuals and the factors of the rows of their Jacobian for which plain least squares has the gradient of the loss
  // and, as far as it is positive, its curvature.
  bool scale(Curvature curvature, const double* r, Size m, double* work, double* scaled,
             double* row_factors) const noexcept;

 private:
  bool evaluate(const double* r, Size m, double* work) const noexcept;

  Loss loss_;
  double scale_;
  OtherLoss* other_;
};

}  // namespace mmlfast::drivers
