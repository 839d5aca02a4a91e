// From the solution on the core of a graph to scores of all nodes, and the bound on their error.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/pagerank_blocks.hpp"

namespace mmlfast::drivers {

// A sum with compensation: the scores are to have sum 1 to a few units in the last place.
class CarefulSum {
 public:
  void add(double x) {
    const double next = sum_ + x, part = next - sum_;
    lost_ += (sum_ - (next - part)) + (x - part);
    sum_ = next;
  }
  double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0, lost_ = 0;
};

// A vector in the new order of the nodes, entry r at data[stride * r], and its sum over those outside the core.
struct OrderedVector {
  const double* data;
  double of_rest;
};

// What the core of the graph was solved to: y on the core, and t, what arrives at every node by links.
struct CoreSolution {
  const double* y;
  double* t;
  double damping;
};

// One more step of the power method, x = b + t, where b is what jumps to v and what goes from nodes without links out
// to w; scores are x / sum(x) in the old order of the nodes. All vectors have entry r at [stride * r]; x is left in t.
//
// The answer before that step was y on the core and x elsewhere, which leaves a residual on the core alone, and the
// step takes the error down by the damping. Hence the error of the scores is at most damping / (1 - damping) times the
// norm of that residual, and as much again as its sum, by which x and y differ in scale. Returns this, rounding apart;
// NaN if there is no memory.
class ScoreFinish {
 public:
  ScoreFinish(const Links& links, Team& team) : links_(links), team_(team), sums_(3 * (links.n_blocks() + 1)) {}

  double run(const OrderedVector& v, const OrderedVector& w, const CoreSolution& solution, Size stride, double* score) {
    if (!sums_) return std::nan("");
    const double d = solution.damping;
    const Size n_core = links_.n_core();
    over_blocks([&](Size r, CarefulSum* sum) {
      r < n_core ? sum[0].add(solution.y[stride * r]) : sum[1].add(solution.t[stride * r]);
    });
    const double core = total(0), rest = total(1);
    // The score outside the core is rest + (1 - d) (core + outside) of_rest(v) + d outside of_rest(w).
    const double outside =
        core == 0 ? 1 : (rest + (1 - d) * core * v.of_rest) / (1 - (1 - d) * v.of_rest - d * w.of_rest);
    const double whole = core + outside, of_v = (1 - d) * whole, of_w = d * outside;
    over_blocks([&](Size r, CarefulSum* sum) {
      double& x = solution.t[stride * r];
      x += of_v * v.data[stride * r] + of_w * w.data[stride * r];
      sum[0].add(x);
      if (r >= n_core) return;
      const double residual = x - solution.y[stride * r];
      sum[1].add(std::fabs(residual));
      sum[2].add(residual);
    });
    const double all = total(0), absolute = total(1), sum = std::fabs(total(2));
    constexpr Size piece = 1 << 16;
    const Size n = links_.n_nodes();
    team_.run(ceil_div(n, piece), [&](Size k) {
      for (Size i = k * piece; i < std::min(n, (k + 1) * piece); ++i)
        score[i] = solution.t[stride * links_.label()[i]] / all;
    });
    return d / (1 - d) * (absolute + sum) / whole;
  }

 private:
  // body(row, sums of its block), for all rows.
  template <class Body>
  void over_blocks(Body&& body) {
    over_row_blocks(
        team_, links_, 0, links_.n_blocks(),
        [&](Size block, Size first, Size last) {
          CarefulSum sum[3];
          for (Size r = first; r < last; ++r) body(r, sum);
          for (int i = 0; i < 3; ++i) sums_[3 * block + i] = sum[i].value();
        },
        [] {});
  }
  double total(int which) const {
    CarefulSum sum;
    for (Size block = 0; block < links_.n_blocks(); ++block) sum.add(sums_[3 * block + which]);
    return sum.value();
  }

  const Links& links_;
  Team& team_;
  AlignedBuffer<double> sums_;
};

// The residual is computed once more at the end, and may then be larger by what rounding does: a ranking stops at an
// error of `tol` without this much of its rounding.
constexpr double rounding_to_spare = 1.25;

// No two distributions are further apart.
constexpr double most_error = 2;

// What rounding adds to the bound: of the sums over the links of a row, in `chains` chains of additions (0: as if in
// twice the precision), of z, of the weights and of y, relative to the sum of the scores.
inline double rounding_of_rank(const Links& links, int chains, double damping) {
  constexpr double unit = 0x1p-53;
  const double sums = chains == 0 ? 1 : static_cast<double>(links.largest_row()) / chains + 5;
  return (sums + (links.weighted() ? 7 : 4)) * unit / (1 - damping);
}

}  // namespace mmlfast::drivers
