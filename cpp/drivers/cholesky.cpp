#include "drivers/cholesky.hpp"

#include <algorithm>
#include <limits>

#include "drivers/common/matrix_batch.hpp"
#include "drivers/elimination_blocks.hpp"
#include "drivers/elimination_lanes.hpp"
#include "kernels/cholesky.hpp"

namespace mmlfast::drivers {
namespace {

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size n) {
  const double d = static_cast<double>(n);
  return (2 + d * d * 0.2 + d * d * d * 0.015) * (static_cast<double>(sizeof(T)) / 8);
}

// Matrix by matrix, the lower triangle of a to that of x.
template <class T>
Outcome in_blocks(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept {
  const Size n = a.layout.rows, bytes = checked_product(BlockMatrix<T>::elements(n, n), static_cast<Size>(sizeof(T)));
  const double order = static_cast<double>(n);
  return run_matrices(n_items, order * order * order / 6 * multiply_add_ns<T>, bytes, Uses::own_code,
                      [&](Size i, void* scratch) -> Outcome {
                        const BlockMatrix<T> f{n, n, static_cast<T*>(scratch)};
                        Outcome factored = f.take_lower(a.item(i), a.layout);
                        if (factored.ok()) factored = cholesky_in_blocks(f);
                        if (!factored.ok()) {
                          if (!factored.stopped()) set_all(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
                          return factored;
                        }
                        constexpr Size band = 32;
                        const bool finished = parallel_blocks(ceil_div(n, band), order * order, [&](Size block) {
                          const Size first = block * band;
                          give_triangle(f, first, std::min(band, n - first), x.item(i), x.layout, true,
                                        [&](Size r, Size j) { return j <= r ? *f.at(r, j) : T{0}; });
                        });
                        return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
                      });
}

}  // namespace

template <class T>
Outcome cholesky(Size n_items, const Batch<const T>& a, const Batch<T>& x, bool upper) noexcept {
  const Cholesky<T>& kernel = kernel_of<Cholesky<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  // The upper triangle of a matrix is the lower one of its transpose.
  const auto oriented = [&](const Layout& l) { return upper ? transposed(l) : l; };
  const Layout a_layout = oriented(a.layout), x_layout = oriented(x.layout);
  if (!goes_in_lanes<T>(n, 0, n_items, 3))
    return in_blocks<T>(n_items, {a.data, a.stride, a_layout}, {x.data, x.stride, x_layout});
  return run_in_lanes<T>(n_items, lane_ns<T>(n), kernel.scratch_vectors(n), [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count);
    const LaneItems<T> x_items(x, first, count);
    return kernel.factor(a_items.item, a_layout, x_items.item, x_layout, scratch);
  });
}

template Outcome cholesky<double>(Size, const Batch<const double>&, const Batch<double>&, bool) noexcept;
template Outcome cholesky<float>(Size, const Batch<const float>&, const Batch<float>&, bool) noexcept;

}  // namespace mmlfast::drivers
