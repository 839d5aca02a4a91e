// lgamma, log |gamma(x)|. In float32 by way of float64.
//
// From 8 on, Stirling's series: (z - 1/2) (log z - 1) + log(2 pi)/2 - 1/2 + s(1/z^2)/z, s of degree 7, a nearly minimax
// fit in 50 digits, absolute error 2^-69. Below, z = x + 8 and the logarithm of x (x + 1) ... (x + 7) is taken off. All
// but s is kept in two pieces, so that the absolute error is about 2^-59 of the larger term: that is 1 unit in the last
// place but near the zeros at 1 and 2, where |lgamma| < 2^-5. Negative x by reflection, log(pi / |x sin(pi x)|) -
// lgamma(-x), to some units in the last place of the larger term, whatever is left of it near the zeros.
//
// Measured, in units in the last place (float64; float32): 1.26; 0.51 for positive x where |lgamma| >= 2^-5; nearer to
// the zeros at 1 and 2 the absolute error is below 2^-57 (float64).
#pragma once

#include "simd/math/power.hpp"
#include "simd/math/trigonometric.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace gamma {

inline constexpr double stirling_c[] = {0x1.5555555555555p-4,   -0x1.6c16c16c16b29p-9, 0x1.a01a019ee0dbep-11,
                                        -0x1.38137ec070146p-11, 0x1.b94f6d659214dp-11, -0x1.f5ff2fdcde511p-10,
                                        0x1.96db406143a31p-8,   -0x1.55b3a71b46db0p-6};
inline constexpr double stirling_0 = 0x1.acfe390c97d69p-2, stirling_0_low = 0x1.3494bc9001442p-56;
inline constexpr double log_pi = 0x1.250d048e7a1bdp+0, log_pi_low = 0x1.7abf2ad8d5088p-57;

// log(x + x_low)
MMLFAST_INLINE vec<double> log_of_two(const vec<double>& x, const vec<double>& x_low, vec<double>& low) {
  const vec<double> high = power::log_in_two(x, low);
  low = low + x_low / x;
  return high;
}

// (a + a_low) (b + c) with b + c in two pieces again
MMLFAST_INLINE vec<double> times(const vec<double>& a, const vec<double>& a_low, const vec<double>& b,
                                 const vec<double>& b_low, vec<double>& low) {
  const vec<double> product = exact_product(a, b, low);
  low = low + fma(a, b_low, a_low * b);
  return product;
}

// For normal x > 0 and below 2^900.
MMLFAST_INLINE vec<double> positive(const vec<double>& x, vec<double>& low) {
  const vec<double> one = constant<double>(1), seven = constant<double>(7), eight = constant<double>(8);
  const mask<double> small = x < eight;
  // u (u + 6) (u + 10) (u + 12) with u = x (x + 7)
  const vec<double> bounded = min(x, eight);
  vec<double> sum_low, u_low, a_low, b_low, z_low, log_low, log_p_low;
  const vec<double> sum = exact_sum(bounded, seven, sum_low);
  const vec<double> u = times(bounded, zero<double>(), sum, sum_low, u_low);
  vec<double> p = u, p_low = u_low;
  constexpr double step[3] = {6, 10, 12};
  _Pragma("GCC unroll 3") for (int i = 0; i < 3; ++i) {
    const vec<double> a = exact_sum(u, constant<double>(step[i]), a_low);
    p = times(p, p_low, a, a_low + u_low, b_low);
    p_low = b_low;
  }
  p = select(small, p, one);
  p_low = select(small, p_low, zero<double>());
  const vec<double> z = exact_sum(x, select(small, eight, zero<double>()), z_low);
  const vec<double> log_z = log_of_two(z, z_low, log_low), less_half = z - constant<double>(0.5);
  vec<double> l_low, t_low, s_low, d_low;
  const vec<double> l = ordered_sum(log_z, -one, l_low);  // log 8 > 1
  const vec<double> t = times(less_half, z_low, l, l_low + log_low, t_low);
  const vec<double> w = one / z, square = w * w;
  const vec<double> s = ordered_sum(t, constant<double>(stirling_0), s_low);  // t > 8
  const vec<double> rest = fma(w, polynomial_in_two(square, square * square, stirling_c),
                               constant<double>(stirling_0_low) + (t_low + s_low));
  const vec<double> log_p = log_of_two(p, p_low, log_p_low);
  const vec<double> d = exact_sum(s, -log_p, d_low);
  return exact_sum(d, d_low + (rest - log_p_low), low);
}

// log(pi / |x sin(pi x)|) - lgamma(|x|), for |x| < 2^52. Infinite at integers.
MMLFAST_INLINE vec<double> reflected(const vec<double>& a, const vec<double>& y, const vec<double>& y_low) {
  const vec<double> integers = constant<double>(Format<double>::first_integer), half = constant<double>(0.5);
  const vec<double> f = abs(a - ((a + integers) - integers));
  const mask<double> low_half = f <= constant<double>(0.25);
  vec<double> r_low, sin_rest, cos_rest, log_low;
  const vec<double> turns = select(low_half, f, half - f);
  const vec<double> r = exact_product(turns, constant<double>(2 * half_pi::first), r_low);
  const vec<double> head =
      trigonometric::sin_and_cos(r, fma(turns, constant<double>(2 * half_pi::second), r_low), sin_rest, cos_rest);
  const vec<double> sine = select(low_half, r + sin_rest, head + cos_rest);
  const vec<double> log_sine = power::log_in_two(sine * a, log_low);
  const vec<double> result =
      (constant<double>(log_pi) - log_sine - y) + (constant<double>(log_pi_low) - log_low - y_low);
  return select(f == zero<double>(), infinity<double>(), result);
}

inline constexpr double smallest = 0x1p-900, largest = 0x1p900;

// Everything else: negative, nearly zero, huge, infinite and NaN.
MMLFAST_NOINLINE inline vec<double> special(vec<double> x) {
  const vec<double> a = abs(x), one = constant<double>(1);
  vec<double> low;
  const vec<double> y = positive(max(constant<double>(smallest), min(constant<double>(largest), a)), low);
  const vec<double> log_a = log(a);
  vec<double> r = select(x < zero<double>(), reflected(a, y, low), y);
  r = select((x < zero<double>()) & (a >= constant<double>(Format<double>::first_integer)), infinity<double>(), r);
  r = select(a < constant<double>(smallest), -log_a, r);
  r = select(x > constant<double>(largest), x * (log_a - one), r);
  return select(x == x, r, x);
}

}  // namespace gamma

MMLFAST_INLINE vec<double> lgamma(const vec<double>& x) {
  vec<double> low, y = gamma::positive(x, low);
  const mask<double> near = (x >= constant<double>(gamma::smallest)) & (x <= constant<double>(gamma::largest));
  if (!all(near)) [[unlikely]]
    y = select(near, y, gamma::special(x));
  return y;
}
MMLFAST_INLINE vec<float> lgamma(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return lgamma(v); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
