// The smallest value of a function of a few variables by Newton's method in a trust region, from second derivatives.
#pragma once

#include "drivers/bfgs.hpp"

namespace mmlfast::drivers {

// With a dense Hessian, n x n, besides.
class NewtonFunction : public BfgsFunction {
 public:
  virtual bool hessian(const double* x, double* h) noexcept = 0;
};

enum class NewtonEnd : int {
  converged,   // to `tol`, or until rounding ended it
  slow,        // max_iter
  no_step,     // no point nearby is lower, although the derivatives say so
  not_finite,  // value or gradient at the start
  unbounded,   // a value of minus infinity
  no_hessian,  // second derivatives that are not finite
  far,         // x grows without end
};

struct NewtonResult {
  NewtonEnd end = NewtonEnd::slow;
  Size n_iter = 0, n_evaluations = 0, n_hessians = 0;
  double value = 0, decrease = 0;  // what the model says that is left to gain
  double leap = 0;                 // the last step beside all of the way before it
};

// The iteration of mmlfast/optimize/_trust_region.py, without bounds. x, gradient: n numbers; x IN, OUT. hessian: n x
// n, OUT, that of the last model.
Outcome newton(NewtonFunction& f, Size n, double* x, double* gradient, double tol, Size max_iter, double* hessian,
               NewtonResult& result) noexcept;

}  // namespace mmlfast::drivers
