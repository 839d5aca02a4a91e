// exp and expm1.
//
// x = k h + r with h = ln(2)/4 (float64) or ln 2 (float32) and |r| <= h/2, in two steps (Cody and Waite 1980). Then e^x
// = 2^(k h / ln 2) (1 + p(r)): the power of two is added to the exponent as an integer, its fourth roots come from a
// table of four in a register (Tang 1989), and p is a polynomial of degree 8 (6 for float32) fitted by Sollya's
// fpminimax with coefficients of the format: relative error 2^-57.6 (2^-28.2). Arguments of which e^x is not a normal
// number are put right aside.
//
// Measured, in units in the last place (float64; float32): exp 0.76; 0.98, expm1 1.25; 1.22.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace exponential {

// e^x = scale (1 + p); scale is a power of two times the fourth root of one, near 2^(k / per_octave).
template <class T>
struct Parts {
  vec<T> scale, p;
};

template <class T>
struct Table;
template <>
struct Table<double> {
  static constexpr double per_octave = 4, inverse_step = 0x1.71547652b82fep2;
  static constexpr double step_high = 0x1.62e42fefa4p-3, step_low = -0x1.8432a1b0e2634p-45;
  // The step in one number, of which no multiple has an error where it is taken off x, and what is missing, negative.
  static constexpr double step = 0x1.62e42fefa39efp-3, step_rest = -0x1.abc9e3b39803fp-58;
  static constexpr double c[] = {0x1.0000000000006p-1, 0x1.5555555557ed7p-3,  0x1.55555555418c4p-5,
                                 0x1.111110a0c8c65p-7, 0x1.6c16c3854419cp-10, 0x1.a030da6f4e41dp-13,
                                 0x1.a000a33cee70bp-16};
  static constexpr double less_one_c[] = {0x1.fffffffffffffp-2,  0x1.5555555555556p-3,  0x1.5555555557f52p-5,
                                          0x1.111111110faf7p-7,  0x1.6c16c0e4a3f9cp-10, 0x1.a01a01b8c2293p-13,
                                          0x1.a02f5f207514dp-16, 0x1.71e5e7d78a7cp-19};
  static constexpr double furthest = 708;  // 2^-1021 < e^x < 2^1022
  // 2^(i/4): the bits less i in the place of the first two bits of the mantissa, and what rounding left of it,
  // relative.
  static constexpr double root[4] = {1, 0x1.f06fe0a31b715p-1, 0x1.ea09e667f3bcdp-1, 0x1.ee89f995ad3adp-1};
  static constexpr double root_low[4] = {0, 0x1.34d754db0abb6p-55, -0x1.3b3efbf5e2229p-54, 0x1.c1a7792cb3386p-55};
};
template <>
struct Table<float> {
  static constexpr float per_octave = 1, inverse_step = 0x1.715476p0f;
  static constexpr float step_high = 0x1.62e400p-1f, step_low = 0x1.7f7d1cp-20f;
  static constexpr float c[] = {0x1.fffffap-2f, 0x1.55549p-3f, 0x1.555a22p-5f, 0x1.123b04p-7f, 0x1.695414p-10f};
  static constexpr float less_one_c[] = {0x1p-1f,        0x1.555554p-3f,  0x1.5554fp-5f,
                                         0x1.111306p-7f, 0x1.6d43c2p-10f, 0x1.9e0de4p-13f};
  static constexpr float furthest = 87;
};

// k, the number of steps, in the last bits of the sum and as a number; r.
template <class T>
MMLFAST_INLINE vec<T> reduce(const vec<T>& x, vec<T>& shifted, vec<T>& k) {
  using C = Table<T>;
  const vec<T> shift = broadcast<T>(Format<T>::round_shift);
  shifted = fma(x, broadcast<T>(C::inverse_step), shift);
  k = shifted - shift;
  return fnma(k, broadcast<T>(C::step_low), fnma(k, broadcast<T>(C::step_high), x));
}

template <class T>
MMLFAST_INLINE vec<T> less_one(const vec<T>& r, const vec<T>& corrected) {
  const vec<T> square = r * r;
  return fma(square, polynomial(r, Table<T>::c), corrected);
}

MMLFAST_INLINE Parts<double> parts(const vec<double>& x) {
  using C = Table<double>;
  vec<double> shifted, k;
  const vec<double> r = reduce(x, shifted, k);
  const bits<double> i = as_bits(shifted);
  return {from_bits(as_bits(lookup(C::root, i)) + (i << 50)), less_one(r, r + lookup(C::root_low, i))};
}
MMLFAST_INLINE Parts<float> parts(const vec<float>& x) {
  vec<float> shifted, k;
  const vec<float> r = reduce(x, shifted, k);
  return {from_bits((as_bits(shifted) << 23) + broadcast_bits<float>(Format<float>::one)), less_one(r, r)};
}

// e^x of any x. Where it is subnormal the last product rounds it, once.
template <class T>
MMLFAST_NOINLINE vec<T> far_exp(vec<T> x) {
  using C = Table<T>;
  const vec<T> highest = constant<T>(1.05 * C::furthest), lowest = constant<T>(-1.25 * C::furthest);
  vec<T> shifted, k;
  const vec<T> r = reduce(max(lowest, min(highest, x)), shifted, k);  // in this order NaN stays NaN
  vec<T> root = constant<T>(1), power = k, corrected = r;
  if constexpr (C::per_octave == 4) {
    const bits<T> i = as_bits(shifted) & broadcast_bits<T>(3);
    root = from_bits(as_bits(lookup(C::root, i)) + (i << 50));
    power = nearest(fma(k, constant<T>(0.25), constant<T>(-0.375)));
    corrected = r + lookup(C::root_low, i);
  }
  const vec<T> change = root * less_one(r, corrected), number = root + change, rest = change - (number - root);
  const vec<T> third = nearest(power * constant<T>(1.0 / 3)), step = power_of_two(third);
  const vec<T> last = power_of_two(power - third - third);
  return fma(number * step * step, last, rest * step * step * last);
}

template <class T>
MMLFAST_INLINE mask<T> is_near(const vec<T>& x) {
  return abs(x) <= broadcast<T>(Table<T>::furthest);
}

}  // namespace exponential

template <class T>
MMLFAST_INLINE vec<T> exp(const vec<T>& x) {
  const auto [scale, p] = exponential::parts(x);
  vec<T> y = fma(scale, p, scale);
  const mask<T> near = exponential::is_near(x);
  if (!all(near)) [[unlikely]]
    y = select(near, y, exponential::far_exp(x));
  return y;
}

namespace exponential {

// e^x - 1, for near x. Where x is small, but not so small that scale = 1, scale - 1 and scale r cancel in part: their
// sum is kept with its rounding error.
template <class T>
MMLFAST_INLINE vec<T> less_one_from(const vec<T>& scale, const vec<T>& r, const vec<T>& tail) {
  const vec<T> base = scale - constant<T>(1), head = fma(scale, r, base), head_low = fma(scale, r, base - head);
  return head + fma(scale, tail, head_low);
}
MMLFAST_INLINE vec<double> less_one_near(const vec<double>& x) {
  using C = Table<double>;
  vec<double> shifted, k;
  const vec<double> r = reduce(x, shifted, k), z = r * r;
  const bits<double> i = as_bits(shifted);
  const vec<double> scale = from_bits(as_bits(lookup(C::root, i)) + (i << 50));
  return less_one_from(scale, r, fma(z, polynomial_in_two(r, z, C::less_one_c), lookup(C::root_low, i)));
}
MMLFAST_INLINE vec<float> less_one_near(const vec<float>& x) {
  vec<float> shifted, k;
  const vec<float> r = reduce(x, shifted, k);
  const vec<float> scale = from_bits((as_bits(shifted) << 23) + broadcast_bits<float>(Format<float>::one));
  return less_one_from(scale, r, (r * r) * polynomial(r, Table<float>::less_one_c));
}

}  // namespace exponential

// e^x - 1
template <class T>
MMLFAST_INLINE vec<T> expm1(const vec<T>& x) {
  vec<T> y = exponential::less_one_near(x);
  const mask<T> near = exponential::is_near(x);
  if (!all(near)) [[unlikely]]
    y = select(near, y, exponential::far_exp(x) - constant<T>(1));
  return copysign(y, x);  // for -0
}

}  // namespace mmlfast::MMLFAST_LEVEL
