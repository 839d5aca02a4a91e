// PageRank of a batch of small dense graphs.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// links: n x n; jumps, dangling and score: n x 1; damping and bound: numbers. As in kernels/pagerank_dense.hpp; items
// with weights that do not do have NaN.
Outcome pagerank_dense(Size n_items, const Batch<const double>& links, const Batch<const double>& jumps,
                       const Batch<const double>& dangling, const Batch<const double>& damping,
                       const Batch<double>& score, const Batch<double>& bound) noexcept;

}  // namespace mmlfast::drivers
