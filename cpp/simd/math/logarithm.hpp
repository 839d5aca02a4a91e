// log and log1p.
//
// x = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f): log m = 2 atanh(s) = f - (f^2/2 - s (f^2/2 +
// s^2 q(s^2))), in which f is exact (the form is fdlibm's, Ng 1993). q has 7 coefficients (4 for float32), fitted by
// Sollya's fpminimax: relative error of the logarithm 2^-59.5 (2^-35). Subnormal, negative and infinite arguments, zero
// and NaN are put right aside.
//
// Measured, in units in the last place (float64; float32): log 0.80; 0.80, log1p 0.88; 0.88.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace logarithm {

template <class T>
struct Table;
template <>
struct Table<double> {
  static constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd;
  static constexpr double c[] = {0x1.5555555555592p-1, 0x1.999999997ff14p-2, 0x1.24924941e29d3p-2, 0x1.c71c5212484bap-3,
                                 0x1.74663d8f24104p-3, 0x1.39a1d2f141847p-3, 0x1.2f04cd2c1f463p-3};
};
template <>
struct Table<float> {
  static constexpr std::int32_t root_half = 0x3f3504f3;
  static constexpr float c[] = {0x1.555554p-1f, 0x1.999bd4p-2f, 0x1.23f1ap-2f, 0x1.ec1e38p-3f};
};

// x = 2^k m, for normal positive numbers; what comes out of others is to be thrown away.
template <class T>
MMLFAST_INLINE vec<T> split(const vec<T>& x, vec<T>& k) {
  using C = Table<T>;
  using F = Format<T>;
  const bits<T> moved = as_bits(x) + broadcast_bits<T>(F::one - C::root_half);
  k = unbiased(moved >> F::mantissa);
  return from_bits((moved & broadcast_bits<T>(F::fraction)) + broadcast_bits<T>(C::root_half));
}

// k ln 2 + log(1 + f) + rest..., |rest| far below |f| or k ln 2.
template <class T, class... Rest>
MMLFAST_INLINE vec<T> sum(const vec<T>& f, const vec<T>& k, const Rest&... rest) {
  const vec<T> s = f / (constant<T>(2) + f), z = s * s;
  const vec<T> half_square = f * f * constant<T>(0.5);
  const vec<T> log_tail = s * fma(z, polynomial_in_two(z, z * z, Table<T>::c), half_square);
  const vec<T> tail = (log_tail + ... + rest);
  const vec<T> low = fma(k, broadcast<T>(Format<T>::ln2_low), tail);
  return fma(k, broadcast<T>(Format<T>::ln2_high), f - (half_square - low));
}

// Of normal positive numbers.
template <class T>
MMLFAST_INLINE vec<T> of_normal(const vec<T>& x) {
  vec<T> k;
  const vec<T> m = split(x, k);
  return sum(m - constant<T>(1), k);
}

template <class T>
MMLFAST_INLINE mask<T> is_normal(const vec<T>& x) {
  return (x >= broadcast<T>(Format<T>::smallest_normal)) & (x <= broadcast<T>(Format<T>::largest));
}

template <class T>
MMLFAST_NOINLINE vec<T> special_log(vec<T> x) {
  constexpr int lift = Format<T>::mantissa + 2;
  vec<T> k;
  const vec<T> m = split(x * constant<T>(static_cast<double>(std::int64_t{1} << lift)), k);
  vec<T> y = sum(m - constant<T>(1), k - constant<T>(lift));
  y = select(x == infinity<T>(), infinity<T>(), y);
  y = select(x == zero<T>(), -infinity<T>(), y);
  return select(x >= zero<T>(), y, not_a_number<T>());
}

}  // namespace logarithm

template <class T>
MMLFAST_INLINE vec<T> log(const vec<T>& x) {
  vec<T> y = logarithm::of_normal(x);
  const mask<T> normal = logarithm::is_normal(x);
  if (!all(normal)) [[unlikely]]
    y = select(normal, y, logarithm::special_log(x));
  return y;
}

// log(1 + x)
template <class T>
MMLFAST_INLINE vec<T> log1p(const vec<T>& x) {
  const vec<T> one = constant<T>(1);
  vec<T> u_low;
  const vec<T> u = exact_sum(one, x, u_low);
  vec<T> k;
  const vec<T> m = logarithm::split(u, k), f = m - one;
  // u_low / u, to some bits: u = 2^k m.
  const vec<T> scaled_low = u_low * power_of_two(max(-k, constant<T>(-100)));
  const vec<T> inverse = fma(fma(constant<T>(0.72), f, constant<T>(-0.97)), f, one);
  vec<T> y = logarithm::sum(f, k, scaled_low * inverse);
  y = copysign(y, x);
  const mask<T> normal = logarithm::is_normal(u);
  if (!all(normal)) [[unlikely]]
    y = select(normal, y, logarithm::special_log(u));
  return y;
}

}  // namespace mmlfast::MMLFAST_LEVEL
