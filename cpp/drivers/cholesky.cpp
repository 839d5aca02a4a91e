#include "drivers/cholesky.hpp"

#include <algorithm>
#include <limits>

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "kernels/cholesky.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {
namespace {

constexpr LaneOrders lane_orders{32, 128};

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size n) {
  const double d = static_cast<double>(n);
  return (2 + d * d * 0.2 + d * d * d * 0.015) * (static_cast<double>(sizeof(T)) / 8);
}

// One triangle of `from`, and zeros for the other, in rows of n consecutive elements.
template <class T>
void copy_triangle(const T* from, const Layout& l, bool upper, T* to) {
  constexpr Size tile = 32;
  const Size n = l.rows;
  for (Size i0 = 0; i0 < n; i0 += tile) {
    const Size i1 = std::min(i0 + tile, n);
    // Whole rows where they lie in a row, else tiles of a size that both sides keep in cache.
    const Size step = l.col_stride == 1 ? n : tile;
    for (Size j0 = 0; j0 < n; j0 += step)
      for (Size i = i0; i < i1; ++i) {
        const Size j1 = std::min(j0 + step, n), first = upper ? std::max(i, j0) : j0,
                   last = upper ? j1 : std::min(i + 1, j1);
        T* row = to + i * n;
        for (Size j = j0; j < std::min(first, j1); ++j) row[j] = 0;
        for (Size j = first; j < last; ++j) row[j] = from[i * l.row_stride + j * l.col_stride];
        for (Size j = std::max(last, j0); j < j1; ++j) row[j] = 0;
      }
  }
}

// In place of rows of n consecutive elements. False if the matrix is not positive definite.
template <class T>
bool factor(const LapackRoutines<T>& routines, Size n, bool upper, T* x) {
  // A matrix in C order is its transpose for LAPACK: its lower triangle is the upper one there.
  if (routines.potrf(!upper, n, x) != 0) return false;
  for (Size k = 0; k < n; ++k)
    if (!(x[k * n + k] > 0)) return false;  // a NaN that this LAPACK did not look for
  return true;
}

template <class T>
void store(const T* from, T* to, const Layout& l) {
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < l.cols; ++j) to[i * l.row_stride + j * l.col_stride] = from[i * l.cols + j];
}

template <class T>
Outcome run_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& x, bool upper) noexcept {
  const Size n = a.layout.rows;
  if (!fits_blas_int(n)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  // A result in C order is the place to work in.
  const bool in_place = x.layout.col_stride == 1 && x.layout.row_stride == n;
  const Size bytes = in_place ? 0 : checked_product(checked_product(n, n), static_cast<Size>(sizeof(T)));
  const double order = static_cast<double>(n), flop_ns = sizeof(T) == 8 ? 0.05 : 0.025;
  return run_matrices(n_items, order * order * order / 3 * flop_ns, bytes, Uses::lapack,
                      [&](Size i, void* scratch) -> Outcome {
                        T* work = in_place ? x.item(i) : static_cast<T*>(scratch);
                        copy_triangle(a.item(i), a.layout, upper, work);
                        const bool good = factor(*routines, n, upper, work);
                        if (!good) std::fill_n(work, n * n, std::numeric_limits<T>::quiet_NaN());
                        if (!in_place) store(work, x.item(i), x.layout);
                        return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
                      });
}

}  // namespace

template <class T>
Outcome cholesky(Size n_items, const Batch<const T>& a, const Batch<T>& x, bool upper) noexcept {
  const Cholesky<T>& kernel = kernel_of<Cholesky<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  if (!lane_orders.suit<T>(n, n_items)) return run_lapack(n_items, a, x, upper);
  // The upper triangle of a matrix is the lower one of its transpose.
  const auto oriented = [&](const Layout& l) { return upper ? transposed(l) : l; };
  const Layout a_layout = oriented(a.layout), x_layout = oriented(x.layout);
  return run_in_lanes<T>(n_items, lane_ns<T>(n), kernel.scratch_vectors(n), [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count);
    const LaneItems<T> x_items(x, first, count);
    return kernel.factor(a_items.item, a_layout, x_items.item, x_layout, scratch);
  });
}

template Outcome cholesky<double>(Size, const Batch<const double>&, const Batch<double>&, bool) noexcept;
template Outcome cholesky<float>(Size, const Batch<const float>&, const Batch<float>&, bool) noexcept;

}  // namespace mmlfast::drivers
