// Least squares of one problem with fewer equations than unknowns: as it is by LAPACK, which is right where the columns
// have much the same length; and in float64 with columns of length one (lstsq_least_norm.hpp), where the rank is
// decided. Part of lstsq.cpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/lstsq_tall.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

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

}  // namespace mmlfast::drivers
