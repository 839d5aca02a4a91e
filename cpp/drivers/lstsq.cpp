#include "drivers/lstsq.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/common/column_major.hpp"
#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/lstsq_least_norm.hpp"
#include "drivers/lstsq_tall.hpp"
#include "kernels/lstsq.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {
namespace {

constexpr LaneOrders lane_orders{32, 96};  // as those of qr

template <class T>
bool use_lanes(Size n_items, Size m, Size n, Size k) {
  const Size columns = std::min(m, n), all = checked_product(std::max(m, n), columns + k);
  return lane_orders.suit_if<T>(n_items,
                                [&](Size order) { return columns <= order && all >= 0 && all <= 2 * order * order; });
}

// Up to this order the singular values of R come from the rotations of the lanes, beyond from LAPACK, which is faster
// for one problem and is only asked for one.
constexpr Size most_rotated = 12;

// Measured to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size m, Size n, Size k, bool with_s) {
  const double r = static_cast<double>(std::min(m, n)), longer = static_cast<double>(std::max(m, n));
  const double flops = 2 * longer * r * (r + 2 * static_cast<double>(k)) + (with_s ? 100 : 2) * r * r * r;
  return (10 + 10 * r + flops * 0.04) * (static_cast<double>(sizeof(T)) / 8);
}

// ---- fewer equations than unknowns ----
//
// By LAPACK as they are, which is right where the columns have much the same length; and in float64 with columns of
// length one (lstsq_least_norm.hpp), where the rank is decided.

// xGELSD. The memory of one problem: bytes().
template <class T>
struct Gelsd {
  const LapackRoutines<T>& routines;
  Size m, n, k;
  Size lwork = workspace<T>([&](T* work) {
    typename LapackRoutines<T>::Int rank = 0;
    std::int64_t iwork = 0;
    routines.gelsd(m, n, k, nullptr, nullptr, nullptr, T{-1}, &rank, work, -1, &iwork);
  });
  static constexpr Size iwork_per_value = 3 * 32 + 11;

  Size bytes() const {
    const Size elements = checked_product(m, n), more = checked_product(n, k);
    if (elements < 0 || more < 0) return -1;
    const Size numbers = checked_product(elements + more + m + lwork + 16, static_cast<Size>(sizeof(T)));
    return numbers < 0 ? -1 : numbers + 8 * (iwork_per_value * m + 1);
  }

  // False if there is NaN or infinity, or no convergence. Not `certain`: x may not be right.
  bool solve(const LstsqCall<T>& c, Size i, void* scratch, bool& certain) const noexcept {
    std::int64_t* iwork = static_cast<std::int64_t*>(scratch);
    T *a = reinterpret_cast<T*>(iwork + iwork_per_value * m + 1), *b = a + m * n, *s = b + n * k, *work = s + m;
    to_columns(c.a.item(i), c.a.layout, a, m);
    const T a_size = largest_finite(a, m * n);
    std::fill_n(b, n * k, T{0});
    to_columns(c.b.item(i), c.b.layout, b, n);
    const T b_size = largest_finite(b, n * k);
    if (!std::isfinite(a_size) || !std::isfinite(b_size)) return false;
    const int a_exponent = safe_exponent(a_size), b_exponent = safe_exponent(b_size);
    multiply_by_power(a, m * n, a_exponent);
    multiply_by_power(b, n * k, b_exponent);
    double longest = 0;  // of the columns
    for (Size j = 0; j < n; ++j) {
      double square = 0;
      for (Size row = 0; row < m; ++row) square += static_cast<double>(a[row + j * m]) * a[row + j * m];
      longest = std::max(longest, square);
    }
    longest = std::sqrt(longest);
    typename LapackRoutines<T>::Int rank = 0;
    if (routines.gelsd(m, n, k, a, b, s, T{0}, &rank, work, lwork, iwork) != 0) return false;
    // As in the lanes (kernels/lstsq.cpp): singular values of columns of length one are between s[m - 1] / longest and
    // the root of n; and where columns of several lengths are not the reason of small ones, x is right.
    constexpr double lost_digits = sizeof(T) == 8 ? 0x1p-13 : 0x1p-9;
    const double margin = 2 * threshold(*c.rcond.item(i), n) * std::sqrt(static_cast<double>(n));
    certain = rank == m && s[m - 1] > std::max(margin, lost_digits) * longest;
    multiply_by_power(s, m, -a_exponent);
    multiply_by_power(b, n * k, a_exponent - b_exponent);
    from_columns(b, n, c.x.item(i), c.x.layout);
    if (c.s.data != nullptr) from_columns(s, m, c.s.item(i), c.s.layout);
    const Layout& l = c.residuals.layout;
    for (Size j = 0; j < k; ++j) c.residuals.item(i)[j * l.row_stride] = 0;
    *c.rank.item(i) = m;
    return true;
  }
};

template <class T>
class WideLstsq {
 public:
  WideLstsq(Size m, Size n, Size k) noexcept : m_(m), n_(n), k_(k) {}

  Outcome run(const LstsqCall<T>& c, Size i) const noexcept {
    const AlignedBuffer<double> a(checked_product(m_, n_)), b(checked_product(m_, k_)), x(checked_product(n_, k_));
    const AlignedBuffer<int> units(n_), b_units(k_);
    if (!a || !b || !x || !units || !b_units) return {Outcome::Status::no_memory};
    if (!take(c.a.item(i), c.a.layout, a.data(), units.data())) return {Outcome::Status::failed_items};
    if (!take(c.b.item(i), c.b.layout, b.data(), b_units.data())) return {Outcome::Status::failed_items};
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    Size rank = 0;
    const Outcome outcome = least_norm(
        {m_, n_, k_, a.data(), n_, units.data(), b.data(), k_, threshold(*c.rcond.item(i), n_), unit}, x.data(), rank);
    if (!outcome.ok()) return outcome;
    const Layout &xl = c.x.layout, &rl = c.residuals.layout;
    for (Size j = 0; j < k_; ++j) {
      c.residuals.item(i)[j * rl.row_stride] = 0;  // nobody is shown it
      for (Size l = 0; l < n_; ++l)
        c.x.item(i)[l * xl.row_stride + j * xl.col_stride] =
            static_cast<T>(std::ldexp(x[l * k_ + j], b_units[j] - units[l]));
    }
    *c.rank.item(i) = rank;
    return {};
  }

 private:
  // Row by row, each column divided by a power of two, 2^units[j], that makes its largest element near one.
  bool take(const T* from, const Layout& l, double* to, int* units) const noexcept {
    to_columns(from, Layout{l.cols, l.rows, l.col_stride, l.row_stride}, to, l.cols);
    for (Size j = 0; j < l.cols; ++j) {
      double largest = 0, nothing = 0;
      for (Size row = 0; row < l.rows; ++row) {
        largest = std::max(largest, std::fabs(to[row * l.cols + j]));
        nothing += to[row * l.cols + j] * 0;
      }
      if (nothing != 0) return false;
      units[j] = largest > 0 ? std::ilogb(largest) : 0;
      for (Size row = 0; row < l.rows; ++row) to[row * l.cols + j] = std::ldexp(to[row * l.cols + j], -units[j]);
    }
    return true;
  }

  Size m_, n_, k_;
};

// ---- all problems ----

template <class T>
void fail(const LstsqCall<T>& c, Size i) noexcept {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  set_all(c.x.item(i), c.x.layout, nan);
  set_all(c.residuals.item(i), c.residuals.layout, nan);
  if (c.s.data != nullptr) set_all(c.s.item(i), c.s.layout, nan);
  *c.rank.item(i) = 0;
}

// Problem i in float64 and with all care; c.s must be null if m < n.
template <class T>
Outcome with_care(const LstsqCall<T>& c, Size i) noexcept {
  const Size m = c.a.layout.rows, n = c.a.layout.cols, k = c.b.layout.cols;
  const Outcome outcome = m >= n ? tall_lstsq(c, i) : WideLstsq<T>(m, n, k).run(c, i);
  if (outcome.status == Outcome::Status::failed_items) fail(c, i);
  return outcome;
}

template <class T>
Outcome run_lanes(const LstsqCall<T>& c) noexcept {
  const Lstsq<T>& kernel = kernel_of<Lstsq<T>>();
  const Size m = c.a.layout.rows, n = c.a.layout.cols, k = c.b.layout.cols;
  const Size vectors = kernel.scratch_vectors(m, n, k);
  LstsqCall<T> without_s = c;
  without_s.s.data = nullptr;
  JoinedOutcome careful;
  Outcome outcome = run_in_lanes<T>(
      c.n_items, lane_ns<T>(m, n, k, c.s.data != nullptr), vectors, [&](Size first, Size count, void* scratch) {
        const LaneItems<const T> a(c.a, first, count), b(c.b, first, count), rcond(c.rcond, first, count);
        const LaneItems<T> x(c.x, first, count), residuals(c.residuals, first, count);
        LaneItems<T> s(c.s, first, count);
        if (c.s.data == nullptr) s.item[0] = nullptr;
        std::int64_t* rank[items_per_group<T>];
        for (Size l = 0; l < items_per_group<T>; ++l) rank[l] = c.rank.item(first + std::min<Size>(l, count - 1));
        LaneBits uncertain;
        LaneBits failed =
            kernel.solve(a.item, c.a.layout, b.item, c.b.layout, rcond.item, x.item, c.x.layout, residuals.item,
                         c.residuals.layout, rank, s.item, c.s.layout, &uncertain, scratch);
        for (Size l = 0; l < count; ++l) {
          if (((uncertain >> l) & 1) == 0) continue;
          const Outcome one = with_care(without_s, first + l);
          if (one.status == Outcome::Status::failed_items)
            failed |= LaneBits{1} << l;
          else
            careful.join(one);
        }
        return failed;
      });
  outcome.join(careful.get());
  return outcome;
}

// Problems with at least as many equations as unknowns.
template <class T>
Outcome run_tall(const LstsqCall<T>& c) noexcept {
  const Size m = c.a.layout.rows, n = c.a.layout.cols, k = c.b.layout.cols;
  const double r = static_cast<double>(n), longer = static_cast<double>(m);
  const double item_ns = 5e3 + longer * r * (r + 2 * static_cast<double>(k)) * 0.3 + r * r * r;
  return run_matrices(c.n_items, item_ns, 0, Uses::lapack, [&](Size i, void*) { return with_care(c, i); });
}

// Problems with fewer: by LAPACK as they are, and with care where that is not sure to be right.
template <class T>
Outcome run_wide(const LstsqCall<T>& c) noexcept {
  const Size m = c.a.layout.rows, n = c.a.layout.cols, k = c.b.layout.cols;
  if (!fits_blas_int(m) || !fits_blas_int(n) || !fits_blas_int(k)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const Gelsd<T> g{*routines, m, n, k};
  const double r = static_cast<double>(m), longer = static_cast<double>(n);
  const double item_ns = 5e3 + longer * r * (r + 2 * static_cast<double>(k)) * 0.3 + r * r * r;
  LstsqCall<T> without_s = c;
  without_s.s.data = nullptr;
  return run_matrices(c.n_items, item_ns, g.bytes(), Uses::lapack, [&](Size i, void* scratch) -> Outcome {
    if (scratch == nullptr) return {Outcome::Status::no_memory};
    bool certain;
    if (!g.solve(c, i, scratch, certain)) {
      fail(c, i);
      return {Outcome::Status::failed_items};
    }
    return certain ? Outcome{} : with_care(without_s, i);
  });
}

// The solutions from the lanes, the singular values from LAPACK.
template <class T>
Outcome run_both(const LstsqCall<T>& c) noexcept {
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  LstsqCall<T> only_x = c;
  only_x.s.data = nullptr;
  Outcome outcome = run_lanes(only_x);
  const Size m = c.a.layout.rows, n = c.a.layout.cols, r = std::min(m, n);
  const Size lwork = workspace<T>([&](T* work) {
    std::int64_t iwork = 0;
    routines->gesdd('N', m, n, nullptr, nullptr, nullptr, nullptr, work, -1, &iwork);
  });
  const AlignedBuffer<T> a(m * n), s(r), work(lwork);
  const AlignedBuffer<std::int64_t> iwork(8 * r);
  if (a.data() == nullptr || s.data() == nullptr || work.data() == nullptr || iwork.data() == nullptr)
    return {Outcome::Status::no_memory};
  for (Size i = 0; i < c.n_items; ++i) {
    to_columns(c.a.item(i), c.a.layout, a.data(), m);
    const T size = largest_finite(a.data(), m * n);
    const int exponent = std::isfinite(size) ? safe_exponent(size) : 0;
    multiply_by_power(a.data(), m * n, exponent);
    // A failed problem has NaN in x.
    const bool failed =
        std::isnan(*c.x.item(i)) || !std::isfinite(size) ||
        routines->gesdd('N', m, n, a.data(), s.data(), nullptr, nullptr, work.data(), lwork, iwork.data()) != 0;
    if (failed) std::fill_n(s.data(), r, std::numeric_limits<T>::quiet_NaN());
    multiply_by_power(s.data(), r, -exponent);
    from_columns(s.data(), r, c.s.item(i), c.s.layout);
  }
  return outcome;
}

// No equations: every x will do, the smallest is zero. No unknowns: the residual is b.
template <class T>
Outcome nothing_to_solve(const LstsqCall<T>& c) noexcept {
  for (Size i = 0; i < c.n_items; ++i) {
    set_all(c.x.item(i), c.x.layout, T{0});
    *c.rank.item(i) = 0;
    for (Size j = 0; j < c.b.layout.cols; ++j) {
      T sum = 0;
      for (Size e = 0; e < c.b.layout.rows; ++e) {
        const T x = c.b.item(i)[e * c.b.layout.row_stride + j * c.b.layout.col_stride];
        sum += x * x;
      }
      c.residuals.item(i)[j * c.residuals.layout.row_stride] = sum;
    }
  }
  return {};
}

}  // namespace

template <class T>
Outcome lstsq(const LstsqCall<T>& c) noexcept {
  const Size m = c.a.layout.rows, n = c.a.layout.cols, k = c.b.layout.cols;
  if (c.n_items == 0) return {};
  if (m == 0 || n == 0) return nothing_to_solve(c);
  if (k == 0) {  // ranks and singular values are wanted all the same
    const AlignedBuffer<T> zeros(m), unused(n + 1);
    if (zeros.data() == nullptr || unused.data() == nullptr) return {Outcome::Status::no_memory};
    std::fill_n(zeros.data(), m, T{0});
    LstsqCall<T> with_one = c;
    with_one.b = {zeros.data(), 0, {m, 1, 1, 1}};
    with_one.x = {unused.data(), 0, {n, 1, 1, 1}};
    with_one.residuals = {unused.data() + n, 0, {1, 1, 1, 1}};
    return lstsq<T>(with_one);
  }
  if (!use_lanes<T>(c.n_items, m, n, k)) return m >= n ? run_tall(c) : run_wide(c);
  return c.s.data == nullptr || std::min(m, n) <= most_rotated ? run_lanes(c) : run_both(c);
}

template Outcome lstsq<double>(const LstsqCall<double>&) noexcept;
template Outcome lstsq<float>(const LstsqCall<float>&) noexcept;

}  // namespace mmlfast::drivers
