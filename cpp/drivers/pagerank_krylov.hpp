// The linear system behind a PageRank, (I - damping P') y = b on the nodes that links leave, solved by restarted GMRES
// in float32 inside a refinement in float64, with one sweep of block Gauss-Seidel as preconditioner.
//
// Why: a sweep of Gauss-Seidel or of the power method takes the error down by the damping where a graph has closed
// groups of nodes, as every web has; a Krylov space of ten sweeps finds these few directions and is done with them. The
// inner vectors need six digits, so float32 will do, which halves what a random access has to find in cache. What
// counts is the residual in float64, computed afresh at every restart.
#pragma once

#include "drivers/pagerank.hpp"
#include "drivers/pagerank_finish.hpp"

namespace mmlfast::drivers {

// The ranking for jumps to v. Nodes without links out give to `dangling`, or to v if it is nullptr.
Outcome rank_by_krylov(const Links& links, const OrderedVector& v, const OrderedVector* dangling, const RankStop& stop,
                       Team& team, double* score, RankCertificate& certificate);

}  // namespace mmlfast::drivers
