// The smallest value of a function of n variables by the BFGS method, from its values and gradients.
#pragma once

#include <cstdint>

#include "kernels/bfgs.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// A function and its gradient, and what is done after each step. False stops everything: an exception is set.
class BfgsFunction {
 public:
  virtual ~BfgsFunction() = default;
  virtual bool evaluate(const double* x, double& value, double* gradient) noexcept = 0;
  virtual bool stepped(const double* x, double value) noexcept = 0;
};

struct BfgsLimits {
  double tol;    // of a step relative to each variable
  double noise;  // of a value relative to it
  Size max_iter;
};

enum class BfgsEnd : int {
  converged,   // to `tol`, or until rounding ended it
  slow,        // max_iter
  no_step,     // no point along the direction is lower, although the gradient says so
  not_finite,  // at the start
  unbounded,   // a value of minus infinity
};

struct BfgsResult {
  BfgsEnd end = BfgsEnd::slow;
  Size n_iter = 0, n_evaluations = 0;
  double value = 0, decrease = 0;  // what the model says that is left to gain
};

// x, gradient: n numbers; x IN, OUT. diagonal: the inverse Hessian at first, positive numbers. inverse: n x n, OUT.
Outcome bfgs(BfgsFunction& f, Size n, double* x, double* gradient, const double* diagonal, const BfgsLimits& limits,
             double* inverse, BfgsResult& result) noexcept;

}  // namespace mmlfast::drivers
