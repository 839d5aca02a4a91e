#include "drivers/pagerank_dense.hpp"

#include "drivers/common/lane_batch.hpp"
#include "kernels/pagerank_dense.hpp"

namespace mmlfast::drivers {

Outcome pagerank_dense(Size n_items, const Batch<const double>& links, const Batch<const double>& jumps,
                       const Batch<const double>& dangling, const Batch<const double>& damping,
                       const Batch<double>& score, const Batch<double>& bound) noexcept {
  const Size n = links.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const PagerankDense& kernel = kernel_of<PagerankDense>();
  const double order = static_cast<double>(n), item_ns = 10 + order * order * (0.4 + 0.015 * order);
  return run_in_lanes<double>(n_items, item_ns, kernel.scratch_vectors(n), [&](Size first, Size count, void* scratch) {
    const LaneItems<const double> a(links, first, count), v(jumps, first, count), w(dangling, first, count),
        d(damping, first, count);
    const LaneItems<double> x(score, first, count), e(bound, first, count);
    return kernel.rank({a.item, v.item, w.item, d.item, links.layout, jumps.layout, dangling.layout},
                       {x.item, e.item, score.layout}, scratch);
  });
}

}  // namespace mmlfast::drivers
