// pow, and integer powers.
//
// |x| = 2^k m with m in [29/30, 29/15), c the nearest of eight numbers that are about 1/8 apart, and s = (m - c)/(m +
// c) in two pieces: log |x| = k ln 2 + log c + 2 atanh s. Since |s| < 0.031 the terms from s^3 on may be rounded; all
// else is kept in two pieces, relative error 2^-65. So is the product with y, of which e^ is taken as in
// simd/math/exponential.hpp. The polynomial of atanh has five coefficients, fitted by Sollya's fpminimax, 2^-68.6.
// Negative x, results outside the normal range and the special values are put right aside. In float32 by way of
// float64.
//
// Measured, in units in the last place (float64; float32): pow 1.61; 0.51.
#pragma once

#include "simd/math/exponential.hpp"
#include "simd/math/logarithm.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace power {

// Numbers near 1 + i/8 of which the logarithm is, to 2^-68, one with zeros at the end (Gal 1986).
inline constexpr double centre[8] = {1,
                                     0x1.1f1496a2b7308p+0,
                                     0x1.3f1496ce02161p+0,
                                     0x1.5f14969118421p+0,
                                     0x1.7f1496bf62269p+0,
                                     0x1.9f14969a40633p+0,
                                     0x1.bf14968f0b626p+0,
                                     0x1.df1496b4749e7p+0};
inline constexpr double log_centre[8] = {0,
                                         0x1.d557083344000p-4,
                                         0x1.c31aaffa7c000p-3,
                                         0x1.436b011af7000p-2,
                                         0x1.9cbdbab968000p-2,
                                         0x1.eee4d82f14000p-2,
                                         0x1.1d78a4540f800p-1,
                                         0x1.40dda5e183800p-1};
inline constexpr double atanh_c[] = {0x1.5555555555555p-1, 0x1.999999999b198p-2, 0x1.24924912fc444p-2,
                                     0x1.c71d0f68386f6p-3, 0x1.73b52aad5a86ep-3};
inline constexpr std::int64_t fifteenth = 0x0001111111111111;
inline constexpr double ln2_high = Format<double>::ln2_high, ln2_low = Format<double>::ln2_low;

// log x = sum + rest for normal positive numbers, the rest a thousand times smaller.
MMLFAST_INLINE vec<double> log_and_rest(const vec<double>& x, vec<double>& rest) {
  using F = Format<double>;
  // A fifteenth is added, so that the three first bits of the fraction number an interval, the first of which lies
  // around 1.
  const bits<double> moved = as_bits(x) + broadcast_bits<double>(fifteenth), i = moved >> (F::mantissa - 3);
  const vec<double> k = unbiased(moved >> F::mantissa);
  const vec<double> m =
      from_bits((moved & broadcast_bits<double>(F::fraction)) + broadcast_bits<double>(F::one - fifteenth));
  const vec<double> c = lookup(centre, i), f = m - c;
  vec<double> d_low, sum_low;
  const vec<double> d = ordered_sum(c, m, d_low), inverse = constant<double>(1) / d, s = f / d;  // d exactly
  const vec<double> s_low = fnma(s, d_low, residual(f, s, d)) * inverse, z = s * s;
  // k ln 2 + log c, without error; then 2 s and the rest.
  const vec<double> base = fma(k, constant<double>(ln2_high), lookup(log_centre, i));
  const vec<double> sum = ordered_sum(base, s + s, sum_low);
  rest = sum_low + fma(s * z, polynomial(z, atanh_c), fma(constant<double>(2), s_low, k * constant<double>(ln2_low)));
  return sum;
}

// log x in two pieces, for normal positive numbers.
MMLFAST_INLINE vec<double> log_in_two(const vec<double>& x, vec<double>& low) {
  vec<double> rest;
  const vec<double> sum = log_and_rest(x, rest);
  return ordered_sum(sum, rest, low);
}

// e^(high + low), for near high and a low part up to a step of the reduction.
MMLFAST_INLINE vec<double> exp_of_two(const vec<double>& high, const vec<double>& low) {
  using C = exponential::Table<double>;
  const vec<double> shift = constant<double>(Format<double>::round_shift);
  const vec<double> shifted = fma(high + low, constant<double>(C::inverse_step), shift), k = shifted - shift;
  const bits<double> i = as_bits(shifted);
  const vec<double> scale = from_bits(as_bits(lookup(C::root, i)) + (i << 50));
  const vec<double> r = residual(high, k, constant<double>(C::step)) + fma(k, constant<double>(C::step_rest), low);
  const vec<double> square = r * r;
  return fma(scale, fma(square, polynomial(r, C::c), r), scale);
}

// y log x in two pieces.
MMLFAST_INLINE vec<double> exponent(const vec<double>& y, const vec<double>& l, const vec<double>& l_low,
                                    vec<double>& low) {
  const vec<double> high = exact_product(y, l, low);
  low = fma(y, l_low, low);
  return high;
}

// Of x >= 0.
MMLFAST_INLINE mask<double> is_integral(const vec<double>& x) {
  const vec<double> integers = constant<double>(Format<double>::first_integer);
  return (x >= integers) | ((x + integers) - integers == x);
}

MMLFAST_NOINLINE inline vec<double> special(vec<double> x, vec<double> y) {
  const vec<double> a = abs(x), one = constant<double>(1), nil = zero<double>(), inf = infinity<double>();
  const vec<double> ay = abs(y);
  // Subnormal numbers are lifted, and the exponent kept within what pow can tell apart.
  const mask<double> tiny = a < constant<double>(Format<double>::smallest_normal);
  vec<double> l_low, low;
  vec<double> l = log_in_two(select(tiny, a * constant<double>(0x1p54), a), l_low);
  const vec<double> lift = select(tiny, constant<double>(54), nil);
  vec<double> lifted_low;
  l = exact_sum(l, lift * constant<double>(-ln2_high), lifted_low);
  l_low = l_low + (lifted_low - lift * constant<double>(ln2_low));
  vec<double> bounded = max(constant<double>(-0x1p70), min(constant<double>(0x1p70), y));
  vec<double> h = exponent(bounded, l, l_low, low);
  const mask<double> out = abs(h) > constant<double>(800);
  h = select(out, copysign(constant<double>(800), h), h);
  low = select(out, nil, low);
  // Halves of it are far from both ends; the second, a power of two, is multiplied in last.
  const vec<double> half_k = nearest(h * constant<double>(0.5 / 0.6931471805599453));
  const vec<double> part =
      ordered_sum(fnma(half_k, constant<double>(ln2_high), h), fnma(half_k, constant<double>(ln2_low), low), low);
  vec<double> r = exp_of_two(part, low) * power_of_two(half_k);
  // Signs and special values (C99, F.9.4.4).
  const vec<double> half_y = ay * constant<double>(0.5);
  const mask<double> integral = is_integral(ay), odd = integral & ~is_integral(half_y);
  const mask<double> large = a > one, up = y > nil;
  r = select(ay == inf, select(a == one, one, select((large & up) | (~large & ~up), inf, nil)), r);
  r = select(a == inf, select(up, inf, nil), r);
  r = select(a == nil, select(up, nil, inf), r);
  const mask<double> negative = has_bit(as_bits(x), sign_bit<double>);
  r = select(negative & odd, -r, r);
  r = select((x < nil) & (a < inf) & ~integral, not_a_number<double>(), r);
  r = select((x != x) | (y != y), x + y, r);
  return select((y == nil) | (x == one), one, r);
}

}  // namespace power

MMLFAST_INLINE vec<double> pow(const vec<double>& x, const vec<double>& y) {
  vec<double> l_rest, low;
  const vec<double> l = power::log_and_rest(x, l_rest), h = power::exponent(y, l, l_rest, low);
  vec<double> r = power::exp_of_two(h, low);
  const mask<double> near = logarithm::is_normal(x) & exponential::is_near(h);
  if (!all(near)) [[unlikely]]
    r = select(near, r, power::special(x, y));
  return r;
}
MMLFAST_INLINE vec<float> pow(const vec<float>& x, const vec<float>& y) {
  return in_double(x, y, [](const vec<double>& v, const vec<double>& w) { return pow(v, w); });
}

// x^n by squaring: within n half units in the last place, since each square doubles the error that it takes over.
// 1 / x^-n for negative n.
template <class T>
MMLFAST_INLINE vec<T> integer_power(const vec<T>& x, int n) {
  vec<T> result = constant<T>(1), square = x;
  for (unsigned left = n < 0 ? 0u - static_cast<unsigned>(n) : static_cast<unsigned>(n); left; left >>= 1) {
    if (left & 1) result = result * square;
    if (left > 1) square = square * square;
  }
  return n < 0 ? constant<T>(1) / result : result;
}

}  // namespace mmlfast::MMLFAST_LEVEL
