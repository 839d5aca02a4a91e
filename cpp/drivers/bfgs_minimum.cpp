#include "drivers/bfgs_minimum.hpp"

#include <cmath>

#include "drivers/bfgs_model.hpp"
#include "drivers/bfgs_positive.hpp"
#include "drivers/common/finite.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

struct Work {
  double *scaled, *columns, *inverse, *d, *size, *slope, *part;

  Size take(Size n, void* memory) noexcept {
    Divider divider(memory);
    for (double** matrix : {&scaled, &columns, &inverse}) *matrix = divider.take<double>(n * n);
    for (double** vector : {&d, &size, &slope, &part}) *vector = divider.take<double>(n);
    return divider.used();
  }
};

}  // namespace

Outcome clear_minimum(const double* h, const double* gradient, const double* x, const double* start, Size n,
                      double part, ClearMinimum& found) noexcept {
  Work work;
  const ScratchLease memory(work.take(n, nullptr));
  if (!memory) return {Outcome::Status::no_memory};
  work.take(n, memory.data());
  if (!all_finite(gradient, n) || !all_finite(x, n) || !all_finite(h, n * n)) return {};
  find_sizes(h, n, work.size);
  for (Size i = 0; i < n; ++i)
    for (Size j = 0; j <= i; ++j) work.scaled[i * n + j] = h[i * n + j] / work.size[i] / work.size[j];
  PositiveMatrix positive{n, work.columns, work.inverse, work.d};
  found.is_clear = positive.factor(work.scaled) && positive.is_certainly_more_than(part);
  if (!found.is_clear) return {};
  double step = 0, way = 0, size = 0, inverse_on_way = 0;
  for (Size i = 0; i < n; ++i) {
    work.slope[i] = gradient[i] / work.size[i];
    found.pulls = found.pulls || work.slope[i] != 0;
  }
  found.gain = 2 * positive.reduce(work.slope, work.part);
  for (Size i = 0; i < n; ++i) {
    const double by = positive.expand(work.part, i), moved = work.size[i] * (x[i] - start[i]), at = work.size[i] * x[i];
    step += by * by, way += moved * moved, size += at * at;
    if (moved != 0) inverse_on_way += positive.of_inverse(i) / (moved * moved);
  }
  found.step = std::sqrt(step), found.way = std::sqrt(way), found.size = std::sqrt(size);
  // The least eigenvalue is at least one over the trace of the inverse.
  found.curvature_on_way = inverse_on_way > 0 ? 1 / inverse_on_way : 0;
  return {};
}

}  // namespace mmlfast::drivers
