#include "drivers/eigh_lapack.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/qr_panels.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {
namespace {

// The lower triangle, to columns of n elements. Gives the largest absolute value, infinity if it is not finite.
template <class T>
T copy_lower(const T* from, const Layout& l, T* to) {
  constexpr Size tile = 32;
  const Size n = l.rows;
  T nothing = 0, largest = 0;
  for (Size i0 = 0; i0 < n; i0 += tile)
    for (Size j0 = 0; j0 <= i0; j0 += tile)
      for (Size j = j0; j < std::min(j0 + tile, n); ++j)
        for (Size i = std::max(i0, j); i < std::min(i0 + tile, n); ++i) {
          const T x = to[i + j * n] = from[i * l.row_stride + j * l.col_stride];
          nothing += x * 0;
          largest = std::max(largest, std::fabs(x));
        }
  return nothing == 0 ? largest : std::numeric_limits<T>::infinity();
}

// Up to where the threads of OpenBLAS gain nothing (measured: one of them is up to twice as fast from 160 to 300 rows).
constexpr Size most_serial_rows = 400;

// One matrix after another; matrices in all orders are brought to the same one, to get the same bits.
template <class T>
struct LapackEigh {
  static constexpr Size lanes = items_per_group<T>, width = panel_width;
  const LapackRoutines<T>& routines;
  Size n;
  bool vectors;
  Size row = spread_stride<T>(n + lanes), column = spread_stride<T>(n);  // as in large_qr
  Size lwork, liwork = vectors ? 3 + 5 * n : 1;

  LapackEigh(const LapackRoutines<T>& table, Size order, bool with_vectors)
      : routines(table), n(order), vectors(with_vectors) {
    T a, w;
    std::int64_t unused[2];
    lwork = vectors ? std::max({1 + 4 * n + n * n, n * row,
                                workspace<T>([&](T* work) { routines.sytrd(n, &a, &w, &w, &w, work, -1); })})
                    : std::max(2 * n + 1, workspace<T>([&](T* work) {
                                 routines.syevd(false, false, n, &a, &w, work, -1, unused, -1);
                               }));
  }
  // The integers, the matrix, the eigenvalues and the work; and for vectors their tridiagonal form, those of that, and
  // the panels.
  Size bytes() const {
    const Size numbers = checked_product(n, row);
    if (numbers < 0 || numbers > std::numeric_limits<Size>::max() / 128) return -1;
    const Size more = (vectors ? 2 * n + n * n : 0) + (panels() ? n * column + width * (n + width) : 0);
    return 8 * liwork + (n * n + n + lwork + more) * static_cast<Size>(sizeof(T));
  }

  // False if there is no answer.
  bool run(const T* item, const Layout& l, T* values, Size stride, T* to, const Layout& vl, void* scratch,
           bool threaded) const {
    std::int64_t* integers = static_cast<std::int64_t*>(scratch);
    T *a = reinterpret_cast<T*>(integers + liwork), *w = a + n * n, *work = w + n, *rest = work + lwork;
    const T largest = copy_lower(item, l, a);
    bool good = std::isfinite(largest);
    const int exponent = good && vectors ? far_exponent(largest) : 0;
    if (good && !vectors) good = routines.syevd(false, false, n, a, w, work, lwork, integers, liwork) == 0;
    if (good && vectors) {
      for (Size j = 0; j < n; ++j) multiply_by_power(a + j * n + j, n - j, -exponent);
      good = solve(a, w, work, rest, integers, to, vl, threaded);
    }
    const T nan = std::numeric_limits<T>::quiet_NaN();
    multiply_by_power(w, good ? n : 0, exponent);
    for (Size k = 0; k < n; ++k) values[k * stride] = good ? w[k] : nan;
    if (vectors && !good) set_all(to, vl, nan);
    return good;
  }

 private:
  // Faster than LAPACK's (measured) where the threads of OpenBLAS, which go on looking for work long after its last
  // call, are not in the way of ours.
  bool panels() const { return vectors && n <= most_serial_rows; }

  bool solve(T* a, T* w, T* work, T* rest, void* integers, T* to, const Layout& vl, bool threaded) const {
    T *e = rest, *tau = e + n, *z = tau + n, *v = z + n * n, *t = v + n * column;
    if (routines.sytrd(n, a, w, e, tau, work, lwork) != 0) return false;
    if (routines.stedc(n, w, e, z, work, lwork, integers, liwork) != 0) return false;
    if (panels()) {
      bring_back(a, tau, z, v, t, work, to, vl, threaded);
    } else {
      if (routines.ormtr(n, a, tau, z, work, lwork) != 0) return false;
      from_columns(z, n, to, vl);
    }
    return true;
  }

  // The eigenvectors of the matrix out of those of its tridiagonal form, by panels of sytrd's reflections.
  void bring_back(const T* a, const T* tau, const T* z, T* v, T* t, T* x, T* to, const Layout& vl,
                  bool threaded) const {
    const Qr<T>& kernel = kernel_of<Qr<T>>();
    const Size reflections = n - 1, n_panels = ceil_div(reflections, width);
    with_team(threaded, [&](Team& team) {
      // Reflection j has its 1 in row j + 1: panel by panel, from the row of the first 1 on.
      team.run(n_panels, [&](Team::Block panel) {
        const Size first = panel * width, count = std::min(width, reflections - first), rows = n - 1 - first;
        T* to_panel = v + first * column;
        for (Size j = 0; j < count; ++j) {
          T* to_column = to_panel + j * column;
          const T* from = a + (first + j) * n + first + 1;
          std::fill_n(to_column, j, T{0});
          to_column[j] = 1;
          std::copy(from + j + 1, from + rows, to_column + j + 1);
          std::fill(to_column + rows, to_column + round_up(rows, lanes), T{0});
        }
        kernel.join(to_panel, column, rows, count, tau + first, t + first * width);
      });
      for_each_strip<T>(team, n, 0, n, 0, [&](Size c, Size cols) {
        const Size own = std::min(cols, n - c);
        kernel.gather(z + c * n, Layout{own, n, n, 1}, x + c, row);
        for (Size panel = n_panels; panel-- > 0;) {
          const Size first = panel * width, count = std::min(width, reflections - first);
          const Panel<T> p{v + first * column, t + first * width, column, n - 1 - first, count};
          apply_panel(p, false, x + (first + 1) * row + c, row, cols, 0);
        }
        kernel.copy_out(x + c, row, to + c * vl.col_stride, Layout{n, own, vl.row_stride, vl.col_stride});
      });
    });
  }
};

}  // namespace

template <class T>
Outcome eigh_by_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& values,
                       const Batch<T>* vectors) noexcept {
  const Size n = a.layout.rows;
  if (!fits_blas_int(2 * n * n + 6 * n + 1)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const LapackEigh<T> solver(*routines, n, vectors != nullptr);
  const double order = static_cast<double>(n);
  const double item_ns =
      order * order * order * (vectors != nullptr ? 0.6 : 0.25) * (static_cast<double>(sizeof(T)) / 8);
  const Uses uses = n <= most_serial_rows ? Uses::serial_lapack : Uses::lapack;
  return run_matrices(n_items, item_ns, solver.bytes(), uses, [&](Size i, void* scratch) -> Outcome {
    const bool good = solver.run(a.item(i), a.layout, values.item(i), values.layout.row_stride,
                                 vectors == nullptr ? nullptr : vectors->item(i),
                                 vectors == nullptr ? a.layout : vectors->layout, scratch, item_ns > 1e6);
    return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
  });
}

template Outcome eigh_by_lapack(Size, const Batch<const double>&, const Batch<double>&, const Batch<double>*) noexcept;
template Outcome eigh_by_lapack(Size, const Batch<const float>&, const Batch<float>&, const Batch<float>*) noexcept;

}  // namespace mmlfast::drivers
