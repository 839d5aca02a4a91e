// sinh, cosh, tanh.
//
// sinh and cosh: x = k ln 2 + r with |r| <= ln(2)/2, a = 2^(k-1), b = 2^(-k-1): sinh x = (a - b) cosh r + (a + b) sinh
// r and cosh x = (a + b) cosh r + (a - b) sinh r, without a division and exact where k = 0. The polynomials of sinh r
// and cosh r were fitted by Sollya's fpminimax, relative errors 2^-61.7 and 2^-69.9. In float32 by way of float64.
//
// tanh: |x| = (k ln 2)/2 + u with |u| <= ln(2)/4, t = tanh u by a polynomial (relative error 2^-55.9; float32: 2^-30.8)
// and s = 2^k: (s - 1 + (s + 1) t)/(s + 1 + (s - 1) t), one division and no cancellation (the addition theorem). From
// k = 2 on, where the result nears 1, the denominator is the numerator and 2 (1 - t), so that their errors are one; and
// both are multiplied by 13/16, which keeps them away from where a unit in the last place is large beside the number.
//
// Measured, in units in the last place (float64; float32): sinh 1.15; 0.51, cosh 1.28; 0.51, tanh 1.89; 1.89.
#pragma once

#include "simd/math/exponential.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace hyperbolic {

inline constexpr double sinh_c[] = {0x1.5555555555559p-3, 0x1.111111110f62dp-7, 0x1.a01a01b01ed66p-13,
                                    0x1.71ddf7b31fccap-19, 0x1.af5fefcf283a7p-26};
inline constexpr double cosh_c[] = {0x1.5555555555558p-5, 0x1.6c16c16c14fedp-10, 0x1.a01a01ad88c59p-16,
                                    0x1.27e4cbf18442bp-22, 0x1.1f8c1ce989aa9p-29};
inline constexpr double furthest = 708;  // 2^-k is a normal number; the functions overflow at 710.48

struct Parts {
  vec<double> sum, difference;                 // a + b, a - b
  vec<double> r, r_low, sinh_rest, cosh_rest;  // sinh r - r, cosh r - 1
};
// Far: of x > 708, divided by four.
template <bool Far>
MMLFAST_INLINE Parts parts(const vec<double>& x) {
  const vec<double> k = nearest(x * constant<double>(0x1.71547652b82fep0)),
                    low = constant<double>(Format<double>::ln2_low);
  const vec<double> rest = fnma(k, constant<double>(Format<double>::ln2_high), x), r = fnma(k, low, rest);
  const vec<double> z = r * r, a = power_of_two(k - constant<double>(Far ? 3 : 1));
  const vec<double> b = Far ? zero<double>() : power_of_two(-k - constant<double>(1));
  return {a + b,
          a - b,
          r,
          fnma(k, low, rest - r),
          z * r * polynomial(z, sinh_c),
          z * fma(z, polynomial(z, cosh_c), constant<double>(0.5))};
}

// |x| > 708, infinities, NaN: half of e^|x|, of which a quarter does not overflow.
template <bool Odd>
MMLFAST_NOINLINE inline vec<double> far(vec<double> x) {
  const vec<double> limit = constant<double>(711);
  const Parts p = parts<true>(min(limit, abs(x)));
  const vec<double> y = fma(p.sum, p.r + (p.sinh_rest + p.cosh_rest + p.r_low), p.sum) * constant<double>(4);
  return Odd ? copysign(y, x) : y;
}

}  // namespace hyperbolic

MMLFAST_INLINE vec<double> sinh(const vec<double>& x) {
  const auto [sum, difference, r, r_low, s, c] = hyperbolic::parts<false>(x);
  // The two large terms cancel in part where k is 1 or -1: their sum is kept with its rounding error.
  const vec<double> head = fma(sum, r, difference), head_low = fma(sum, r, difference - head);
  vec<double> y = copysign(head + fma(sum, s + r_low, fma(difference, c, head_low)), x);
  const mask<double> near = abs(x) <= constant<double>(hyperbolic::furthest);
  if (!all(near)) [[unlikely]]
    y = select(near, y, hyperbolic::far<true>(x));
  return y;
}
MMLFAST_INLINE vec<double> cosh(const vec<double>& x) {
  const auto [sum, difference, r, r_low, s, c] = hyperbolic::parts<false>(x);
  vec<double> y = sum + fma(sum, c, difference * (r + (s + r_low)));
  const mask<double> near = abs(x) <= constant<double>(hyperbolic::furthest);
  if (!all(near)) [[unlikely]]
    y = select(near, y, hyperbolic::far<false>(x));
  return y;
}
MMLFAST_INLINE vec<float> sinh(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return sinh(v); });
}
MMLFAST_INLINE vec<float> cosh(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return cosh(v); });
}

namespace hyperbolic_tangent {

// (tanh u / u - 1) / u^2 in u^2, for |u| <= ln(2)/4
template <class T>
struct Table;
template <>
struct Table<double> {
  static constexpr double c[] = {-0x1.555555555554cp-2, 0x1.11111111065e3p-3,  -0x1.ba1ba1796467dp-5,
                                 0x1.664f00b0180b7p-6,  -0x1.224a16f79e784p-7, 0x1.c60311c31d496p-9};
  static constexpr double step = 0x1.62e42fefa39efp-2, step_low = -0x1.abc9e3b39803fp-57;
  static constexpr double furthest = 20;  // tanh rounds to 1 from 19.1 on
};
template <>
struct Table<float> {
  static constexpr float c[] = {-0x1.555554p-2f, 0x1.110b3cp-3f, -0x1.b2192ep-5f};
  static constexpr float step = 0x1.62e43p-2f, step_low = 0x1.05c61p-30f;
  static constexpr float furthest = 10;  // 9.1
};

}  // namespace hyperbolic_tangent

template <class T>
MMLFAST_INLINE vec<T> tanh(const vec<T>& x) {
  using C = hyperbolic_tangent::Table<T>;
  using F = Format<T>;
  const vec<T> a = min(broadcast<T>(C::furthest), abs(x));  // in this order NaN stays NaN
  const vec<T> shift = broadcast<T>(F::round_shift), one = constant<T>(1);
  const vec<T> shifted = fma(a, constant<T>(2 / 0.6931471805599453), shift), k = shifted - shift;
  const vec<T> u = residual(a, k, broadcast<T>(C::step)), z = u * u;  // u exactly
  const vec<T> t = u + fma(u * z, polynomial(z, C::c), k * broadcast<T>(C::step_low));
  const mask<T> far = k > one;
  const vec<T> unit = select(far, constant<T>(0.8125), one);
  const vec<T> scale = from_bits((as_bits(shifted) << F::mantissa) + as_bits(unit));
  const vec<T> above = scale + unit, below = scale - unit, n = fma(above, t, below);
  const vec<T> d = select(far, n + fma(t, constant<T>(-1.625), constant<T>(1.625)), fma(below, t, above));
  return copysign(n / d, x);
}

}  // namespace mmlfast::MMLFAST_LEVEL
