#include "drivers/pagerank_finish.hpp"

#include <algorithm>
#include <cmath>

namespace mmlfast::drivers {

// body(row, sums of its block), for all rows.
template <class Body>
void ScoreFinish::over_blocks(Body&& body) {
  over_row_blocks(
      team_, links_, 0, links_.n_blocks(),
      [&](Size block, Size first, Size last) {
        CarefulSum sum[3];
        for (Size r = first; r < last; ++r) body(r, sum);
        for (int i = 0; i < 3; ++i) sums_[3 * block + i] = sum[i].value();
      },
      [] {});
}

double ScoreFinish::total(int which) const {
  CarefulSum sum;
  for (Size block = 0; block < links_.n_blocks(); ++block) sum.add(sums_[3 * block + which]);
  return sum.value();
}

double ScoreFinish::run(const OrderedVector& v, const OrderedVector& w, const CoreSolution& solution, Size stride,
                        double* score) {
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

}  // namespace mmlfast::drivers
