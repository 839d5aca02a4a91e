// The smallest value of a function of a few variables under equations, by Newton's method on the conditions of
// Lagrange.
#pragma once

#include "runtime/non_copyable.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// A function of n variables, and m equations c(x) = 0. False stops everything.
class EquationsFunction : NonCopyable {
 public:
  virtual ~EquationsFunction() = default;
  // The value and its gradient; c, and its Jacobian by rows.
  virtual bool evaluate(const double* x, double& value, double* gradient, double* c, double* jacobian) noexcept = 0;
  // Of the Lagrangian, value - multipliers' c.
  virtual bool hessian(const double* x, const double* multipliers, double* h) noexcept = 0;
};

struct EquationsResult {
  // Whether x is a minimum without a doubt: everything finite, gradients of the equations far from dependent on each
  // other, all curvatures along them positive, and no step left but rounding. All else is somebody else's to look at.
  bool found = false;
  Size n_iter = 0, n_evaluations = 0;
  double value = 0;
};

// Where it starts and what it comes to; whoever calls owns the arrays.
struct EquationsPoint {
  double* x = nullptr;            // n, IN, OUT
  double* gradient = nullptr;     // n
  double* c = nullptr;            // m
  double* multipliers = nullptr;  // m
  double* scales = nullptr;       // n: units of the variables
};

// The iteration of mmlfast/optimize/_sqp.py, as far as nothing is out of the ordinary. 1 <= m <= n.
Outcome minimize_under_equations(EquationsFunction& f, Size n, Size m, const EquationsPoint& point, Size max_iter,
                                 EquationsResult& result) noexcept;

}  // namespace mmlfast::drivers
