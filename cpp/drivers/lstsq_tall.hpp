// Least squares of one problem with more equations than unknowns that does not fit the lanes: R of [A b] by our own
// reflections, leaf by leaf on all threads (rfactor.hpp), in float64 whatever T is. The singular values of R are those
// of A, and where they say that the rank is full, x is found by substitution. Part of lstsq.cpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/column_major.hpp"
#include "drivers/lstsq.hpp"
#include "drivers/rfactor.hpp"
#include "drivers/room.hpp"
#include "drivers/svd_lapack.hpp"

namespace mmlfast::drivers {

// What counts as zero, times the largest singular value, if `given` is asked for.
template <class T>
T threshold(T given, Size longer) noexcept {
  constexpr T eps = std::numeric_limits<T>::epsilon();
  if (std::isnan(given)) return eps * static_cast<T>(longer);
  return given > 0 && given < 1 ? given : eps / 2;
}

template <class T>
class TallLstsq {
 public:
  // Right-hand sides are columns like the others, which is only cheap if they are few.
  static bool suits(Size m, Size n, Size k) noexcept { return m > n && 2 * k <= n + 1; }

  TallLstsq(Size m, Size n, Size k) noexcept : m_(m), n_(n), k_(k), width_(n + k) {}

  // Problem i; if `full` turns out false, its rank is not full and nothing has been done.
  Outcome run(const LstsqCall<T>& c, Size i, bool& full) const noexcept {
    const Room<double> table(checked_product(m_, width_)), r(checked_product(width_, width_)), x(n_ * k_), s(n_);
    if (!table || !r || !x || !s) return {Outcome::Status::no_memory};
    Exponents of;
    if (!pack(c, i, table.data(), of)) return {Outcome::Status::failed_items};
    Outcome outcome = r_of_rows<double>(table.data(), Layout{m_, width_, width_, 1}, r.data());
    const Batch<const double> square{r.data(), 0, {n_, n_, width_, 1}};
    if (outcome.ok())
      outcome = run_gesdd('N', 1, square, [&](Size, const auto& factors) { std::copy_n(factors.s, n_, s.data()); });
    if (!outcome.ok()) return outcome;
    full = s[n_ - 1] > static_cast<double>(threshold(*c.rcond.item(i), m_)) * s[0];
    if (!full) return {};
    to_columns(r.data() + n_, Layout{n_, k_, width_, 1}, x.data(), n_);
    substitute(r.data(), x.data());
    give(c, i, r.data(), x.data(), s.data(), of);
    return {};
  }

 private:
  struct Exponents {  // of the powers of two that A and b were multiplied with
    int a = 0, b = 0;
  };

  // [A b], rows one after the other, at a safe scale; false if it is not finite.
  bool pack(const LstsqCall<T>& c, Size i, double* table, Exponents& of) const noexcept {
    const auto part = [&](const T* item, const Layout& l, double* to, int& exponent) {
      to_columns(item, Layout{l.cols, l.rows, l.col_stride, l.row_stride}, to, width_);
      double largest = 0;
      for (Size row = 0; row < m_; ++row) largest = std::max(largest, largest_finite(to + row * width_, l.cols));
      if (!std::isfinite(largest)) return false;
      exponent = safe_exponent(largest);
      for (Size row = 0; exponent != 0 && row < m_; ++row) multiply_by_power(to + row * width_, l.cols, exponent);
      return true;
    };
    return part(c.a.item(i), c.a.layout, table, of.a) && part(c.b.item(i), c.b.layout, table + n_, of.b);
  }

  // x := R^-1 x, columns of n.
  void substitute(const double* r, double* x) const noexcept {
    for (Size j = 0; j < k_; ++j, x += n_)
      for (Size row = n_; row-- > 0;) {
        double sum = x[row];
        for (Size col = row + 1; col < n_; ++col) sum -= r[row * width_ + col] * x[col];
        x[row] = sum / r[row * width_ + row];
      }
  }

  void give(const LstsqCall<T>& c, Size i, const double* r, double* x, double* s, Exponents of) const noexcept {
    for (Size j = 0; j < k_; ++j) {
      double sum = 0;
      for (Size row = n_; row <= n_ + j; ++row) sum += r[row * width_ + n_ + j] * r[row * width_ + n_ + j];
      c.residuals.item(i)[j * c.residuals.layout.row_stride] = static_cast<T>(std::ldexp(sum, -2 * of.b));
    }
    multiply_by_power(s, n_, -of.a);
    multiply_by_power(x, n_ * k_, of.a - of.b);
    from_columns(x, n_, c.x.item(i), c.x.layout);
    if (c.s.data != nullptr) from_columns(s, n_, c.s.item(i), c.s.layout);
    *c.rank.item(i) = n_;
  }

  Size m_, n_, k_, width_;
};

}  // namespace mmlfast::drivers
