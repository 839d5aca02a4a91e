// Sixteen rankings at once, one strongly connected component of the graph after the other: the passes over the links
// and nodes of components. The driver (drivers/pagerank_components.hpp) holds the method.
//
// Rows lie in such an order that a row reads only rows of its own component and of those before. Those of other
// components are read once, with their last values; only links within a component are gone through over and over, by
// Gauss-Seidel with nothing between threads, while its rows are in cache. Pages made from one template have the same
// links to them: a row with the links of the row before takes its sum. A link from a node to itself is no iteration:
// x = a + d s x has the solution a / (1 - d s).
// The sweeps find a correction in float32; residual and solution are in float64, as two halves of eight rankings, and
// what arrives in float64 comes from pull_lanes (kernels/pagerank.hpp).
//
// Entry (r, l) of float32 arrays is at [16 r + l]. z = damping * x / strength is what a node gives to each of its
// links. enter: rows [first, last): right[r] += sum of z over links from other components; z[r] = what follows from
// that and
//        the link to itself alone, which is the answer where the component is a single row.
//   damping  IN  16 numbers;  right  IN, OUT;  z  IN, OUT
// sweep: rows [first, last) of one component: x[r] = right[r] + sum of z over the links within it; z[r] anew in lanes
//        with live[l] > 0.
//   live     IN  16 numbers;  right  IN;  z  IN, OUT
//   sums     OUT  2 x 16: sums of strength * |change of z|, and of strength * |z|
// advance: y[8 r + l] = max(0, y + scale[l] * strength * z32[16 r + l]), z[8 r + l] = damping * y / strength.
// residual: r = (right - y) + t; r32[16 r + l] = scale[l] * r.  Eight lanes: z32 and r32 begin at the first of them.
//   sums     OUT  4 x 8: |r|, r, y, t
//
// Flops: 16 additions per link; bytes: 4 per link (12 with weights) and one line of 64 bytes of z, from the nearest
// cache that holds the component; three lines per row.
// Accuracy: float32 in enter and sweep, about 1e-6 of the correction; advance and residual are float64.
//
// Sources: Avrachenkov and Litvak, Decomposition of the Google PageRank and optimal linking strategy, INRIA RR-5101
// (2004); Engstrom and Silvestrov, PageRank for networks, graphs, and Markov chains, Theory Probab. Math. Statist. 96
// (2018): by strongly connected components; Higham, Accuracy and Stability, 2nd ed., chapter 12: refinement in mixed
// precision.
//
// NumPy, for a component with rows c, and its links `inner` and those from before, `outer`:
//     right[c] += outer @ z
//     for r in c: x[r] = (right[r] + inner[r] @ z) / (1 - d * own[r]); z[r] = d * x[r] / strength[r]
#pragma once

#include "kernels/common/arriving_links.hpp"
#include "simd/level.hpp"

namespace mmlfast {

struct RankComponentsKernel {
  static constexpr int lanes = 16;
  static constexpr int half = 8;

  void (*enter)(const ComponentRows& rows, const float* damping, std::int64_t first, std::int64_t last, float* right,
                float* z);
  void (*sweep)(const ComponentRows& rows, const float* damping, const float* live, std::int64_t first,
                std::int64_t last, const float* right, float* z, float* sums);
  void (*advance)(const double* damping, const double* inverse_strength, const float* strength, const double* scale,
                  const float* z32, std::int64_t n, double* y, double* z);
  void (*residual)(const double* right, const double* t, const double* y, const double* scale, std::int64_t n,
                   float* r32, double* sums);
};

MMLFAST_KERNEL_TABLE(RankComponentsKernel, rank_components_f32)

}  // namespace mmlfast
