// cbrt.
//
// |x| = 2^(3 q + j) m with m in [1, 2): a polynomial of degree 5 gives m^(-1/3) to 2^-17.4, one step of third order
// 2^-50, and a Newton step on the cube root itself, with an exact residual, the rest. No division. In float32 by way of
// float64.
//
// Measured, in units in the last place (float64; float32): 0.51; 0.51.
#pragma once

#include "simd/math/logarithm.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace cube_root {

inline constexpr double inverse_c[] = {0x1.c7f365bc19373p0,   -0x1.90e741f8a2f8dp0, 0x1.3e68b9ae9052dp0,
                                       -0x1.321c5eac5d33fp-1, 0x1.3fa269b0736d9p-3, -0x1.16d6f12f7b0bbp-6};
inline constexpr double power[4] = {1, 2, 4, 0};  // 2^j and its inverse cube root
inline constexpr double root[4] = {1, 0x1.965fea53d6e3dp-1, 0x1.428a2f98d728bp-1, 0};

// Of positive normal numbers.
MMLFAST_INLINE vec<double> of_normal(const vec<double>& x) {
  using F = Format<double>;
  const bits<double> b = as_bits(x);
  const vec<double> m0 = from_bits((b & broadcast_bits<double>(F::fraction)) | broadcast_bits<double>(F::one));
  const vec<double> e = unbiased(b >> F::mantissa);
  const vec<double> third = constant<double>(1.0 / 3), q = nearest(fma(e, third, -third));  // rounded down
  const bits<double> j = as_bits(fma(q, constant<double>(-3), e) + constant<double>(F::first_integer));
  const vec<double> m = m0 * lookup(power, j), r0 = polynomial(m0, inverse_c) * lookup(root, j);
  const vec<double> h = fnma(m * r0, r0 * r0, constant<double>(1));
  const vec<double> r = fma(r0 * h, fma(h, constant<double>(2.0 / 9), third), r0), square = r * r;
  const vec<double> y = m * square;
  vec<double> y2_low;
  const vec<double> y2 = exact_product(y, y, y2_low);
  const vec<double> residual = fma(y2, y, -m) + y2_low * y;
  return fnma(residual * third, square, y) * power_of_two(q);
}

MMLFAST_NOINLINE inline vec<double> special(vec<double> x) {
  const vec<double> y = of_normal(abs(x) * constant<double>(0x1p54)) * constant<double>(0x1p-18);
  return select((x == zero<double>()) | ~(abs(x) < infinity<double>()), x, y);
}

}  // namespace cube_root

MMLFAST_INLINE vec<double> cbrt(const vec<double>& x) {
  const vec<double> a = abs(x);
  vec<double> y = cube_root::of_normal(a);
  const mask<double> normal = logarithm::is_normal(a);
  if (!all(normal)) [[unlikely]]
    y = select(normal, y, cube_root::special(a));
  return copysign(y, x);
}
MMLFAST_INLINE vec<float> cbrt(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return cbrt(v); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
