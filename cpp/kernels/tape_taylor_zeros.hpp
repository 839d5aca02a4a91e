// Lanes whose first coefficient is zero: what follows decides.
#pragma once

#include "kernels/tape_taylor_series.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

// The number of the first coefficient that is not zero; last + 1 if all are.
inline int leading(const In& a, int lane) {
  int k = 0;
  while (k <= a.last && a.at(k, lane) == 0) ++k;
  return k;
}

inline void fill(const Out& y, int lane, int from, double value) {
  for (int k = from; k <= y.last; ++k) y.put(k, lane, value);
}

inline void set_constant(const Out& y, int lane, double value) {
  y.put(0, lane, value);
  fill(y, lane, 1, 0);
  y.put_degree(lane, 0);
}

inline bool is_integer(double x) {
  if (!(x < 0x1p52 && x > -0x1p52)) return x == x;
  return static_cast<double>(static_cast<std::int64_t>(x)) == x;
}

// y := a / b in lanes where b_0 = 0. Zeros that both begin with cancel; a pole keeps its y_0 and is NaN from there on,
// as are coefficients that would need more of a and b than there is.
inline void divide_at_zero(const In& a, const In& b, const mask<double>& lanes_of_it, const Out& y, Scratch& scratch) {
  const double nan = __builtin_nan("");
  const Out numerator = scratch.series(y.last), denominator = scratch.series(y.last), q = scratch.series(y.last);
  copy(a, numerator), copy(b, denominator);
  for_lanes(lanes_of_it, [&](int lane) {
    const int m = leading(b, lane);
    for (int k = 0; k <= y.last; ++k) {
      numerator.put_from(k, lane, a, k + m);
      denominator.put_from(k, lane, b, k + m);
    }
  });
  divide(numerator, denominator, q);
  for_lanes(lanes_of_it, [&](int lane) {
    const int m = leading(b, lane);
    y.put_degree(lane, __builtin_inf());
    if (m > b.last || leading(a, lane) < m) return fill(y, lane, 1, nan);
    const bool polynomials = a.degree_at(lane) <= y.last && b.degree_at(lane) <= y.last;
    for (int k = 0; k <= y.last; ++k) {
      if (k + m <= y.last || polynomials)
        y.put_from(k, lane, q, k);
      else
        y.put(k, lane, nan);
    }
  });
}

// y := a^p in lanes where a_0 = 0, y_0 given. odd_root: the cube root, of both signs.
//
// a = a_m t^m (1 + ...), so y = a_m^p t^q (1 + ...), q = m p. That is a series if q is an integer, and if t^q is what
// the power gives on both sides: p an integer, m even and q even (sqrt(t^4)), or an odd root. Otherwise an even m has
// both sides, but a derivative only as long as |t|^q has; an odd one has one side, and no derivative.
inline void power_at_zero(const In& a, const C& p, bool odd_root, const mask<double>& lanes_of_it, const Out& y,
                          Scratch& scratch) {
  const double nan = __builtin_nan("");
  const Out base = scratch.series(y.last), r = scratch.series(y.last);
  alignas(vec_bytes) double exponent[taylor_lanes], first[taylor_lanes];
  copy(a, base);
  for_lanes(lanes_of_it, [&](int lane) {
    const int m = leading(a, lane);
    for (int k = 0; k <= y.last; ++k) base.put_from(k, lane, a, k + m);
  });
  const C b_0 = base[0];
  const C half_power = sqrt(b_0);
  r.set(0, odd_root ? of(cbrt(b_0.hi)) : select(p.hi == number(0.5), half_power, of(pow(b_0.hi, p.hi))));
  store(first, r[0].hi);
  store(exponent, p.hi);
  power(base, p, r, scratch);
  for_lanes(lanes_of_it, [&](int lane) {
    const int m = leading(a, lane);
    const bool polynomial = a.degree_at(lane) <= y.last, integer = is_integer(exponent[lane]) && !odd_root;
    if (!odd_root && exponent[lane] == 0) return set_constant(y, lane, 1);
    if (m > a.last && polynomial && exponent[lane] > 0) return set_constant(y, lane, 0);
    y.put_degree(lane, __builtin_inf());
    if (m > a.last || !(exponent[lane] > 0) || first[lane] != first[lane] || !(odd_root || integer || m % 2 == 0))
      return fill(y, lane, 1, nan);
    const double q = odd_root ? m / 3.0 : m * exponent[lane];
    const bool smooth = is_integer(q) && (odd_root || integer || is_integer(q / 2));
    for (int k = 1; k <= y.last; ++k) y.put(k, lane, k < q ? 0 : nan);
    if (!smooth) return;
    for (int k = 0; k + q <= y.last && (polynomial || k + m <= y.last); ++k)
      y.put_from(k + static_cast<int>(q), lane, r, k);
  });
}

// Which of a and b is the larger on both sides of t = 0, a_0 = b_0: 1 or -1, 0 if that is one on the left and the other
// on the right, 2 if they are equal as far as is known.
inline int compare_ties(const In& a, const In& b, int lane) {
  for (int k = 1; k <= most(a.last, b.last); ++k) {
    const double x = a.at(k, lane), y = b.at(k, lane);
    if (x != y) return k % 2 != 0 ? 0 : x > y ? 1 : -1;
  }
  return 2;
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
