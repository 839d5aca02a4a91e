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

// The length of what two projections with F and E leave of x: x (d) of T, F and E (d x m) -> a number. In one reading
// of the points, where they share F and E.
template <class T>
Outcome projection_residual(Size n_items, const Batch<const T>& x, const Batch<const double>& f,
                            const Batch<const double>& e, const Batch<double>& length) noexcept;

}  // namespace mmlfast::drivers
