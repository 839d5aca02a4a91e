// erf and erfc. In float32 by way of float64.
//
// erfcx a = e^(a^2) erfc a. For erfc: (1 + 9/8 a) erfcx a, which lies between 0.63 and 1 and is nearly flat at 0, as a
// polynomial of degree 21 in (a - 4)/(a + 4) (the kind of variable of Shepherd and Laframboise 1981), relative error
// 2^-55.1 up to a = 28. The quotient by 1 + 9/8 a and a^2 are kept in two pieces.
//
// erf: |x| < 1: erf x = x + x p(x^2), 13 coefficients, relative error 2^-59.2. Beyond, 1 - e^(-a^2) erfcx a with a
// polynomial of degree 10 in (a - 5/2)/(a + 5/2), up to 6, absolute error of the result 2^-55.7.
//
// Measured, in units in the last place (float64; float32): erf 1.21; 0.51, erfc 1.74; 0.51.
#pragma once

#include "simd/math/exponential.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace error_function {

// Sollya's fpminimax
inline constexpr double inner_c[] = {0x1.06eba8214db69p-3,   -0x1.812746b0379e3p-2,  0x1.ce2f21a0429c5p-4,
                                     -0x1.b82ce3127fd7p-6,   0x1.565bcd0d1a171p-8,   -0x1.c02db3c2063cap-11,
                                     0x1.f9a31f57b45aep-14,  -0x1.f4d1b7e24d654p-17, 0x1.b9dd26c616201p-20,
                                     -0x1.5f0f3c269a7fap-23, 0x1.f71874fbb84d8p-27,  -0x1.36d7271e0460ep-30,
                                     0x1.01765b6f683b9p-34};
// Lawson's iteration in 66 digits, rounded coefficient by coefficient
inline constexpr double outer_c[] = {0x1.afbb3f3b734a9p-3,   -0x1.7ca88dec22aeep-2, 0x1.01c11a732ef4cp-2,
                                     -0x1.001154396b310p-3,  0x1.470ba27be54cap-5,  -0x1.05baeb800d4a8p-8,
                                     -0x1.5a548b13c90d8p-9,  0x1.cb388872a3f6dp-11, 0x1.db61fabe5ec37p-13,
                                     -0x1.1e82986ac1a47p-13, -0x1.ac3b3f453ab73p-15};
inline constexpr double tail_0 = 0x1.81ca5c6ac35d4p-1;
inline constexpr double tail_c[] = {-0x1.88f7ef80ff630p-3,  0x1.ab6160c8dc2f6p-4,   -0x1.12e8a665fa307p-5,
                                    -0x1.2c41863338e0fp-7,  0x1.9b7c27f72a504p-6,   -0x1.82f2f299f79cdp-6,
                                    0x1.f4f0daa8b7d1ap-7,   -0x1.e0b287d27fdc5p-8,  0x1.452c047a4aa8fp-9,
                                    -0x1.c8efc50f87b17p-12, -0x1.452b5a3ec0c07p-14, 0x1.39fa90f0b66bep-14,
                                    -0x1.e87b39619767fp-17, -0x1.51828ba79843ap-18, 0x1.971b6292566c0p-19,
                                    0x1.aa251c61f3ae3p-25,  -0x1.c3c04a4940512p-22, 0x1.7bf750e3a8809p-25,
                                    0x1.bfd137eaee127p-25,  -0x1.a7246b7baaec0p-28, -0x1.42f27bb791879p-28};

// e^(offset - a^2) erfcx a, for 0 <= a <= 28 and offset - a^2 > -708.
MMLFAST_INLINE vec<double> tail(const vec<double>& a, const vec<double>& offset) {
  using C = exponential::Table<double>;
  const vec<double> one = constant<double>(1), four = constant<double>(4), minus_slope = constant<double>(-1.125);
  const vec<double> d = residual(one, minus_slope, a), d_low = residual(one - d, minus_slope, a), inverse = one / d;
  const vec<double> w = (a - four) / (a + four);
  const vec<double> p = fma(w, polynomial_in_two(w, w * w, tail_c), constant<double>(tail_0)), q = p * inverse;
  const vec<double> q_low = fnma(q, d_low, residual(p, q, d)) * inverse;
  // e^ as in exponential.hpp, of two pieces.
  vec<double> square_low;
  const vec<double> square = exact_product(a, a, square_low), e = offset - square;
  const vec<double> shift = constant<double>(Format<double>::round_shift);
  const vec<double> shifted = fma(e, constant<double>(C::inverse_step), shift), k = shifted - shift;
  const bits<double> i = as_bits(shifted);
  const vec<double> scale = from_bits(as_bits(lookup(C::root, i)) + (i << 50));
  const vec<double> r = residual(e, k, constant<double>(C::step)) + fma(k, constant<double>(C::step_rest), -square_low);
  const vec<double> less_one = exponential::less_one(r, r + lookup(C::root_low, i));
  return fma(scale, q, scale * fma(q, less_one, q_low));
}

// erfc where e^(-a^2) is not a normal number: 2, NaN, or a result in the last thousandth of the range.
MMLFAST_NOINLINE inline vec<double> far_erfc(vec<double> x) {
  const vec<double> a = min(constant<double>(27.5), abs(x));
  const vec<double> y = tail(a, constant<double>(70)) * constant<double>(0x1.02057d1245cebp-101);
  return select(x < zero<double>(), constant<double>(2), y);
}

}  // namespace error_function

MMLFAST_INLINE vec<double> erf(const vec<double>& x) {
  const vec<double> one = constant<double>(1), a = abs(x), middle = constant<double>(2.5), square = a * a;
  const vec<double> w = (a - middle) / (a + middle);
  const auto [scale, p] = exponential::parts(-square);
  const vec<double> product = scale * polynomial_in_two(w, w * w, error_function::outer_c);
  const vec<double> beyond = one - fma(product, p, product);
  const vec<double> inner = fma(a, polynomial_in_two(square, square * square, error_function::inner_c), a);
  vec<double> y = select(a < one, inner, beyond);
  const mask<double> near = a <= constant<double>(26);
  if (!all(near)) [[unlikely]]
    y = select(near, y, select(a > one, one, a));
  return copysign(y, x);
}

MMLFAST_INLINE vec<double> erfc(const vec<double>& x) {
  const vec<double> a = abs(x), upper = error_function::tail(a, zero<double>());
  vec<double> y = select(x < zero<double>(), constant<double>(2) - upper, upper);
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
