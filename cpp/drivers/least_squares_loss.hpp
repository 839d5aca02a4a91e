// Losses that large residuals count less in, by the formulas of scipy.optimize.least_squares.
#pragma once

#include "drivers/least_squares.hpp"

namespace mmlfast::drivers {

// sum of scale^2 rho((r / scale)^2).
double loss_of(Loss loss, double scale, const double* r, Size m) noexcept;

// What of the curvature of a loss goes into the Jacobian where it is small or negative: for a search a hundredth of the
// slope, so that residuals keep their size and steps theirs; nothing, as SciPy has it in the Jacobian of its result.
enum class Curvature : std::uint8_t { for_search, as_scipy };

// Residuals and the factors of the rows of their Jacobian for which plain least squares has the gradient of the loss
// and, as far as it is positive, its curvature.
void scale_by_loss(Loss loss, double scale, Curvature curvature, const double* r, Size m, double* scaled,
                   double* row_factors) noexcept;

}  // namespace mmlfast::drivers
