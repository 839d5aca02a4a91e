#include "drivers/eigh_lapack.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/eigh_divide.hpp"
#include "drivers/eigh_sweeps.hpp"
#include "drivers/qr_reflections.hpp"
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

// Up to where the threads of OpenBLAS gain nothing (measured: one of them is up to twice as fast from 160 to 300 rows;
// they also go on looking for work long after its last call, in the way of ours).
constexpr Size most_serial_rows = 700;

// Up to where the vectors of the tridiagonal form come as fast from QL as from divide and conquer (measured).
constexpr Size most_swept_rows = least_divided - 1;

// One matrix after another; matrices in all orders are brought to the same one, to get the same bits.
template <class T>
struct LapackEigh {
  const LapackRoutines<T>& routines;
  Size n;
  bool vectors;
  Size row = ReflectionPanels<T>::row_step(n);
  Size lwork;

  LapackEigh(const LapackRoutines<T>& table, Size order, bool with_vectors)
      : routines(table), n(order), vectors(with_vectors) {
    T a, w;
    std::int64_t unused[2];
    lwork = vectors ? std::max(n * row, workspace<T>([&](T* work) { routines.sytrd(n, &a, &w, &w, &w, work, -1); }))
                    : std::max(2 * n + 1, workspace<T>([&](T* work) {
                                 routines.syevd(false, false, n, &a, &w, work, -1, unused, -1);
                               }));
  }
  // The memory of one matrix.
  struct Room {
    explicit Room(Size n) : sweeps(n), divide(n), reflections(n, n - 1, 1) {}
    T *a = nullptr, *w = nullptr, *work = nullptr;  // the matrix, the eigenvalues
    // For vectors: the tridiagonal form and its vectors.
    T *e = nullptr, *tau = nullptr, *z = nullptr;
    TridiagonalSweeps<T> sweeps;
    TridiagonalDivide<T> divide;
    ReflectionPanels<T> reflections;  // of sytrd
  };
  Room lay_out(Divider& divider) const {
    Room room(n);
    const Size square = checked_product(n, n);
    room.a = divider.take<T>(square);
    room.w = divider.take<T>(n);
    room.work = divider.take<T>(lwork);
    if (!vectors) return room;
    room.e = divider.take<T>(n);
    room.tau = divider.take<T>(n);
    room.z = divider.take<T>(square);
    room.reflections.lay_out(divider);
    if (swept())
      room.sweeps.lay_out(divider);
    else
      room.divide.lay_out(divider);
    return room;
  }
  Size bytes() const {
    Divider divider;
    lay_out(divider);
    return divider.used();
  }

  Outcome run(const T* item, const Layout& l, T* values, Size stride, T* to, const Layout& vl, void* scratch,
              bool threaded) const {
    Divider divider(scratch);
    const Room room = lay_out(divider);
    T *a = room.a, *w = room.w;
    const T largest = copy_lower(item, l, a);
    const bool finite = std::isfinite(largest);
    const int exponent = finite && vectors ? far_exponent(largest) : 0;
    Outcome outcome{Outcome::Status::failed_items};
    if (finite && vectors) {
      for (Size j = 0; j < n; ++j) multiply_by_power(a + j * n + j, n - j, -exponent);
      outcome = solve(room, to, vl, threaded);
    } else if (finite) {
      std::int64_t unused[2];
      if (routines.syevd(false, false, n, a, w, room.work, lwork, unused, 1) == 0) outcome = {};
    }
    const bool good = outcome.ok();
    const T nan = std::numeric_limits<T>::quiet_NaN();
    multiply_by_power(w, good ? n : 0, exponent);
    for (Size k = 0; k < n; ++k) values[k * stride] = good ? w[k] : nan;
    if (vectors && !good) set_all(to, vl, nan);
    return outcome;
  }

 private:
  bool swept() const { return n <= most_swept_rows; }

  Outcome solve(const Room& r, T* to, const Layout& vl, bool threaded) const {
    Outcome outcome{Outcome::Status::failed_items};
    if (routines.sytrd(n, r.a, r.w, r.e, r.tau, r.work, lwork) != 0) return outcome;
    with_team(threaded, [&](Team& team) {
      if (!swept())
        outcome = r.divide.solve(team, r.w, r.e, r.z, r.work);
      else if (r.sweeps.solve(team, r.w, r.e, r.z, n, r.work))
        outcome = {};
      if (!outcome.ok()) return;
      r.reflections.gather(team, r.a, 1, n, r.tau);
      const Qr<T>& kernel = kernel_of<Qr<T>>();
      r.reflections.apply(
          team, r.work, n, [&](Size c, Size own) { kernel.gather(r.z + c * n, Layout{own, n, n, 1}, r.work + c, row); },
          [&](Size c, Size own) {
            kernel.copy_out(r.work + c, row, to + c * vl.col_stride, Layout{n, own, vl.row_stride, vl.col_stride});
          });
    });
    return outcome;
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
    return solver.run(a.item(i), a.layout, values.item(i), values.layout.row_stride,
                      vectors == nullptr ? nullptr : vectors->item(i), vectors == nullptr ? a.layout : vectors->layout,
                      scratch, item_ns > 1e6);
  });
}

template Outcome eigh_by_lapack(Size, const Batch<const double>&, const Batch<double>&, const Batch<double>*) noexcept;
template Outcome eigh_by_lapack(Size, const Batch<const float>&, const Batch<float>&, const Batch<float>*) noexcept;

}  // namespace mmlfast::drivers
