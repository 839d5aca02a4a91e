// Elementary functions of vec<T>, without tables and without branches. Errors were measured against
// 200-bit arithmetic (tests/test_simd_math.py): at most 1 unit in the last place for exp and log, 2 for
// tanh and logistic (3 on the x86 baseline, which has no fma), in both precisions. Infinities, NaN and the ends of the
// range give what the C library gives.
//
// The polynomials are truncated power series on ranges short enough for them to converge to
// rounding level: exp on |r| <= ln(2)/2, log(1 + f) = 2 atanh(f / (2 + f)) on |f / (2 + f)| <=
// 0.172.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
struct Format;
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr std::int64_t exponent_mask = 0x7ff0000000000000;
  static constexpr double smallest_normal = 0x1p-1022, round_shift = 0x1.8p52;
  static constexpr double exp_highest = 709.782712893384, exp_lowest = -745.1332191019412;
  // ln 2 in two pieces, the first with trailing zeros, so that k * ln2_high is exact.
  static constexpr double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
  static constexpr int exp_terms = 14, log_terms = 11;
};
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr std::int32_t exponent_mask = 0x7f800000;
  static constexpr float smallest_normal = 0x1p-126f, round_shift = 0x1.8p23f;
  static constexpr float exp_highest = 88.72283f, exp_lowest = -103.97208f;
  static constexpr float ln2_high = 0x1.62e400p-1f, ln2_low = 0x1.7f7d1cp-20f;
  static constexpr int exp_terms = 8, log_terms = 5;
};

// The nearest integer, for |x| well below 2^(mantissa - 1).
template <class T>
MMLFAST_INLINE vec<T> nearest(const vec<T>& x) {
  const vec<T> shift = broadcast<T>(Format<T>::round_shift);
  return (x + shift) - shift;
}

// 2^k for an integral k in the range of normal numbers.
template <class T>
MMLFAST_INLINE vec<T> power_of_two(const vec<T>& k) {
  using I = typename native_of<T>::integer;
  bits<T> r;
  MMLFAST_EACH_PART {
    const native_bits<T> i = __builtin_convertvector(k.part[p], native_bits<T>);
    r.part[p] = (i + static_cast<I>(Format<T>::bias)) << Format<T>::mantissa;
  }
  return from_bits<T>(r);
}

// x * 2^k for an integral k of any size: three steps, since 2^k may be outside the range while the
// result is not.
template <class T>
MMLFAST_INLINE vec<T> scale_by_power(const vec<T>& x, const vec<T>& k) {
  const vec<T> limit = broadcast<T>(static_cast<T>(3 * Format<T>::bias));
  const vec<T> all_of_it = max(min(k, limit), -limit);
  const vec<T> third = nearest(all_of_it * broadcast<T>(static_cast<T>(1.0 / 3)));
  const vec<T> step = power_of_two(third);
  return x * step * step * power_of_two(all_of_it - third - third);
}

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)): e is 0 around x = 1. Zero, infinity and NaN come back
// in m with e = 0.
template <class T>
MMLFAST_INLINE void split_exponent(const vec<T>& x, vec<T>& m, vec<T>& e) {
  using I = typename native_of<T>::integer;
  const vec<T> lift = broadcast<T>(static_cast<T>(std::int64_t{1} << (Format<T>::mantissa + 2)));
  const mask<T> tiny = abs(x) < broadcast<T>(Format<T>::smallest_normal);
  const bits<T> b = as_bits(select(tiny, x * lift, x));
  bits<T> fraction;
  vec<T> exponent;
  MMLFAST_EACH_PART {
    const native_bits<T> biased = (b.part[p] & Format<T>::exponent_mask) >> Format<T>::mantissa;
    exponent.part[p] = __builtin_convertvector(biased - static_cast<I>(Format<T>::bias), native<T>);
    fraction.part[p] =
        (b.part[p] & ~Format<T>::exponent_mask) | (static_cast<I>(Format<T>::bias) << Format<T>::mantissa);
  }
  const vec<T> one = broadcast<T>(1), f = from_bits<T>(fraction);
  const mask<T> upper = abs(f) >= broadcast<T>(static_cast<T>(1.4142135623730951));
  m = select(upper, f * broadcast<T>(static_cast<T>(0.5)), f);
  e = select(upper, exponent + one, exponent);
  e = select(tiny, e - broadcast<T>(static_cast<T>(Format<T>::mantissa + 2)), e);
  const mask<T> special = (x == zero<T>()) | ~(abs(x) < broadcast<T>(static_cast<T>(__builtin_inf())));
  m = select(special, x, m);
  e = select(special, zero<T>(), e);
}

namespace series {
// exp(r) - 1 - r = r^2 (1/2! + r/3! + ...)
template <class T>
MMLFAST_INLINE vec<T> exp_tail(const vec<T>& r) {
  double factorial[Format<T>::exp_terms + 1];
  factorial[0] = 1;
  for (int i = 1; i <= Format<T>::exp_terms; ++i) factorial[i] = factorial[i - 1] * i;
  vec<T> q = broadcast<T>(static_cast<T>(1 / factorial[Format<T>::exp_terms]));
  _Pragma("GCC unroll 16") for (int i = Format<T>::exp_terms - 1; i >= 2; --i) q =
      fma(q, r, broadcast<T>(static_cast<T>(1 / factorial[i])));
  return q * (r * r);
}
}  // namespace series

// a + b = sum + the number returned, exactly if |a| >= |b|.
template <class T>
MMLFAST_INLINE vec<T> rest_of_sum(const vec<T>& a, const vec<T>& b, const vec<T>& sum) {
  return b - (sum - a);
}

// (a + a_low) / (b + b_low) with about one rounding.
template <class T>
MMLFAST_INLINE vec<T> quotient(const vec<T>& a, const vec<T>& a_low, const vec<T>& b, const vec<T>& b_low) {
  const vec<T> inverse = broadcast<T>(1) / b, q = a * inverse;
  return fma(fnma(q, b, a) + fnma(q, b_low, a_low), inverse, q);
}

// x = k ln 2 + r, |r| <= ln(2)/2
template <class T>
MMLFAST_INLINE vec<T> reduce_by_ln2(const vec<T>& x, vec<T>& k) {
  k = nearest(x * broadcast<T>(static_cast<T>(1.4426950408889634)));
  const vec<T> r = fnma(k, broadcast<T>(Format<T>::ln2_high), x);
  return fnma(k, broadcast<T>(Format<T>::ln2_low), r);
}

template <class T>
MMLFAST_INLINE vec<T> exp(const vec<T>& x) {
  const vec<T> highest = broadcast<T>(Format<T>::exp_highest), lowest = broadcast<T>(Format<T>::exp_lowest);
  // Kept inside the range for the reduction; the two ends are put right at the end. NaN fails both
  // comparisons.
  const vec<T> inside = select(x > highest, highest, select(x < lowest, lowest, x));
  vec<T> k;
  const vec<T> r = reduce_by_ln2(inside, k), one = broadcast<T>(1), head = one + r;
  vec<T> y = scale_by_power(head + (rest_of_sum(one, r, head) + series::exp_tail(r)), k);
  y = select(x > highest, broadcast<T>(static_cast<T>(__builtin_inf())), y);
  return select(x < lowest, zero<T>(), y);
}

template <class T>
MMLFAST_INLINE vec<T> log(const vec<T>& x) {
  vec<T> m, e;
  split_exponent(x, m, e);
  const vec<T> f = m - broadcast<T>(1);
  const vec<T> s = f / (m + broadcast<T>(1)), z = s * s;
  vec<T> q = broadcast<T>(static_cast<T>(2.0 / (2 * Format<T>::log_terms + 1)));
  _Pragma("GCC unroll 16") for (int i = Format<T>::log_terms - 1; i >= 1; --i) q =
      fma(q, z, broadcast<T>(static_cast<T>(2.0 / (2 * i + 1))));
  // log(1 + f) = f - (f^2/2 - s (f^2/2 + z q)): the large term f stays exact.
  const vec<T> half_square = f * f * broadcast<T>(static_cast<T>(0.5));
  const vec<T> tail = s * fma(z, q, half_square);
  const vec<T> low = fma(e, broadcast<T>(Format<T>::ln2_low), tail);
  const vec<T> y = fma(e, broadcast<T>(Format<T>::ln2_high), f - (half_square - low));
  const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan("")));
  vec<T> r = select(x == infinity, infinity, y);
  r = select(x == zero<T>(), -infinity, r);
  return select(x >= zero<T>(), r, nan);
}

template <class T>
MMLFAST_INLINE vec<T> tanh(const vec<T>& x) {
  const vec<T> one = broadcast<T>(1), two = broadcast<T>(2);
  const vec<T> far = broadcast<T>(static_cast<T>(20));  // tanh rounds to 1 from 19.1 on (9.1 in float32)
  const vec<T> a = abs(x);
  const vec<T> twice = select(a > far, far, a) * two;
  vec<T> k;
  const vec<T> r = reduce_by_ln2(twice, k);
  // e + e_low = exp(2 |x|) - 1 = (scale - 1) + scale r + scale tail. k >= 0, so that the terms come in falling size.
  const vec<T> scale = power_of_two(k), base = scale - one;
  const vec<T> head = fma(scale, r, base), head_low = fma(scale, r, base - head);
  const vec<T> tail = fma(scale, series::exp_tail(r), head_low);
  const vec<T> e = head + tail, e_low = rest_of_sum(head, tail, e);
  const vec<T> d = e + two;
  const vec<T> d_low = select(e > two, rest_of_sum(e, two, d), rest_of_sum(two, e, d)) + e_low;
  return copysign(quotient(e, e_low, d, d_low), x);
}

// 1 / (1 + exp(-x)), without overflow for large -x.
template <class T>
MMLFAST_INLINE vec<T> logistic(const vec<T>& x) {
  const vec<T> one = broadcast<T>(1), e = exp(-abs(x)), d = one + e;
  return quotient(select(x < zero<T>(), e, one), zero<T>(), d, rest_of_sum(one, e, d));
}

}  // namespace mmlfast::MMLFAST_LEVEL
