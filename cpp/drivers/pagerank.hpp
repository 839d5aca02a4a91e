// PageRank of a prepared graph, with a bound on the error of the answer.
#pragma once

#include "drivers/common/link_components.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// When to stop: at a certified L1 error of at most `tol`, or after `max_iter` sweeps over the links. 0 <= damping <= 1.
struct RankStop {
  double damping, tol;
  Size max_iter;
};

// At damping 1 no bound follows from the residual: `error_bound` is then the residual itself, and so is what `tol`
// limits.
struct RankCertificate {
  double error_bound = 0;
  Size n_iter = 0;
  bool converged = false;
};

// By old node numbers, not negative, with sum 1. `dangling` is where the score of nodes without links out goes: nullptr
// for `personalization`. `start` is a first answer that is to be made better, step by step, and certified: nullptr for
// none.
struct RankVectors {
  const double* personalization;
  const double* dangling;
  const double* start;
};

// score OUT: n_nodes numbers by old node number, not negative, with sum 1.
Outcome pagerank(const Links& links, const RankVectors& vectors, const RankStop& stop, double* score,
                 RankCertificate& certificate) noexcept;

// `count` rankings at once: personalization and score are count x n_nodes, row by row; stop and certificate one each.
// The score of nodes without links out goes to the personalization. `components` are those of `links`, or nullptr.
Outcome pagerank_many(const Links& links, const LinkComponents* components, Size count, const double* personalization,
                      const RankStop* stop, double* score, RankCertificate* certificate) noexcept;

// Rankings of one call, row by row; `done` says which have their answer.
struct RankTable {
  const double* personalization;
  const RankStop* stop;
  double* score;
  RankCertificate* certificate;
  bool* done;
};

}  // namespace mmlfast::drivers
