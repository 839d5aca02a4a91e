// polygamma: the derivative of order m of the logarithmic derivative of the gamma function. For kernel files only.
//
// For positive x by recurrence up to 12 + m and Euler and Maclaurin's series there (Abramowitz and Stegun 1964, 6.4.6
// and 6.4.11); for x <= 0 by reflection (6.4.7), for which the derivatives of the cotangent are polynomials in it.
// Measured: 3 units in the last place for x > 2, and absolutely below; orders to 20.
#pragma once

#include "kernels/tape_functions.hpp"

namespace mmlfast::MMLFAST_LEVEL::polygamma {

using tape_functions::number;
using tape_functions::to_integer_power;
using tape_functions::Vector;

// B_2, B_4, ...
inline constexpr double bernoulli[] = {1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
                                       -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};

// x > 0
MMLFAST_INLINE Vector positive(int m, const Vector& x) {
  const Vector one = number<Vector>(1), end = number<Vector>(12 + m);
  Vector z = x, sum = zero<double>();
  for (int step = 0; step < 12 + m; ++step) {
    const mask<double> below = z < end;
    if (!any(below)) break;
    sum = select(below, sum + one / to_integer_power(z, m + 1), sum);
    z = select(below, z + one, z);
  }
  // Coefficients of z^-2, z^-4, ...: B_2k (2k + m - 1)! / ((2k)! m!), or B_2k / 2k if m = 0.
  const Vector inverse = one / z, square = inverse * inverse;
  double c[10], ratio = 0.5 * (m + 1);
  for (int k = 1; k <= 10; ++k) {
    c[k - 1] = bernoulli[k - 1] * ratio;
    ratio *= static_cast<double>((2 * k + m) * (2 * k + m + 1)) / ((2 * k + 1) * (2 * k + 2));
  }
  const Vector tail = square * polynomial(square, c);
  if (m == 0) return (log(z) - fma(number<Vector>(0.5), inverse, tail)) - sum;
  double factorial = m % 2 == 0 ? -1 : 1;
  for (int k = 2; k <= m; ++k) factorial *= k;
  const Vector head = number<Vector>(1.0 / m) + fma(number<Vector>(0.5), inverse, tail);
  return number<Vector>(factorial) * (sum + head / to_integer_power(z, m));
}

inline constexpr int highest_order = 60;

// The derivative of order m of cot, for cot = c: P_0 = c, P_k+1 = -(1 + c^2) P_k'.
MMLFAST_INLINE Vector cotangent_derivative(int m, const Vector& c) {
  double p[highest_order + 3] = {0, 1};
  for (int k = 0; k < m; ++k) {
    double next[highest_order + 3] = {};
    for (int d = 1; d <= k + 1; ++d) {
      next[d - 1] -= d * p[d];
      next[d + 1] -= d * p[d];
    }
    for (int d = 0; d <= k + 2; ++d) p[d] = next[d];
  }
  Vector y = number<Vector>(p[m + 1]);
  for (int d = m; d >= 0; --d) y = fma(y, c, number<Vector>(p[d]));
  return y;
}

MMLFAST_NOINLINE inline Vector reflected(int m, Vector x) {
  const Vector one = number<Vector>(1), half = number<Vector>(0.5), pi = number<Vector>(0x1.921fb54442d18p1);
  const Vector f = x - tape_functions::to_nearest(x), turns = abs(f);
  const mask<double> steep = turns <= number<Vector>(0.25);
  const Vector t = tan(pi * select(steep, turns, half - turns)), c = copysign(select(steep, one / t, t), f);
  const Vector mirrored = positive(m, one - x), cotangent = cotangent_derivative(m, c);
  const Vector factor = to_integer_power(pi, m + 1);
  return (m % 2 == 0 ? mirrored : -mirrored) - factor * cotangent;
}

MMLFAST_INLINE Vector of(int m, const Vector& x) {
  const mask<double> right = x > zero<double>();
  Vector y = positive(m, x);
  if (!all(right)) [[unlikely]]
    y = select(right, y, reflected(m, x));
  return y;
}

}  // namespace mmlfast::MMLFAST_LEVEL::polygamma
