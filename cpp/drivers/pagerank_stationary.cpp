#include "drivers/pagerank_stationary.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/pagerank_blocks.hpp"
#include "drivers/pagerank_finish.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

Stationary stationary(const Links& links, const Jumps& jumps, const double* start, double tol, Size max_iter,
                      Team& team, double* x) {
  const Size n = links.n_nodes(), n_core = links.n_core(), n_blocks = links.n_blocks();
  const AlignedBuffer<double> z(checked_product(2, n_core)), image(n), sums(checked_product(2, n_blocks));
  Stationary state;
  if (!z || !image || !sums) return {0, 0, {Outcome::Status::no_memory}};
  const PageRankKernel& kernel = kernel_of<PageRankKernel>();
  const ArrivingLinks in = arriving(links);
  InterruptTimer timer;
  bool interrupted = false;
  const auto over_blocks = [&](auto&& body) {
    over_row_blocks(team, links, 0, n_blocks, body, [&] { interrupted = interrupted || timer.interrupted(); });
  };
  std::copy_n(start, n, x);
  for (;;) {
    CarefulSum outside_sum;
    for (Size r = n_core; r < n; ++r) outside_sum.add(x[r]);
    const double outside = outside_sum.value();
    over_blocks([&](Size, Size first, Size last) {
      for (Size r = first; r < std::min(last, n_core); ++r) z[r] = z[n_core + r] = links.inverse_strength()[r] * x[r];
    });
    over_blocks([&](Size block, Size first, Size last) {
      kernel.pull(in, first, last, z.data(), true, image.data());
      double change = 0;
      CarefulSum sum;
      for (Size r = first; r < last; ++r) {
        image[r] = jumps.damping * (image[r] + outside * jumps.w[r]) + (1 - jumps.damping) * jumps.v[r];
        change += std::fabs(image[r] - x[r]);
        sum.add(image[r]);
      }
      sums[2 * block] = change;
      sums[2 * block + 1] = sum.value();
    });
    if (interrupted) return {state.n_iter, 0, {Outcome::Status::interrupted}};
    ++state.n_iter;
    double change = 0, sum = 0;
    for (Size block = 0; block < n_blocks; ++block) change += sums[2 * block], sum += sums[2 * block + 1];
    state.residual = change;
    const bool over = change <= tol || state.n_iter >= max_iter;
    over_blocks([&](Size, Size first, Size last) {
      for (Size r = first; r < last; ++r) x[r] = over ? image[r] / sum : (x[r] + image[r] / sum) / 2;
    });
    if (over) return state;
  }
}

}  // namespace mmlfast::drivers
