// The passes of a PageRank: sweeps over the links that arrive at each node (kernels/links.hpp), and what a Krylov
// method does to its vectors between them. The driver holds the method; here is what touches every link or every node.
//
// Nodes have their new numbers; the first n_core are those that links leave. z has 2 n_core entries: z[j] is what node
// j gives to each of its links, damping * x[j] / strength[j], and z[n_core + j] the same as written by the sweep
// itself. A column c of the links reads z[c]: those of the block's own earlier rows read what has just been written,
// which makes the sweep Gauss-Seidel within a block and Jacobi between blocks, with no test and the same bits for any
// number of threads.
//
// relax: rows [first, last) of one block of the core: out[r] = right[r] + sum of z over the links that arrive; then
//        z[n_core + r] = factor[r] * out[r]. float32: it is the inner iteration.
//   right   IN   or nullptr for zero;  factor  IN  damping / strength;  z  IN, OUT;  out  OUT
// pull:  rows [first, last): out[r] = the sum alone, in float64; z's second half must repeat the first.
//        With `twice`, summed as if in twice the precision.
// project: u = x - a in place of a, for entries [first, last); sums[i] = u'basis[i], sums[count] = u'u.
//   basis   IN   `count` vectors;  x, a  float32, x may be nullptr: u = a;  sums  OUT  count + 1 numbers in float64
// subtract: w = scale * (u - sum of c[i] basis[i]) and z = factor * w.  Returns w'w.
// advance: y += sum of c[i] basis[i], at least 0; z = scale * y in both halves. All sums in float64.
// residual: r = teleport + t - y, written as float32 times `scale`; returns the sums of |r|, r, y and t.
// relax_lanes, pull_lanes: the same for eight rankings at once, entry (r, l) at [8 r + l], all in float64. relax_lanes
//        writes `out` only if it is not nullptr. pull_lanes takes a z of n_core entries and reads z[c - n_core] for the
//        columns beyond. Columns are read 16 entries past the last link, to prefetch z.
// remember_lanes: the residual r = right + t - y of each ranking, and what changed since the last time: r replaces
//        that of the history, whose y is the one before; if count > 0, the differences of `newest` are written.
//   sums    OUT  per lane, row by row: |r|, r, y, t as in RankResidual; then the products dr_i'dr_j, i <= j, in the
//                order (0, 0), (0, 1), (1, 1), (0, 2), ...; then dr_i'r, for i, j < count
// mix_lanes: z = factor * max(0, (y + r) - sum of c[i] (dy_i + dr_i)): the step that makes the residual least [3].
//
// Flops: one addition (two with weights) per link; bytes: 4 per link (12 with weights), 8 per row, and a random access
// to z, which is what takes the time. project, subtract and advance read `count` vectors once.
// Accuracy: relax, project and subtract are good to about 1e-6, which is all an inner iteration needs. pull has a
// relative error of at most (links of the row / 4 + 5) u, with `twice` 3 u, as all terms are positive; the lanes have
// two chains of additions, not four: (links of the row / 2 + 5) u.
//
// Sources: Del Corso, Gulli and Romani, Fast PageRank computation via a sparse linear system, Internet Mathematics 2
// (2005): no equation for the nodes without links out; Saad, Iterative Methods for Sparse Linear Systems, 2nd ed.,
// sections 6.5 (GMRES) and 4.2 (block Gauss-Seidel); [3] Walker and Ni, Anderson acceleration for fixed-point
// iterations, SIAM J. Numer. Anal. 49 (2011).
//
// NumPy:
//     out[r] = z[columns[starts[r]:starts[r + 1]]].sum() + right[r]
#pragma once

#include "kernels/common/arriving_links.hpp"
#include "simd/level.hpp"

namespace mmlfast {

struct RankResidual {
  double absolute, sum, of_y, of_t;  // sums of |r|, r, y, t
};

// z = damping[l] * inverse_strength[r] * out for ranking l and row r.
struct LaneFactors {
  const double* damping;
  const double* inverse_strength;
};

// What an accelerated iteration keeps: the last solution and residual, and how they changed in the last few steps. The
// differences are in float32: they are small, and their errors only cost a little of the acceleration.
struct LaneHistory {
  static constexpr int most = 3;
  double* y;
  double* r;
  float* dy[most];
  float* dr[most];
  int count, newest;
};

struct PageRankKernel {
  static constexpr int lanes = 8;
  static constexpr int most_lane_sums = 4 + LaneHistory::most * (LaneHistory::most + 3) / 2;
  static constexpr int most_basis = 40;

  void (*relax)(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const float* right,
                const float* factor, float* z, float* out);
  void (*pull)(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const double* z, bool twice,
               double* out);
  void (*project)(const float* const* basis, int count, const float* x, float* a, std::int64_t first, std::int64_t last,
                  double* sums);
  double (*subtract)(const float* const* basis, const float* c, int count, const float* u, float scale,
                     const float* factor, std::int64_t first, std::int64_t last, float* w, float* z);
  void (*advance)(const float* const* basis, const double* c, int count, const double* scale, std::int64_t first,
                  std::int64_t last, double* y, double* z, std::int64_t n_core);
  RankResidual (*residual)(const double* teleport, const double* t, const double* y, double scale, std::int64_t first,
                           std::int64_t last, float* r);
  void (*relax_lanes)(const ArrivingLinks& links, const LaneFactors& factors, std::int64_t first, std::int64_t last,
                      const double* right, double* z, double* out);
  void (*remember_lanes)(const double* right, const double* t, const double* y, const LaneHistory& history,
                         std::int64_t first, std::int64_t last, double* sums);
  void (*mix_lanes)(const LaneFactors& factors, const LaneHistory& history, const double* c, std::int64_t first,
                    std::int64_t last, double* z);
  void (*pull_lanes)(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const double* z, double* out);
};

MMLFAST_KERNEL_TABLE(PageRankKernel, pagerank_f64)

}  // namespace mmlfast
