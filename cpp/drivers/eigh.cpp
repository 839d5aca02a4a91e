#include "drivers/eigh.hpp"

#include <algorithm>
#include <limits>

#include "drivers/column_major.hpp"
#include "drivers/lane_batch.hpp"
#include "drivers/matrix_batch.hpp"
#include "kernels/eigh.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
const Eigh<T>& kernel() {
  return of_type<T>(eigh_f64, eigh_f32);
}

// Up to the first size lanes are taken even when only one of them has work, up to the second if they are filled.
constexpr Size always_in_lanes = 32, filled_lanes = max_eigh_order;

template <class T>
bool use_lanes(Size n, Size n_items) {
  return n <= always_in_lanes || (n <= filled_lanes && n_items >= items_per_group<T>);
}

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size n, bool vectors) {
  const double d = static_cast<double>(n);
  return (4 + d * d * (vectors ? 3 : 2.5) + d * d * d * (vectors ? 0.4 : 0.1)) * (static_cast<double>(sizeof(T)) / 8);
}

// The kernel reads the lower triangle: the upper one of a matrix is the lower one of its transpose.
Layout oriented(const Layout& l, Triangle triangle) {
  return triangle == Triangle::lower ? l : Layout{l.cols, l.rows, l.col_stride, l.row_stride};
}

// The triangle that is read, of a matrix that lies in columns of n elements. False if it is not finite.
template <class T>
bool copy_triangle(const T* from, const Layout& l, T* to) {
  constexpr Size tile = 32;
  const Size n = l.rows;
  T nothing = 0;
  for (Size i0 = 0; i0 < n; i0 += tile) {
    // Whole rows where they lie in a row, else tiles of a size that both sides keep in cache.
    const Size i1 = std::min(i0 + tile, n), step = l.col_stride == 1 ? n : tile;
    for (Size j0 = 0; j0 < i1; j0 += step)
      for (Size i = i0; i < i1; ++i)
        for (Size j = j0; j < std::min(i + 1, j0 + step); ++j) {
          const T x = to[i * n + j] = from[i * l.row_stride + j * l.col_stride];
          nothing += x * 0;
        }
  }
  return nothing == 0;
}

// LAPACK on one matrix after another. The lower triangle in C order is the upper one of the columns that LAPACK reads;
// matrices in other orders are brought to that one, to get the same bits.
template <class T>
struct LapackEigh {
  const LapackRoutines<T>& routines;
  Size n, lwork = 0, liwork = 0;
  bool vectors;

  LapackEigh(const LapackRoutines<T>& table, Size order, bool with_vectors)
      : routines(table), n(order), vectors(with_vectors) {
    const Size least = vectors ? 1 + 6 * n + 2 * n * n : 2 * n + 1;
    std::int64_t unused[2];
    lwork = std::max(least, workspace<T>([&](T* work) {
                       T a, w;
                       routines.syevd(vectors, true, n, &a, &w, work, -1, unused, -1);
                     }));
    liwork = vectors ? 3 + 5 * n : 1;
  }
  // The integers, the matrix, the eigenvalues and the work.
  Size bytes() const {
    const Size numbers = checked_product(n, n);
    if (numbers < 0 || numbers > std::numeric_limits<Size>::max() / 64) return -1;
    return 8 * liwork + (numbers + n + lwork) * static_cast<Size>(sizeof(T));
  }
  // False if there is no answer.
  bool run(const T* item, const Layout& l, T* values, Size stride, T* to, const Layout& vl, void* scratch) const {
    std::int64_t* integers = static_cast<std::int64_t*>(scratch);
    T *a = reinterpret_cast<T*>(integers + liwork), *w = a + n * n, *work = w + n;
    const bool good =
        copy_triangle(item, l, a) && routines.syevd(vectors, true, n, a, w, work, lwork, integers, liwork) == 0;
    const T nan = std::numeric_limits<T>::quiet_NaN();
    for (Size k = 0; k < n; ++k) values[k * stride] = good ? w[k] : nan;
    if (vectors && good) from_columns(a, n, to, vl);
    if (vectors && !good) set_all(to, vl, nan);
    return good;
  }
};

template <class T>
Outcome run_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& values, const Batch<T>* vectors) noexcept {
  const Size n = a.layout.rows;
  if (!fits_blas_int(2 * n * n + 6 * n + 1)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const LapackEigh<T> solver(*routines, n, vectors != nullptr);
  const double order = static_cast<double>(n);
  const double item_ns =
      order * order * order * (vectors != nullptr ? 0.6 : 0.25) * (static_cast<double>(sizeof(T)) / 8);
  return run_matrices(n_items, item_ns, solver.bytes(), Uses::lapack, [&](Size i, void* scratch) -> Outcome {
    const bool good = solver.run(a.item(i), a.layout, values.item(i), values.layout.row_stride,
                                 vectors == nullptr ? nullptr : vectors->item(i),
                                 vectors == nullptr ? a.layout : vectors->layout, scratch);
    return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
  });
}

template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, bool vectors, Call&& call) noexcept {
  constexpr int most = max_eigh_groups;
  return run_in_lanes<T, most>(n_items, lane_ns<T>(n, vectors), kernel<T>().scratch_vectors(n, most),
                               [&](Size first, Size count, void* scratch) {
                                 const int groups = static_cast<int>((count - 1) / items_per_group<T>) + 1;
                                 return call(groups, first, count, scratch);
                               });
}

}  // namespace

template <class T>
Outcome eigh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values,
             const Batch<T>& vectors) noexcept {
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const Batch<const T> lower{a.data, a.stride, oriented(a.layout, triangle)};
  if (!use_lanes<T>(n, n_items)) return run_lapack<T>(n_items, lower, values, &vectors);
  return run_lanes<T>(n_items, n, true, [&](int groups, Size first, Size count, void* scratch) {
    const LaneItems<const T, max_eigh_groups> a_items(lower, first, count);
    const LaneItems<T, max_eigh_groups> values_items(values, first, count), vectors_items(vectors, first, count);
    return kernel<T>().eigh(groups, a_items.item, lower.layout, values_items.item, values.layout.row_stride,
                            vectors_items.item, vectors.layout, scratch);
  });
}

template <class T>
Outcome eigvalsh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values) noexcept {
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const Batch<const T> lower{a.data, a.stride, oriented(a.layout, triangle)};
  if (!use_lanes<T>(n, n_items)) return run_lapack<T>(n_items, lower, values, nullptr);
  return run_lanes<T>(n_items, n, false, [&](int groups, Size first, Size count, void* scratch) {
    const LaneItems<const T, max_eigh_groups> a_items(lower, first, count);
    const LaneItems<T, max_eigh_groups> values_items(values, first, count);
    return kernel<T>().eigvalsh(groups, a_items.item, lower.layout, values_items.item, values.layout.row_stride,
                                scratch);
  });
}

#define MMLFAST_INSTANTIATE(T)                                                                                \
  template Outcome eigh<T>(Size, const Batch<const T>&, Triangle, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome eigvalsh<T>(Size, const Batch<const T>&, Triangle, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
