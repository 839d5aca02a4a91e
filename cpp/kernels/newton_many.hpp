// One step of Newton's method for many starts, one start in each lane.
//
//   lanes      a multiple of 8; row i of an array with several rows lies i * lanes behind the first
//   results    IN       pointers to rows: the n values of the functions at x; the n n of the Jacobian, row by row; for
//                       n = 1, if it bends, the second derivative (the step is then Halley's)
//   state      IN, OUT  x (n rows), checkpoint (n rows), moved, n_iter, status (a row each; NewtonStatus as numbers).
//                       Lanes whose status is not `running` keep x, n_iter and status. n_iter is set where a lane ends.
//   scratch    SCRATCH  n n + 2 n numbers
//   Returns how many lanes still run.
//
// A lane stops: with a step of at most tol |x| in every variable, or f = 0 (converged); with a step that is small and
// no smaller than the one before, which is as near as the rounding of f allows (stalled); with a derivative of zero, or
// a singular Jacobian; where x is not finite; where x has come back to a checkpoint, taken at every power of two of the
// steps (Brent's way to find a cycle).
//
// Flops: 10 a lane for n = 1, n^3 / 3 + n^2 otherwise; bytes: those of the arguments, once.
// Accuracy: that of f; two equations are solved by Cramer's rule, more by elimination with partial
// pivoting on rows scaled to their largest entry.
// Failure: none; NaN ends a lane as "not finite". An item's bits do not depend on the items beside it.
//
// Source: Dennis and Schnabel, Numerical Methods for Unconstrained Optimization and Nonlinear Equations, 1983; Brent,
// BIT 20, 1980 (cycles).
//
//     x -= numpy.linalg.solve(jacobian(x), f(x))
#pragma once

#include <cstddef>

#include "simd/level.hpp"

namespace mmlfast {

enum class NewtonStatus : int { running, converged, stalled, no_slope, not_finite, cycle };

struct NewtonLanes {
  double *x, *checkpoint, *moved, *n_iter, *status;
};

struct NewtonStep {
  double tol, number;  // the number of the step, from 1
  bool takes_checkpoint, looks_for_cycles;
};

struct NewtonMany {
  std::ptrdiff_t (*step)(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* results, bool bends,
                         const NewtonLanes& state, const NewtonStep& settings, double* scratch);
};

MMLFAST_KERNEL_TABLE(NewtonMany, newton_many)

}  // namespace mmlfast
