// One step of gradient descent for many runs, one run in each lane: with a fixed rate and momentum, or with a rate that
// is looked for by backtracking.
//
//   lanes      a multiple of 8; row i of an array with several rows lies i * lanes behind the first
//   results    IN       pointers to rows: the value and the n derivatives at the points `at`; `gradient` without the
//                       value
//   state      IN, OUT  x, velocity, at (n rows), gradient (n rows) and value for backtracking, rate, n_iter, status
//                       (DescentStatus as numbers)
//              IN       start (n rows), momentum, tol
//                       Lanes whose status is not `running` are left as they are, except for `at`.
//   Returns how many lanes still run.
//
// fixed:         v = momentum v - rate g(at), x = x + v; at = x, in Nesterov's form x + momentum v; at is OUT only
// backtracking:  at = x - rate g(x); if that is low enough (Armijo; where values differ by rounding only, by slopes), x
//                = at and the rate is doubled, else halved. The first call of all, or after a pause (`fresh`), takes at
//                = x for what it is.
// A lane stops where a step is at most tol times the size of every variable, which is the larger one of |x| and of its
// distance from the start; where numbers are not finite; after max_iter steps.
//
// Flops: 6 n a lane (10 n for backtracking); bytes: those of the arguments, once. Accuracy: that of the gradient.
// Failure: none; NaN ends a lane. An item's bits do not depend on the items beside it.
//
// Source: Polyak 1964 (momentum), Nesterov 1983; Nocedal and Wright, Numerical Optimization, 2nd ed., chapter 3.
//
//     v = momentum * v - rate * gradient(x); x = x + v                     # numpy arrays
#pragma once

#include <cstddef>

#include "simd/level.hpp"

namespace mmlfast {

enum class DescentStatus : int { running, converged, not_finite, slow };

struct DescentLanes {
  double *x, *velocity, *at, *gradient, *value, *rate, *n_iter, *status;
  const double *start, *momentum, *tol;
};

struct GradientDescent {
  std::ptrdiff_t (*fixed)(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* gradient,
                          const DescentLanes& state, bool nesterov, double max_iter);
  std::ptrdiff_t (*backtracking)(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* results,
                                 const DescentLanes& state, bool fresh, double max_iter);
};

MMLFAST_KERNEL_TABLE(GradientDescent, gradient_descent)

}  // namespace mmlfast
