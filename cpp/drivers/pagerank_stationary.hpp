// PageRank at damping 1 and next to it, where float32 does not see how far from 1 it is: the stationary distribution of
// the walk, by the power method on half a step, x <- (x + G x) / 2, which converges on cycles too. Where the graph has
// several closed groups of nodes the answer at damping 1 depends on the start, which is the personalization: it is the
// limit of the answers for damping below 1.
#pragma once

#include "drivers/links.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

struct Stationary {
  Size n_iter = 0;
  double residual = 0;  // norm of G x - x
  Outcome outcome;
};

// Where a walk goes that follows no link: v from any node, w from those that no link leaves.
struct Jumps {
  double damping;
  const double *v, *w;
};

// start: where the walk begins, with sum 1; x OUT: answer, with sum 1, in the new order. Stops at a residual of at most
// `tol`.
Stationary stationary(const Links& links, const Jumps& jumps, const double* start, double tol, Size max_iter,
                      Team& team, double* x);

}  // namespace mmlfast::drivers
