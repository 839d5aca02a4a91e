#include "drivers/elimination.hpp"

#include <cmath>
#include <limits>

#include "drivers/common/lane_batch.hpp"
#include "drivers/elimination_condition.hpp"
#include "drivers/elimination_lapack.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {
namespace {

// Measured (bench/curve.py goes across both): one item alone costs 1.3 to 1.6 times what LAPACK takes at n = 32, the
// price of bits that do not depend on the batch; filled lanes are still twice as fast as LAPACK at n = 128, where the
// factors of a group begin to leave the second-level cache.
constexpr LaneOrders lane_orders{32, max_lane_order};

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides
// only about threads.
template <class T>
double lane_ns(Size n, Size m) {
  const double d = static_cast<double>(n), flops = d * d * d * 2 / 3 + 2 * d * d * static_cast<double>(m);
  return (3 + flops * 0.06) * (static_cast<double>(sizeof(T)) / 8);
}

template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, Size m, Call&& call) noexcept {
  return run_in_lanes<T>(n_items, lane_ns<T>(n, m), kernel_of<Elimination<T>>().scratch_vectors(n, m), call);
}

// One system of 2 to 32 rows, and its condition.
template <class T>
Outcome solve_one(const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows, m = b.layout.cols, vectors = kernel.scratch_vectors(n, m);
  const Size numbers = checked_product(LanesOfOne<T>::numbers(n, m), static_cast<Size>(sizeof(T)));
  alignas(64) char small[most_scratch_on_stack];
  const ScratchLease lease(numbers < 0 ? numbers : 64 * vectors + numbers, small);
  if (!lease) return {Outcome::Status::no_memory};
  void* scratch = lease.data();
  T* room = reinterpret_cast<T*>(static_cast<char*>(scratch) + 64 * vectors);
  const LanesOfOne<T> one(a, b, x, room);
  const LaneBits bits = kernel.solve(one.matrix, a.layout, one.rhs, one.layout(), one.to, one.layout(), scratch);
  one.finish();
  if (bits & 1) return {Outcome::Status::failed_items};
  return Outcome::with_condition(
      one.rcond([&] { return scaled_condition(a.item(0), a.layout, kernel.scratch_vectors(n, 1), kernel.solve); }));
}

}  // namespace

template <class T>
Outcome solve(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept {
  const Size n = a.layout.rows, m = b.layout.cols;
  if (n == 0 || m == 0 || n_items == 0) return {};
  // What is written over cannot be looked at again.
  const bool look = n_items == 1 && n > 1 && a.data != x.data;
  if (look && n <= lane_orders.always) return solve_one(a, b, x);
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  if (lane_orders.suit<T>(n, n_items)) {
    return run_lanes<T>(n_items, n, m, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count), b_items(b, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel.solve(a_items.item, a.layout, b_items.item, b.layout, x_items.item, x.layout, scratch);
    });
  }
  double rcond = 1;
  const LapackPlan<T> plan{m, static_cast<double>(m), nullptr};
  const Outcome outcome = run_lapack<T>(n_items, a, plan, [&](Size i, const LapackFactors<T>& f, T* rhs) {
    if (f.singular) return set_all(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    to_columns(b.item(i), b.layout, rhs, n);
    f.substitute(false, rhs, m);
    if (look) rcond = f.reciprocal_condition(a.item(i), a.layout, rhs, b.item(i), b.layout.row_stride);
    from_columns(rhs, n, x.item(i), x.layout);
  });
  return outcome.ok() ? Outcome::with_condition(rcond) : outcome;
}

template <class T>
Outcome inverse(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const bool look = n_items == 1 && n > 1 && a.data != x.data;  // as above
  if (lane_orders.suit<T>(n, n_items)) {
    const Outcome outcome = run_lanes<T>(n_items, n, n, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel.inverse(a_items.item, a.layout, x_items.item, x.layout, scratch);
    });
    if (look && n <= lane_orders.always && outcome.ok()) {
      T room[2 * lane_orders.always];
      return Outcome::with_condition(condition_of_inverse(a.item(0), a.layout, x.item(0), x.layout, room));
    }
    return outcome;
  }
  double rcond = 1;
  constexpr Size work_columns = 64;  // what LAPACK's getri likes to have
  const LapackPlan<T> plan{work_columns, static_cast<double>(n) * 2 / 3, &x};
  const Outcome outcome = run_lapack<T>(n_items, a, plan, [&](Size i, const LapackFactors<T>& f, T* work) {
    if (f.singular) return set_all(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    f.invert(work, work_columns);
    // The rows of the inverse lie in memory as the columns of the inverse of the transpose do.
    if (look) rcond = condition_of_inverse(a.item(i), a.layout, f.lu, Layout{n, n, n, 1}, work);
    if (f.lu != x.item(i)) from_columns(f.lu, n, x.item(i), transposed(x.layout));
  });
  return outcome.ok() ? Outcome::with_condition(rcond) : outcome;
}

template <class T>
Outcome determinant(Size n_items, const Batch<const T>& a, const Batch<T>& det) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *det.item(i) = 1;
  } else if (lane_orders.suit<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> det_items(det, first, count);
      return kernel.determinant(a_items.item, a.layout, det_items.item, scratch);
    });
  } else {
    outcome = run_lapack<T>(n_items, a, LapackPlan<T>{0, 0, nullptr},
                            [&](Size i, const LapackFactors<T>& f, T*) { *det.item(i) = Determinant<T>(f).value(); });
  }
  // A determinant of zero is an answer, not a failure.
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome log_determinant(Size n_items, const Batch<const T>& a, const Batch<T>& sign, const Batch<T>& logabs) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *sign.item(i) = 1, *logabs.item(i) = 0;
  } else if (lane_orders.suit<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> sign_items(sign, first, count), log_items(logabs, first, count);
      return kernel.log_determinant(a_items.item, a.layout, sign_items.item, log_items.item, scratch);
    });
  } else {
    outcome = run_lapack<T>(n_items, a, LapackPlan<T>{0, 0, nullptr}, [&](Size i, const LapackFactors<T>& f, T*) {
      const Determinant<T> d(f);
      *sign.item(i) = d.sign();
      *logabs.item(i) = d.logabs();
    });
  }
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome is_exactly_singular(Size n_items, const Batch<const T>& a, const Batch<bool>& singular) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *singular.item(i) = false;
  } else if (lane_orders.suit<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      T unused[items_per_group<T>];
      T* det[items_per_group<T>];
      for (int l = 0; l < items_per_group<T>; ++l) det[l] = unused + l;
      const LaneBits bits = kernel.determinant(a_items.item, a.layout, det, scratch);
      for (Size l = 0; l < count; ++l) *singular.item(first + l) = (bits >> l) & 1;
      return LaneBits{0};
    });
  } else {
    outcome = run_lapack<T>(n_items, a, LapackPlan<T>{0, 0, nullptr},
                            [&](Size i, const LapackFactors<T>& f, T*) { *singular.item(i) = f.singular; });
  }
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

namespace {

// Writes what the caller wants to know of the order of item i: row r of l u is row order[r] of a. `l` holds the rows of
// l one after another if they still have to be put in their places.
template <class T>
void give_order(const LuCall<T>& call, Size i, const std::int32_t* order, const T* l) {
  const Size m = call.a.layout.rows, k = call.l.layout.cols;
  if (call.p != nullptr) {
    T* p = call.p->item(i);
    const Layout& layout = call.p->layout;
    set_all(p, layout, T{0});
    for (Size r = 0; r < m; ++r) p[order[r] * layout.row_stride + r * layout.col_stride] = 1;
  } else if (call.index != nullptr) {
    for (Size r = 0; r < m; ++r)
      call.index->item(i)[order[r] * call.index->layout.row_stride] = static_cast<std::int32_t>(r);
  } else {
    T* to = call.l.item(i);
    const Layout& layout = call.l.layout;
    for (Size r = 0; r < m; ++r)
      for (Size j = 0; j < k; ++j) to[order[r] * layout.row_stride + j * layout.col_stride] = l[r * k + j];
  }
}

template <class T>
Outcome lu_in_lanes(const LuCall<T>& call) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  const bool permute = call.p == nullptr && call.index == nullptr;
  const Size vectors = kernel.lu_scratch_vectors(m, n);
  const Layout rows_in_a_row{m, k, k, 1};
  // One vector more per row for the order, and a place for l where its rows are to be moved.
  return run_in_lanes<T>(call.n_items, lane_ns<T>(k, std::max(m, n) - k), vectors + m + (permute ? m * k : 0),
                         [&](Size first, Size count, void* scratch) {
                           auto* order = reinterpret_cast<std::int32_t*>(static_cast<char*>(scratch) + 64 * vectors);
                           T* lower = reinterpret_cast<T*>(order + 16 * m);
                           const LaneItems<const T> a(call.a, first, count);
                           LaneItems<T> l(call.l, first, count);
                           const LaneItems<T> u(call.u, first, count);
                           if (permute)
                             for (Size lane = 0; lane < items_per_group<T>; ++lane) l.item[lane] = lower + lane * m * k;
                           kernel.lu(a.item, call.a.layout, order, l.item, permute ? rows_in_a_row : call.l.layout,
                                     u.item, call.u.layout, scratch);
                           for (Size lane = 0; lane < count; ++lane)
                             give_order(call, first + lane, order + lane * m, lower + lane * m * k);
                           return LaneBits{0};
                         });
}

// LAPACK's factors of item i, taken apart.
template <class T>
void lu_of_item(const LuCall<T>& call, const LapackRoutines<T>& routines, Size i, T* factors, void* ipiv, T* lower) {
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  const bool permute = call.p == nullptr && call.index == nullptr;
  to_columns(call.a.item(i), call.a.layout, factors, m);
  routines.getrf(m, n, factors, ipiv);
  int power = 0;
  for (Size j = 0; j < k; ++j)
    if (std::fabs(factors[j * m + j]) < std::numeric_limits<T>::min()) power = 1;
  if (power != 0) {  // see LapackFactors::factor
    to_columns(call.a.item(i), call.a.layout, factors, m);
    power = lift_tiny(factors, m * n);
    routines.getrf(m, n, factors, ipiv);
  }
  T* l = permute ? lower : call.l.item(i);
  const Layout ll = permute ? Layout{m, k, k, 1} : call.l.layout;
  constexpr Size tile = 32;
  for (Size r0 = 0; r0 < m; r0 += tile)
    for (Size j0 = 0; j0 < k; j0 += tile)
      for (Size r = r0; r < std::min(r0 + tile, m); ++r)
        for (Size j = j0; j < std::min(j0 + tile, k); ++j)
          l[r * ll.row_stride + j * ll.col_stride] = j < r ? factors[j * m + r] : static_cast<T>(j == r);
  T* u = call.u.item(i);
  const Layout& ul = call.u.layout;
  for (Size r0 = 0; r0 < k; r0 += tile)
    for (Size j0 = 0; j0 < n; j0 += tile)
      for (Size r = r0; r < std::min(r0 + tile, k); ++r)
        for (Size j = j0; j < std::min(j0 + tile, n); ++j) {
          const T entry = j < r ? 0 : factors[j * m + r];
          u[r * ul.row_stride + j * ul.col_stride] = power == 0 ? entry : std::ldexp(entry, -power);
        }
  std::int32_t* order = reinterpret_cast<std::int32_t*>(factors);  // no longer needed, and m entries at least
  for (Size r = 0; r < m; ++r) order[r] = static_cast<std::int32_t>(r);
  for (Size r = 0; r < k; ++r) std::swap(order[r], order[routines.index(ipiv, r)]);
  give_order(call, i, order, lower);
}

}  // namespace

template <class T>
Outcome lu(const LuCall<T>& call) noexcept {
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  if (m == 0 || call.n_items == 0) return {};
  if (lane_orders.suit<T>(std::max(m, n), call.n_items)) return lu_in_lanes(call);
  if (!fits_blas_int(m) || !fits_blas_int(n)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const Size entries = std::max<Size>(checked_product(m, std::max<Size>(n, 1)), 0);
  const Size aligned = (entries + 1) / 2 * 2;
  const double flops = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const Size elements = checked_product(m, n + k + 1);
  const Size bytes = checked_product(elements < 0 ? elements : elements + 4 + k + k, static_cast<Size>(sizeof(T)));
  return run_matrices(call.n_items, flops * (sizeof(T) == 8 ? 0.05 : 0.025), bytes, Uses::lapack,
                      [&](Size i, void* scratch) -> Outcome {
                        T* factors = static_cast<T*>(scratch);
                        T* ipiv = factors + aligned;
                        lu_of_item(call, *routines, i, factors, ipiv, ipiv + 2 * k);
                        return {};
                      });
}

#define MMLFAST_INSTANTIATE(T)                                                                                 \
  template Outcome solve<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept;     \
  template Outcome inverse<T>(Size, const Batch<const T>&, const Batch<T>&) noexcept;                          \
  template Outcome determinant<T>(Size, const Batch<const T>&, const Batch<T>&) noexcept;                      \
  template Outcome log_determinant<T>(Size, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome is_exactly_singular<T>(Size, const Batch<const T>&, const Batch<bool>&) noexcept;           \
  template Outcome lu<T>(const LuCall<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
