// PageRank of small dense graphs by elimination, eight at once, one per SIMD lane.
//
//   links    IN       n x n item per lane, any strides: the weight of the link i -> j
//   jumps    IN       n x 1 per lane: v, where jumps go, not negative, with sum 1
//   dangling IN       n x 1 per lane: w, where rows of zeros go, not negative, with sum 1
//   damping  IN       d, one number per lane, 0 <= d < 1
//   score    OUT      n x 1 per lane, not negative, with sum 1
//   bound    OUT      what the sum of the absolute errors of the scores is at most, one number per lane, at most 2
//   scratch  SCRATCH  scratch_vectors(n) vectors of 64 bytes, 64-byte aligned
//   returns  bit l set if the links of lane l are not all finite and not negative, or a sum of a row overflows or is
//   below 1e-250: that lane's scores and bound are NaN
//
// Solves (I - d P') x = (1 - d) v, where P is `links` with its rows divided by their sums. Without pivots: the rows of
// I - d P are an M-matrix with sums 1 - d, so every pivot is the sum of what leaves its node, entries and 1 - d, and no
// number is ever subtracted from another [1]. Each entry of x has a relative error of a few n^2 u for any damping below
// 1. One more step of the power method gives the scores, and the bound by its residual r: 2 d sum |r| / (1 - d), and
// (n + 8) u / (1 - d) for the rounding of P, of the step and of its sums.
//
// Flops: 2/3 n^3 + 6 n^2 per item; bytes: each item is read once. Accumulation in float64 with fused multiply-add, in a
// fixed order.
//
// Source: [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Regenerative analysis and steady state distributions for
// Markov chains, Operations Research 33 (1985); A. S. Alfa, J. Xue, Q. Ye, Accurate computation of the smallest
// eigenvalue of a diagonally dominant M-matrix, Math. Comp. 71 (2002).
//
//     s = a.sum(1)[:, None]; p = numpy.where(s > 0, a / s, w)
//     x = numpy.linalg.solve(numpy.eye(n) - d * p.T, (1 - d) * v)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// One pointer per lane to the first number of each operand.
struct DenseLinks {
  const double *const *links, *const *jumps, *const *dangling, *const *damping;
  Layout links_layout, jumps_layout, dangling_layout;
};
struct DenseScores {
  double *const *score, *const *bound;
  Layout score_layout;
};

struct PagerankDense {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t n);
  LaneBits (*rank)(const DenseLinks& links, const DenseScores& scores, void* scratch);
};

MMLFAST_KERNEL_TABLE(PagerankDense, pagerank_dense)

}  // namespace mmlfast
