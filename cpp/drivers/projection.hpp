// Projections for batches of any size: lanes for small ones, one item at a time for large ones, and blocks of points
// when many points share one basis.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/projection.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// The operands of kernels/projection.hpp, in its order. Vectors have layouts of one column.
template <class T>
struct ProjectionCall {
  ProjectionStep step;
  Size n_items;
  Batch<const T> in[most_projection_inputs];
  int n_in;
  Batch<T> out[most_projection_outputs];
  int n_out;
};

template <class T>
Outcome projection(const ProjectionCall<T>& call) noexcept;

// The length of what the projection onto the span of Q leaves of x: x (d) of T, Q (d x m, orthonormal columns or zero
// ones) -> a number. In one reading of the points, where they share Q.
template <class T>
Outcome projection_residual(Size n_items, const Batch<const T>& x, const Batch<const double>& q,
                            const Batch<double>& length) noexcept;

}  // namespace mmlfast::drivers
