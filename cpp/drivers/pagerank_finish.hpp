// From the solution on the core of a graph to scores of all nodes, and the bound on their error.
#pragma once

#include <cmath>

#include "drivers/links.hpp"

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
  const double* t;
  double damping;
};

// One more step of the power method, x = b + t, where b is what jumps to v and what goes from nodes without links out
// to w; scores are x / sum(x) in the old order of the nodes. All vectors have entry r at [stride * r].
//
// The answer before that step was y on the core and x elsewhere, which leaves a residual on the core alone, and the
// step takes the error down by the damping. Hence the error of the scores is at most damping / (1 - damping) times the
// norm of that residual, and as much again as its sum, by which x and y differ in scale. Returns this, rounding apart.
inline double finish_scores(const Links& links, const OrderedVector& v, const OrderedVector& w,
                            const CoreSolution& solution, Size stride, double* score) {
  const Size n = links.n_nodes(), n_core = links.n_core();
  const double d = solution.damping;
  CarefulSum core, rest;
  for (Size r = 0; r < n_core; ++r) core.add(solution.y[stride * r]);
  for (Size r = n_core; r < n; ++r) rest.add(solution.t[stride * r]);
  // The score outside the core is rest + (1 - d) (core + outside) of_rest(v) + d outside of_rest(w).
  const double outside = core.value() == 0 ? 1
                                           : (rest.value() + (1 - d) * core.value() * v.of_rest) /
                                                 (1 - (1 - d) * v.of_rest - d * w.of_rest);
  const double total = core.value() + outside, of_v = (1 - d) * total, of_w = d * outside;
  const auto x = [&](Size r) {
    return (of_v * v.data[stride * r] + of_w * w.data[stride * r]) + solution.t[stride * r];
  };
  CarefulSum all;
  double absolute = 0, sum = 0;
  for (Size r = 0; r < n; ++r) all.add(x(r));
  for (Size r = 0; r < n_core; ++r) {
    const double residual = x(r) - solution.y[stride * r];
    absolute += std::fabs(residual);
    sum += residual;
  }
  const double whole = all.value();
  for (Size i = 0; i < n; ++i) score[i] = x(links.label()[i]) / whole;
  return d / (1 - d) * (absolute + std::fabs(sum)) / total;
}

// The residual is computed once more at the end, and may then be larger by what rounding does: a ranking stops at an error
// of `tol` without this much of its rounding.
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
