// erf and erfc. In float32 by way of float64.
//
// |x| < 1 (erfc: 3/4): erf x = x + x p(x^2), 13 coefficients, relative error 2^-59.2. Beyond: erfc a = e^(-a^2) t q(t)
// with t = 4 / (4 + a) (the kind of variable of Shepherd and Laframboise 1981) and q of degree 20 in t - 1/8, relative
// error 2^-58.4 up to a = 28. a^2, t and t q are kept in two pieces, and the first two coefficients of q. Both
// polynomials are Sollya's fpminimax.
//
// Measured, in units in the last place (float64; float32): erf 1.32; 0.51, erfc 1.67; 0.51.
#pragma once

#include "simd/math/exponential.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace error_function {

inline constexpr double inner_end = 0.75;
inline constexpr double inner_c[] = {0x1.06eba8214db69p-3,   -0x1.812746b0379e3p-2,  0x1.ce2f21a0429c5p-4,
                                     -0x1.b82ce3127fd7p-6,   0x1.565bcd0d1a171p-8,   -0x1.c02db3c2063cap-11,
                                     0x1.f9a31f57b45aep-14,  -0x1.f4d1b7e24d654p-17, 0x1.b9dd26c616201p-20,
                                     -0x1.5f0f3c269a7fap-23, 0x1.f71874fbb84d8p-27,  -0x1.36d7271e0460ep-30,
                                     0x1.01765b6f683b9p-34};
inline constexpr double outer_c[] = {
    0x1.94c08ba9afd34p-3,  0x1.a301c51e7ae3fp-3,  0x1.9bcd5377a728cp-3,  0x1.7d7daf2b50388p-3, 0x1.49dffd8c6a57ep-3,
    0x1.067a4d982efc9p-3,  0x1.779a40010c1e5p-4,  0x1.d1ba5736974eep-5,  0x1.b0b1f8ca2cb45p-6, 0x1.7b0352193d533p-7,
    -0x1.3226a3d4c4dafp-6, 0x1.0c3acc4c5e292p-5,  -0x1.5ab4bf55a69f5p-4, 0x1.01489c8308814p-3, -0x1.310a669f4003fp-3,
    0x1.0c7e9a91a6988p-3,  -0x1.2c3f9cdc3d7dap-4, 0x1.77b215502e098p-6,  -0x1.93d4f575024c3p-9};
// The first two coefficients, in two pieces, so that differences from the first are exact.
inline constexpr double c0 = 0x1.49ebde7878138p-3, c0_low = 0x1.c52802e1d1fa6p-56, c1 = 0x1.7537bc65ac92ap-3,
                        c1_low = -0x1.441d966a93ac5p-57;

// erfc a = e^(-square - square_low) (high + low), for 3/4 <= a <= 28.
MMLFAST_INLINE vec<double> outer(const vec<double>& a, vec<double>& low) {
  vec<double> d_low;
  const vec<double> four = constant<double>(4), eighth = constant<double>(0.125);
  const vec<double> d = ordered_sum(four, a, d_low), t = four / d, w = t - eighth;  // d exactly, whichever is larger
  const vec<double> r = polynomial_in_two(w, w * w, outer_c);
  const vec<double> first = constant<double>(c0), second = constant<double>(c1), s = fma(w, r, second);
  const vec<double> s_low = fma(w, r, second - s) + constant<double>(c1_low), q = fma(w, s, first);
  const vec<double> q_low = fma(w, s, first - q) + fma(w, s_low, constant<double>(c0_low));
  vec<double> high_low;
  const vec<double> high = exact_product(t, q, high_low);
  // What is missing in t, a quarter of t times the residual, times the derivative of t q, to some bits.
  const vec<double> missing = fnma(t, d_low, residual(four, t, d)) * (t * constant<double>(0.25));
  const vec<double> z = t * t,
                    slope = fma(z, fma(z, constant<double>(2.56), constant<double>(0.7)), constant<double>(0.19));
  low = fma(missing, slope, fma(t, q_low, high_low));
  return high;
}

// e^(-square - square_low) (high + low)
MMLFAST_INLINE vec<double> weighted(const vec<double>& square, const vec<double>& square_low, const vec<double>& high,
                                    const vec<double>& low) {
  using C = exponential::Table<double>;
  vec<double> shifted, k;
  const vec<double> r = exponential::reduce(-square, shifted, k) - square_low;
  const bits<double> i = as_bits(shifted);
  const vec<double> scale = from_bits(as_bits(lookup(C::root, i)) + (i << 50));
  const vec<double> p = exponential::less_one(r, r + lookup(C::root_low, i));
  vec<double> product_low;
  const vec<double> product = exact_product(scale, high, product_low);
  return product + fma(scale, low, fma(product, p, product_low));
}

// erf x / x - 1
// erf x / x - 1
// erf x / x - 1
MMLFAST_INLINE vec<double> inner(const vec<double>& x) {
  const vec<double> z = x * x;
  return polynomial_in_two(z, z * z, inner_c);
}

// erfc where e^(-a^2) is not a normal number: 2, NaN, or a result in the last thousandth of the range.
MMLFAST_NOINLINE inline vec<double> far_erfc(vec<double> x) {
  const vec<double> a = min(constant<double>(27.5), abs(x)), shift = constant<double>(70);
  vec<double> low, square_low;
  const vec<double> high = outer(a, low), square = exact_product(a, a, square_low);
  const vec<double> y = weighted(square - shift, square_low, high, low) * constant<double>(0x1.02057d1245cebp-101);
  return select(x < zero<double>(), constant<double>(2), y);
}

}  // namespace error_function

MMLFAST_INLINE vec<double> erf(const vec<double>& x) {
  const vec<double> one = constant<double>(1), a = abs(x);
  // erfc a < 0.16 needs no second pieces here.
  const vec<double> t = constant<double>(4) / (constant<double>(4) + a), w = t - constant<double>(0.125);
  const vec<double> r = polynomial_in_two(w, w * w, error_function::outer_c);
  const vec<double> q = fma(w, fma(w, r, constant<double>(error_function::c1)), constant<double>(error_function::c0));
  const auto [scale, p] = exponential::parts(-(a * a));
  const vec<double> product = scale * (t * q), beyond = one - fma(product, p, product);
  vec<double> y = select(a < one, fma(a, error_function::inner(a), a), beyond);
  const mask<double> near = a <= constant<double>(26);
  if (!all(near)) [[unlikely]]
    y = select(near, y, select(a > one, one, a));
  return copysign(y, x);
}

MMLFAST_INLINE vec<double> erfc(const vec<double>& x) {
  const vec<double> one = constant<double>(1), two = constant<double>(2), a = abs(x);
  vec<double> low, square_low;
  const vec<double> high = error_function::outer(a, low), square = exact_product(a, a, square_low);
  const vec<double> tail = error_function::weighted(square, square_low, high, low);
  const vec<double> beyond = select(x < zero<double>(), two - tail, tail);
  vec<double> y =
      select(a < constant<double>(error_function::inner_end), fnma(x, error_function::inner(x), one - x), beyond);
  const mask<double> near = a <= constant<double>(26.5);
  if (!all(near)) [[unlikely]]
    y = select(near, y, error_function::far_erfc(x));
  return y;
}

MMLFAST_INLINE vec<float> erf(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return erf(v); });
}
MMLFAST_INLINE vec<float> erfc(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return erfc(v); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
