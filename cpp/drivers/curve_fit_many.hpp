// Fits of one model to many data sets, each by itself: what comes out for one of them does not depend on the others,
// nor on threads. Eight at a time are in the lanes of a worker; one that is finished makes room for the next.
#pragma once

#include <cstdint>

#include "drivers/least_squares.hpp"
#include "drivers/tape_rows.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Of a fit; negative: there is no answer.
enum class FitStatus : std::int8_t {
  not_done = 0,
  converged = 1,
  undetermined = 2,  // and there are combinations of parameters that do not matter
  too_many_steps = -1,
  model_not_finite = -2,  // at the first parameters
  stagnated = -3,
  too_few_rows = -4,  // fewer than parameters
  bad_data = -5,      // not finite
  bad_start = -6,     // likewise
  out_of_range = -7,  // numbers so large or small that their squares are not
};

// Item i of an array is `stride` numbers after item i - 1: 0, the same for all.
struct FitNumbers {
  const double* data = nullptr;
  Size stride = 0;

  const double* of(Size fit) const noexcept { return data == nullptr ? nullptr : data + fit * stride; }
};

struct CurveFits {
  const TapeRows* model;  // its outputs are the value and the derivatives by the first n parameters
  Size n_fits, n_rows, n;
  FitNumbers x, y;          // rows of the model's numbers; the value to be met
  FitNumbers weights;       // 1 / sigma, 0 for rows that are left out; may be empty
  FitNumbers start;         // all parameters of the model: n to begin with, and those that are not fitted
  FitNumbers lower, upper;  // of n parameters; may be empty
  double most_evaluations;
  Loss loss = Loss::linear;  // not Loss::other
  double loss_scale = 1;     // of weighted residuals
};

// Of each fit; what has no answer is NaN.
struct CurveFitResults {
  double* parameters;  // n
  double* inverse;     // n x n: the inverse of J'J of what is not held, J being weighted (with a loss, rows are scaled
                       // as SciPy's are); 0 for what is at a bound
  double *cost, *condition;            // the sum of squares, or of scale^2 rho((r / scale)^2)
  std::int32_t *evaluations, *n_used;  // of the model, rows
  std::int8_t* status;
  std::uint8_t* held;  // n: 1 for parameters at a bound that holds them, 2 for those without influence
};

// Interrupted: fits that are not done have the status not_done.
Outcome curve_fit_many(const CurveFits& fits, const CurveFitResults& results) noexcept;

}  // namespace mmlfast::drivers
