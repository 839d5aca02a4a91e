// The format of a number: its exponent taken out, changed and put back. And what the elementary functions share beside:
// polynomials, sums and products with their rounding error, float32 by way of float64.
#pragma once

#include "simd/bits.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
struct Format;
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr std::int64_t one = 0x3ff0000000000000, fraction = 0x000fffffffffffff,
                                exponent_mask = 0x7ff0000000000000;
  static constexpr double smallest_normal = 0x1p-1022, largest = 0x1.fffffffffffffp1023, round_shift = 0x1.8p52;
  static constexpr double first_integer = 0x1p52;  // from here on a number is an integer, which its last bits spell
  // ln 2 in two pieces, the first with trailing zeros, so that k * ln2_high is exact.
  static constexpr double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
};
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr std::int32_t one = 0x3f800000, fraction = 0x007fffff, exponent_mask = 0x7f800000;
  static constexpr float smallest_normal = 0x1p-126f, largest = 0x1.fffffep127f, round_shift = 0x1.8p23f;
  static constexpr float first_integer = 0x1p23f;
  static constexpr float ln2_high = 0x1.62e400p-1f, ln2_low = 0x1.7f7d1cp-20f;
};

template <class T>
MMLFAST_INLINE vec<T> constant(double value) {
  return broadcast<T>(static_cast<T>(value));
}
template <class T>
MMLFAST_INLINE vec<T> infinity() {
  return constant<T>(__builtin_inf());
}
template <class T>
MMLFAST_INLINE vec<T> not_a_number() {
  return constant<T>(__builtin_nan(""));
}

// c[0] + c[1] x + c[2] x^2 + ...
template <class T, int N>
MMLFAST_INLINE vec<T> polynomial(const vec<T>& x, const T (&c)[N]) {
  vec<T> y = broadcast<T>(c[N - 1]);
  _Pragma("GCC unroll 32") for (int i = N - 2; i >= 0; --i) y = fma(y, x, broadcast<T>(c[i]));
  return y;
}
// The same with even and odd powers apart, up to 8 coefficients in a tree (Estrin 1960), and more than 16 in four
// parts: a shorter chain of operations that wait for one another.
template <class T, int N>
MMLFAST_INLINE vec<T> polynomial_in_two(const vec<T>& x, const vec<T>& square, const T (&c)[N]) {
  if constexpr (N <= 8) {
    vec<T> y[4], power = square;
    _Pragma("GCC unroll 4") for (int i = 0; i < N / 2; ++i) y[i] =
        fma(broadcast<T>(c[2 * i + 1]), x, broadcast<T>(c[2 * i]));
    if constexpr (N % 2) y[N / 2] = broadcast<T>(c[N - 1]);
    if constexpr (N > 2) {
      y[0] = fma(y[1], power, y[0]);
      if constexpr (N > 6) y[2] = fma(y[3], power, y[2]);
    }
    if constexpr (N > 4) y[0] = fma(y[2], power * power, y[0]);
    return y[0];
  } else if constexpr (N > 16) {
    const vec<T> fourth = square * square;
    vec<T> y[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; ++i) {
      const int last = (N - 1 - i) / 4 * 4 + i;
      y[i] = broadcast<T>(c[last]);
      _Pragma("GCC unroll 8") for (int j = last - 4; j >= 0; j -= 4) y[i] = fma(y[i], fourth, broadcast<T>(c[j]));
    }
    return fma(fma(y[3], x, y[2]), square, fma(y[1], x, y[0]));
  } else {
    constexpr int last_even = (N - 1) / 2 * 2, last_odd = (N - 2) / 2 * 2 + 1;
    vec<T> even = broadcast<T>(c[last_even]), odd = broadcast<T>(c[last_odd]);
    _Pragma("GCC unroll 16") for (int i = last_even - 2; i >= 0; i -= 2) even = fma(even, square, broadcast<T>(c[i]));
    _Pragma("GCC unroll 16") for (int i = last_odd - 2; i >= 1; i -= 2) odd = fma(odd, square, broadcast<T>(c[i]));
    return fma(odd, x, even);
  }
}

// The nearest integer, for |x| well below 2^(mantissa - 1).
template <class T>
MMLFAST_INLINE vec<T> nearest(const vec<T>& x) {
  const vec<T> shift = broadcast<T>(Format<T>::round_shift);
  return (x + shift) - shift;
}

// 2^k for an integral k in the range of normal numbers: the sum has k + bias in its last bits.
template <class T>
MMLFAST_INLINE vec<T> power_of_two(const vec<T>& k) {
  return from_bits(as_bits(k + broadcast<T>(Format<T>::round_shift + Format<T>::bias)) << Format<T>::mantissa);
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

// An exponent, as it is in the bits of a number, as a number.
template <class T>
MMLFAST_INLINE vec<T> unbiased(const bits<T>& exponent) {
  const vec<T> integers = broadcast<T>(Format<T>::first_integer);
  return from_bits(exponent | as_bits(integers)) - (integers + broadcast<T>(Format<T>::bias));
}

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)): e is 0 around x = 1. Zero, infinity and NaN come back
// in m with e = 0.
template <class T>
MMLFAST_INLINE void split_exponent(const vec<T>& x, vec<T>& m, vec<T>& e) {
  using F = Format<T>;
  const vec<T> lift = broadcast<T>(static_cast<T>(std::int64_t{1} << (F::mantissa + 2)));
  const mask<T> tiny = abs(x) < broadcast<T>(F::smallest_normal);
  const bits<T> b = as_bits(select(tiny, x * lift, x));
  const vec<T> exponent = unbiased((b & broadcast_bits<T>(F::exponent_mask)) >> F::mantissa);
  const vec<T> one = constant<T>(1), f = from_bits((b & broadcast_bits<T>(~F::exponent_mask)) | as_bits(one));
  const mask<T> upper = abs(f) >= constant<T>(1.4142135623730951);
  m = select(upper, f * constant<T>(0.5), f);
  e = select(upper, exponent + one, exponent);
  e = select(tiny, e - constant<T>(F::mantissa + 2), e);
  const mask<T> special = (x == zero<T>()) | ~(abs(x) < infinity<T>());
  m = select(special, x, m);
  e = select(special, zero<T>(), e);
}

// Sums and products with what rounding left of them in `low`. (Not as a pair: GCC keeps a copy of it in memory.)
// a + b exactly, if |a| >= |b| or a = 0.
template <class T>
MMLFAST_INLINE vec<T> ordered_sum(const vec<T>& a, const vec<T>& b, vec<T>& low) {
  const vec<T> sum = a + b;
  low = b - (sum - a);
  return sum;
}
template <class T>
MMLFAST_INLINE vec<T> exact_sum(const vec<T>& a, const vec<T>& b, vec<T>& low) {
  const vec<T> sum = a + b, b_part = sum - a;
  low = (a - (sum - b_part)) + (b - b_part);
  return sum;
}
template <class T>
MMLFAST_INLINE vec<T> exact_product(const vec<T>& a, const vec<T>& b, vec<T>& low) {
  const vec<T> product = a * b;
#if !defined(__FMA__) && !defined(__aarch64__)
  // Without fma: by halves (Dekker 1971). Not for numbers near the ends of the range.
  const vec<T> splitter = constant<T>(sizeof(T) == 8 ? 0x1p27 + 1 : 0x1p12 + 1);
  const vec<T> ca = a * splitter, cb = b * splitter, ah = ca - (ca - a), bh = cb - (cb - b), al = a - ah, bl = b - bh;
  low = ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#else
  low = fma(a, b, -product);
#endif
  return product;
}

// n - q d with one rounding.
template <class T>
MMLFAST_INLINE vec<T> residual(const vec<T>& n, const vec<T>& q, const vec<T>& d) {
#if !defined(__FMA__) && !defined(__aarch64__)
  vec<T> low;
  const vec<T> product = exact_product(q, d, low);
  return (n - product) - low;
#else
  return fnma(q, d, n);
#endif
}

// A float32 function by that of float64: about half a unit in the last place, at the cost per element of float64.
template <class F>
MMLFAST_INLINE vec<float> in_double(const vec<float>& x, F&& f) {
  vec<double> low, high;
  widen(x, low, high);
  return round_to_float(f(low), f(high));
}
template <class F>
MMLFAST_INLINE vec<float> in_double(const vec<float>& x, const vec<float>& y, F&& f) {
  vec<double> x_low, x_high, y_low, y_high;
  widen(x, x_low, x_high);
  widen(y, y_low, y_high);
  return round_to_float(f(x_low, y_low), f(x_high, y_high));
}

}  // namespace mmlfast::MMLFAST_LEVEL
