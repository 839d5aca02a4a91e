// asin, acos, atan, atan2. In float32 by way of float64.
//
// atan2(y, x): with a <= b the smaller and the larger of |x| and |y|, t = a/b, or (a - b)/(a + b) where a/b >
// tan(pi/8): |t| <= tan(pi/8), and the angle is a multiple of pi/4 plus or minus atan t. One division, and t is all
// that is rounded before the sum. asin: below 1/2 from the polynomial, beyond from asin x = pi/2 - 2 asin sqrt((1 -
// x)/2) (fdlibm, Ng 1993). Polynomials by Sollya's fpminimax, relative errors: atan 2^-59.4 (11 coefficients), asin
// 2^-59.9 (13).
//
// Measured, in units in the last place (float64; float32): asin 1.55, acos 1.07, atan 1.79, atan2 1.73; all 0.51.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace inverse_trigonometric {

inline constexpr double atan_c[] = {-0x1.555555555553dp-2, 0x1.999999999586fp-3,  -0x1.24924922ad81fp-3,
                                    0x1.c71c70e61c511p-4,  -0x1.745cf8ddd1b67p-4, 0x1.3b11193584421p-4,
                                    -0x1.10ebb974b35a5p-4, 0x1.df0f5da4017f2p-5,  -0x1.9cd316986f1f3p-5,
                                    0x1.37d69a1d6235ep-5,  -0x1.256c9a0fe709ap-6};
inline constexpr double asin_c[] = {
    0x1.5555555555577p-3, 0x1.333333332e133p-4,  0x1.6db6db721247bp-5, 0x1.f1c71a95002fbp-6, 0x1.6e8bdedebf9e1p-6,
    0x1.1c49f077d5b5ap-6, 0x1.ca1f8af1f1d9ap-7,  0x1.75859dacf6aedp-7, 0x1.613c1e6f4a2fp-7,  0x1.e5fbe8857f6f5p-9,
    0x1.639a895132223p-6, -0x1.57fad0e39eaf7p-6, 0x1.0b45e9f8e6b15p-5};
inline constexpr double quarter_pi = 0x1.921fb54442d18p-1, quarter_pi_low = 0x1.1a62633145c07p-55;

// The angle of (x, |y|), between 0 and pi, from a <= b, the smaller and the larger of |x| and |y|; steep: |y| > |x|.
MMLFAST_INLINE vec<double> angle(const vec<double>& a, const vec<double>& b, const mask<double>& steep,
                                 const vec<double>& x) {
  const vec<double> one = constant<double>(1);
  const mask<double> diagonal = a > b * constant<double>(0.41421356237309503);
  const vec<double> t = select(diagonal, a - b, a) / select(diagonal, a + b, b);
  // The angle from the nearest axis is n pi/4 + atan t; from the y axis it is counted backwards, and so it is left of
  // it.
  vec<double> n = select(diagonal, one, select(steep, constant<double>(2), zero<double>()));
  const bits<double> sign = as_bits(x) & broadcast_bits<double>(sign_bit<double>);
  const mask<double> left = has_bit(sign, sign_bit<double>);
  n = select(left, constant<double>(4) - n, n);
  const bits<double> turned = as_bits(select(steep, constant<double>(-0.0), zero<double>())) ^ sign;
  const vec<double> u = from_bits(as_bits(t) ^ turned), z = u * u, fourth = z * z;
  const vec<double> tail = fma(u * z, polynomial_in_two(z, fourth, atan_c), n * constant<double>(quarter_pi_low));
  return fma(n, constant<double>(quarter_pi), u + tail);
}

// a/b where the quotient or the sum would not be right: powers of two of both are brought near 1.
MMLFAST_NOINLINE inline vec<double> far_angle(vec<double> y, vec<double> x) {
  const vec<double> ay = abs(y), ax = abs(x), inf = infinity<double>(), one = constant<double>(1);
  const mask<double> y_infinite = ay == inf, x_infinite = ax == inf, nan = (x != x) | (y != y);
  vec<double> v = select(y_infinite, one, select(x_infinite, zero<double>(), ay));
  vec<double> h = select(x_infinite, one, select(y_infinite, zero<double>(), ax));
  const mask<double> big = max(v, h) > one;
  const vec<double> scale = select(big, constant<double>(0x1p-500), constant<double>(0x1p500));
  v = v * scale;
  h = h * scale;
  const mask<double> steep = v > h;
  const vec<double> b = select(steep, v, h);
  const vec<double> r = angle(select(steep, h, v), select(b == zero<double>(), one, b), steep, x);
  return select(nan, x + y, copysign(r, y));
}

MMLFAST_INLINE vec<double> asin_rest(const vec<double>& s, const vec<double>& z) {
  return s * z * polynomial_in_two(z, z * z, asin_c);
}

}  // namespace inverse_trigonometric

MMLFAST_INLINE vec<double> atan(const vec<double>& x) {
  const vec<double> a = abs(x), one = constant<double>(1);
  const mask<double> steep = a > one;
  const vec<double> wide = min(constant<double>(0x1p100), a);  // infinity would be divided by itself; NaN stays NaN
  return copysign(inverse_trigonometric::angle(select(steep, one, wide), select(steep, wide, one), steep, one), x);
}

MMLFAST_INLINE vec<double> atan2(const vec<double>& y, const vec<double>& x) {
  const vec<double> ay = abs(y), ax = abs(x);
  const mask<double> steep = ay > ax;
  const vec<double> a = select(steep, ax, ay), b = select(steep, ay, ax);
  vec<double> r = copysign(inverse_trigonometric::angle(a, b, steep, x), y);
  // Neither overflow nor a subnormal number on the way.
  const mask<double> near = (b <= constant<double>(0x1p1000)) & (b >= constant<double>(0x1p-900));
  if (!all(near)) [[unlikely]]
    r = select(near, r, inverse_trigonometric::far_angle(y, x));
  return r;
}

MMLFAST_INLINE vec<double> asin(const vec<double>& x) {
  const vec<double> a = abs(x), half = constant<double>(0.5);
  const mask<double> inner = a <= half;
  const vec<double> z = select(inner, a * a, fnma(half, a, half)), s = select(inner, a, sqrt(z));
  const vec<double> rest = inverse_trigonometric::asin_rest(s, z);
  const vec<double> half_pi = constant<double>(2 * inverse_trigonometric::quarter_pi);
  const vec<double> low = constant<double>(inverse_trigonometric::quarter_pi_low);
  const vec<double> outer = fnma(constant<double>(2), s + (rest - low), half_pi);
  return copysign(select(inner, s + rest, outer), x);
}

MMLFAST_INLINE vec<double> acos(const vec<double>& x) {
  const vec<double> a = abs(x), half = constant<double>(0.5), two = constant<double>(2);
  const mask<double> inner = a <= half, negative = x < zero<double>();
  const vec<double> z = select(inner, a * a, fnma(half, a, half)), s = select(inner, x, sqrt(z));
  const vec<double> rest = inverse_trigonometric::asin_rest(s, z);
  const vec<double> half_pi = constant<double>(2 * inverse_trigonometric::quarter_pi);
  const vec<double> low = constant<double>(2 * inverse_trigonometric::quarter_pi_low);
  const vec<double> middle = half_pi - (s - (low - rest));
  const vec<double> right = two * (s + rest), left = two * (half_pi - (s - (low - rest)));
  return select(inner, middle, select(negative, left, right));
}

#define MMLFAST_IN_DOUBLE(function)                                        \
  MMLFAST_INLINE vec<float> function(const vec<float>& x) {                \
    return in_double(x, [](const vec<double>& v) { return function(v); }); \
  }
MMLFAST_IN_DOUBLE(asin)
MMLFAST_IN_DOUBLE(acos)
MMLFAST_IN_DOUBLE(atan)
#undef MMLFAST_IN_DOUBLE
MMLFAST_INLINE vec<float> atan2(const vec<float>& y, const vec<float>& x) {
  return in_double(y, x, [](const vec<double>& v, const vec<double>& h) { return atan2(v, h); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
