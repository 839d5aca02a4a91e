// sin, cos, tan, and sin and cos together.
//
// After the reduction to |r| <= pi/4 (simd/math/reduction_by_half_pi.hpp) sin r = r + r^3 s(r^2) and cos r = 1 - r^2/2
// + r^4 c(r^2), with the second piece of r to first order (the forms are fdlibm's, Ng 1993). Six coefficients each,
// fitted by Sollya's fpminimax: relative error of sin 2^-57.9, of cos 2^-64.2. In float32 by way of float64, with four
// coefficients (2^-37, 2^-43) and without the second piece.
//
// Measured, in units in the last place (float64; float32): sin and cos 0.82; 0.51, tan 1.08; 0.51, for all
// arguments up to the largest number.
#pragma once

#include "simd/math/reduction_by_half_pi.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace trigonometric {

inline constexpr double sin_c[] = {-0x1.5555555555548p-3, 0x1.111111110f75fp-7,   -0x1.a01a019bf28b4p-13,
                                   0x1.71de355f7915bp-19, -0x1.ae5e54dbfa73ap-26, 0x1.5d8e5779a7798p-33};
inline constexpr double cos_c[] = {0x1.555555555554cp-5,   -0x1.6c16c16c15222p-10, 0x1.a01a019cbfd1fp-16,
                                   -0x1.27e4f81313ec5p-22, 0x1.1ee9f19650861p-29,  -0x1.8fb154e76e6b5p-37};
inline constexpr double sin_c32[] = {-0x1.5555554c718abp-3, 0x1.1111086a2df3cp-7, -0x1.a00f7eff2bad3p-13,
                                     0x1.6cd1e8b95e6b8p-19};
inline constexpr double cos_c32[] = {0x1.5555554f4eb8p-5, -0x1.6c16b89948fb4p-10, 0x1.a011207b6b378p-16,
                                     -0x1.242ae79ec287dp-22};

inline constexpr double furthest32 = 0x1p20;

// sin r = r + sin_rest, cos r = head + cos_rest, where head is returned; r and head have no error.
MMLFAST_INLINE vec<double> sin_and_cos(const vec<double>& r, const vec<double>& r_low, vec<double>& sin_rest,
                                       vec<double>& cos_rest) {
  const vec<double> one = constant<double>(1), minus_half = constant<double>(-0.5);
  const vec<double> z = r * r, fourth = z * z, head = fma(minus_half, z, one);
  const vec<double> head_rest = fma(minus_half, z, one - head);
  sin_rest = fma(r * z, polynomial(z, sin_c), r_low);
  cos_rest = fma(fourth, polynomial(z, cos_c), fnma(r, r_low, head_rest));
  return head;
}

MMLFAST_INLINE vec<double> flip(const vec<double>& x, const bits<double>& sign) {
  return from_bits(as_bits(x) ^ (sign & broadcast_bits<double>(sign_bit<double>)));
}

// sin (k pi/2 + r) with the sign of x, and cos, from those of r.
MMLFAST_INLINE vec<double> sin_in_quadrant(const vec<double>& s, const vec<double>& c, const bits<double>& k,
                                           const vec<double>& x) {
  return flip(select(has_bit(k, 1), c, s), (k << 62) ^ as_bits(x));
}
MMLFAST_INLINE vec<double> cos_in_quadrant(const vec<double>& s, const vec<double>& c, const bits<double>& k) {
  return flip(select(has_bit(k, 1), s, c), (k + broadcast_bits<double>(1)) << 62);
}

// The same for r = x - k pi/2: both functions, of which the compiler drops what is not used.
MMLFAST_INLINE void values(const vec<double>& x, vec<double>& s, vec<double>& c) {
  vec<double> r_low, sin_rest, cos_rest;
  bits<double> k;
  const vec<double> r = half_pi::reduce(abs(x), r_low, k), head = sin_and_cos(r, r_low, sin_rest, cos_rest);
  const vec<double> sin_r = r + sin_rest, cos_r = head + cos_rest;
  s = sin_in_quadrant(sin_r, cos_r, k, x);
  c = cos_in_quadrant(sin_r, cos_r, k);
}

// To the accuracy of float32. Its numbers below 2^20 come no nearer to multiples of pi/2 than two pieces of that can
// tell.
MMLFAST_INLINE void values32(const vec<double>& x, vec<double>& s, vec<double>& c) {
  const vec<double> a = abs(x), shift = constant<double>(Format<double>::round_shift);
  const vec<double> shifted = fma(a, constant<double>(half_pi::inverse), shift), n = shifted - shift;
  vec<double> r = fnma(n, constant<double>(half_pi::second), residual(a, n, constant<double>(half_pi::first)));
  bits<double> k = as_bits(shifted);
  const mask<double> is_near = a <= constant<double>(furthest32);
  if (!all(is_near)) [[unlikely]] {
    vec<double> far_low;
    bits<double> far_k;
    r = select(is_near, r, half_pi::far(a, far_low, far_k));
    k = as_bits(select(is_near, from_bits(k), from_bits(far_k)));
  }
  const vec<double> z = r * r;
  const vec<double> sin_r = fma(r * z, polynomial(z, sin_c32), r);
  const vec<double> cos_r = fma(z * z, polynomial(z, cos_c32), fma(constant<double>(-0.5), z, constant<double>(1)));
  s = sin_in_quadrant(sin_r, cos_r, k, x);
  c = cos_in_quadrant(sin_r, cos_r, k);
}

}  // namespace trigonometric

MMLFAST_INLINE void sincos(const vec<double>& x, vec<double>& s, vec<double>& c) { trigonometric::values(x, s, c); }
MMLFAST_INLINE void sincos(const vec<float>& x, vec<float>& s, vec<float>& c) {
  vec<double> low, high, s_low, s_high, c_low, c_high;
  widen(x, low, high);
  trigonometric::values32(low, s_low, c_low);
  trigonometric::values32(high, s_high, c_high);
  s = round_to_float(s_low, s_high);
  c = round_to_float(c_low, c_high);
}
template <class T>
MMLFAST_INLINE vec<T> sin(const vec<T>& x) {
  vec<T> s, c;
  sincos(x, s, c);
  return s;
}
template <class T>
MMLFAST_INLINE vec<T> cos(const vec<T>& x) {
  vec<T> s, c;
  sincos(x, s, c);
  return c;
}

// sin r / cos r, or -cos r / sin r in the odd quadrants, from both parts of each.
MMLFAST_INLINE vec<double> tan(const vec<double>& x) {
  vec<double> r_low, sin_rest, cos_rest, s_low, c_low;
  bits<double> k;
  const vec<double> r = half_pi::reduce(abs(x), r_low, k);
  const vec<double> head = trigonometric::sin_and_cos(r, r_low, sin_rest, cos_rest);
  const vec<double> s = ordered_sum(r, sin_rest, s_low), c = ordered_sum(head, cos_rest, c_low);
  const mask<double> odd = has_bit(k, 1);
  const vec<double> n = select(odd, c, s), n_low = select(odd, c_low, s_low);
  const vec<double> d = select(odd, s, c), d_low = select(odd, s_low, c_low);
  const vec<double> inverse = constant<double>(1) / d, q = n * inverse;
  const vec<double> y = fma(residual(n, q, d) + fnma(q, d_low, n_low), inverse, q);
  return trigonometric::flip(y, (k << 63) ^ as_bits(x));
}
MMLFAST_INLINE vec<float> tan(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) {
    vec<double> s, c;
    trigonometric::values32(v, s, c);
    return s / c;
  });
}

}  // namespace mmlfast::MMLFAST_LEVEL
