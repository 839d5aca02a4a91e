// Functions of one operand. Each sets the coefficients of y; the caller then keeps what is constant constant.
#pragma once

#include "kernels/tape_taylor_gamma.hpp"
#include "kernels/tape_taylor_values.hpp"
#include "kernels/tape_taylor_zeros.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

// y' = factor y a', y_0 given.
inline void exponential(const In& a, const Out& y, Scratch& scratch, const C* factor = nullptr) {
  const Out d = slopes(a, scratch);
  if (factor != nullptr) scale(d, *factor);
  for (int k = 1; k <= y.last; ++k) y.set(k, integral_at(d, y, k));
}

inline void logarithm(const In& a, const C& a_0, const V& y_0, const Out& y, Scratch& scratch,
                      const C* factor = nullptr) {
  const Out d = slopes(a, scratch), work = scratch.series(y.last);
  if (factor != nullptr) scale(d, *factor);
  y.set(0, y_0);
  integrate_quotient(d, a, a_0, y, work);
}

// sine' = cosine a', cosine' = sign sine a'.
inline void sine_and_cosine(const In& a, const Out& sine, const Out& cosine, double sign, Scratch& scratch) {
  const Out d = slopes(a, scratch);
  for (int k = 1; k <= sine.last; ++k) {
    sine.set(k, integral_at(d, cosine, k));
    cosine.set(k, integral_at(d, sine, k) * number(sign));
  }
}

inline void trigonometric(TapeOp op, const In& a, const Out& y, Scratch& scratch) {
  const bool hyperbolic = op == TapeOp::sinh || op == TapeOp::cosh,
             wants_sine = op == TapeOp::sin || op == TapeOp::sinh;
  const Out other = scratch.series(y.last), sine = wants_sine ? y : other, cosine = wants_sine ? other : y;
  V s, c;
  if (hyperbolic) {
    s = sinh(a[0].hi), c = cosh(a[0].hi);
  } else {
    sincos(a[0].hi, s, c);
  }
  sine.set(0, s), cosine.set(0, c);
  sine_and_cosine(a, sine, cosine, hyperbolic ? 1 : -1, scratch);
}

// y' = (1 + y^2) a', or (1 - y^2) a': sign -1.
inline void tangent(const In& a, const C& slope_0, double sign, const Out& y, Scratch& scratch) {
  const Out d = slopes(a, scratch), slope = scratch.series(y.last);
  slope.set(0, slope_0);
  for (int k = 1; k <= y.last; ++k) {
    y.set(k, integral_at(d, slope, k));
    slope.set(k, square_at(y, k) * number(sign));
  }
}

// y' = sign a' / sqrt(1 - a^2)
inline void arcsine(const In& a, double sign, const Out& y, Scratch& scratch) {
  const Out g = scratch.series(y.last), root = scratch.series(y.last), d = slopes(a, scratch),
            work = scratch.series(y.last);
  const C one = of(1.0);
  scale(d, of(sign));
  g.set(0, (one - a[0]) * (one + a[0]));
  for (int k = 1; k <= y.last; ++k) g.set(k, -square_at(a, k));
  square_root(g, root);
  integrate_quotient(d, root, root[0], y, work);
}

// arctan, arcsinh and arccosh, whose squares may be out of range: in terms of u = a / h.
inline void scaled_inverse(TapeOp op, const In& a, const Out& y, Scratch& scratch) {
  const C one = of(1.0), a_0 = a[0];
  const C h = of(op == TapeOp::arccosh ? a_0.hi : hypotenuse(a_0.hi, one.hi));
  const Out u = scratch.series(a.last), g = scratch.series(y.last);
  for (int k = 0; k <= a.last; ++k) u.set(k, a[k] / h);
  const C part = one / h;
  g.set(0, op == TapeOp::arccosh ? ((a_0 - one) / h) * ((a_0 + one) / h) : u[0] * u[0] + part * part);
  for (int k = 1; k <= y.last; ++k) g.set(k, square_at(u, k));
  const Out d = slopes(u, scratch), work = scratch.series(y.last);
  if (op == TapeOp::arctan) {
    for (int k = 1; k <= d.last; ++k) d.set(k, d[k] / h);
    return integrate_quotient(d, g, g[0], y, work);
  }
  const Out root = scratch.series(y.last);
  square_root(g, root);
  integrate_quotient(d, root, root[0], y, work);
}

inline void arctanh_series(const In& a, const Out& y, Scratch& scratch) {
  const Out g = scratch.series(y.last), d = slopes(a, scratch), work = scratch.series(y.last);
  const C one = of(1.0);
  const C g_0 = (one - a[0]) * (one + a[0]);
  for (int k = 1; k <= y.last; ++k) g.set(k, -square_at(a, k));
  integrate_quotient(d, g, g_0, y, work);
}

// y' = sign 2 / sqrt(pi) e^(-a^2) a'
inline void error_function(const In& a, double sign, const Out& y, Scratch& scratch) {
  const Out square_of_a = scratch.series(y.last), e = scratch.series(y.last);
  for (int k = 0; k <= y.last; ++k) square_of_a.set(k, -square_at(a, k));
  e.set(0, exp_of_minus_square(a[0].hi) * number(sign * two_over_root_pi));
  exponential(square_of_a, e, scratch);
  const Out d = slopes(a, scratch);
  for (int k = 1; k <= y.last; ++k) y.set(k, integral_at(d, e, k));
}

// y := 1 / (1 + e^-a): y' = y (1 - y) a'.
inline void logistic_series(const In& a, const Out& y, Scratch& scratch) {
  const Out d = slopes(a, scratch), slope = scratch.series(y.last);
  const V a_0 = a[0].hi;
  // Both to about 100 bits: of the smaller, and what it lacks to 1.
  const V small = logistic(-abs(a_0));
  const C lower = of(small), upper = of(1.0) - lower;
  const mask<double> positive = a_0 > zero<double>();
  const C up = select(positive, upper, lower), down = select(positive, lower, upper), difference = down - up;
  y.set(0, select(a_0 == a_0, up, of(a_0)));
  slope.set(0, up * down);
  for (int k = 1; k <= y.last; ++k) {
    y.set(k, integral_at(d, slope, k));
    slope.set(k, y[k] * difference - square_at(y, k, 1));
  }
}

inline void softplus_series(const In& a, const Out& y, Scratch& scratch) {
  const Out s = scratch.series(y.last);
  logistic_series(a, s, scratch);
  const Out d = slopes(a, scratch);
  y.set(0, softplus(a[0].hi));
  for (int k = 1; k <= y.last; ++k) y.set(k, integral_at(d, s, k));
}

// y := 1 / a
inline void reciprocal(const In& a, const Out& y) {
  const Divisor divisor(a[0]);
  y.set(0, of(1.0) / a[0]);
  for (int k = 1; k <= y.last; ++k) y.set(k, divisor.under(-product_at(a, y, k, 1)));
}

// By repeated multiplication: zeros stay zeros, and a polynomial a polynomial.
inline void power_of_integer(const In& a, int exponent, const Out& y, Scratch& scratch) {
  In base = a;
  if (exponent < 0) {
    const Out inverse = scratch.series(y.last);
    reciprocal(a, inverse);
    base = inverse;
  }
  unsigned left = exponent < 0 ? 0u - static_cast<unsigned>(exponent) : static_cast<unsigned>(exponent);
  const Out work[2] = {scratch.series(y.last), scratch.series(y.last)}, product = scratch.series(y.last);
  bool started = false;
  for (int turn = 0; left != 0; turn = 1 - turn) {
    if (left & 1) {
      if (started) {
        multiply(In(y), base, product);
        copy(product, y);
      } else {
        copy(base, y);
        started = true;
      }
    }
    left >>= 1;
    if (left == 0) break;
    square(base, work[turn]);
    base = work[turn];
  }
  if (!started) {
    for (int k = 0; k <= y.last; ++k) y.set(k, number(k == 0 ? 1 : 0));
  }
}

inline void root(const In& a, bool cubic, const Out& y, Scratch& scratch) {
  const C third = of(1.0) / 3, exponent = cubic ? third : of(0.5);
  if (cubic) {
    y.set(0, cbrt(a[0].hi));
    Scratch work = scratch;
    power(a, exponent, y, work);
  } else {
    square_root(a, y);
  }
  keep_constant(is_constant(a), y);
  const mask<double> zeros = starts_with_zero(a);
  if (any(zeros)) power_at_zero(a, exponent, cubic, zeros, y, scratch);
}

// |a|: where a_0 = 0, the first coefficient that is not zero has the sign, if it is that of an even power. Otherwise
// there is a kink, and the two sides have the average 0.
inline void absolute(const In& a, const Out& y) {
  const V nil = zero<double>(), sign = select(a[0].hi < nil, number(-1), number(1));
  for (int k = 0; k <= y.last; ++k) y.set(k, a.get(k) * sign);
  y.set_degree(a.degree());
  for_lanes(starts_with_zero(a), [&](int lane) {
    const int m = leading(a, lane);
    if (m > a.last) return;
    const bool kink = m % 2 != 0;
    const double s = kink ? 0 : a.at(m, lane) < 0 ? -1 : 1;
    for (int k = 0; k <= y.last; ++k) y.put(k, lane, s * a.at(k, lane), k <= a.last ? s * a.at(k)[row + lane] : 0);
    if (kink) y.put_degree(lane, __builtin_inf());
  });
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
