// logistic, 1 / (1 + e^-x), and softplus, log(1 + e^x): the denominator with one rounding from the two parts
// of e^-x (simd/math/exponential.hpp).
//
// Measured, in units in the last place (float64; float32): logistic 1.50; 1.60, softplus 1.45; 0.51.
#pragma once

#include "simd/math/exponential.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
MMLFAST_INLINE vec<T> logistic(const vec<T>& x) {
  const vec<T> one = constant<T>(1);
  const auto [scale, p] = exponential::parts(-x);
  vec<T> d_low;
  const vec<T> d = exact_sum(one, scale, d_low);
  vec<T> y = one / (d + fma(scale, p, d_low));
  const mask<T> near = exponential::is_near(x);
  if (!all(near)) [[unlikely]]
    y = select(near, y, select(x < zero<T>(), exponential::far_exp(x), select(x > zero<T>(), one, x)));
  return y;
}

namespace logistic_parts {

// (log(1 + e) - 2 s) / s^3 for s = e / (2 + e) <= 1/3, relative error of the logarithm 2^-59.4
inline constexpr double log_c[] = {
    0x1.5555555555535p-1, 0x1.99999999a0728p-2, 0x1.249249208e61cp-2, 0x1.c71c741b2e753p-3, 0x1.745cb434a923p-3,
    0x1.3b1dd687968efp-3, 0x1.10680ba90ab1fp-3, 0x1.efd39d29489d1p-4, 0x1.55c6bb8a6b9fdp-4, 0x1.5c63d090d94ap-3};

}  // namespace logistic_parts

MMLFAST_INLINE vec<double> softplus(const vec<double>& x) {
  const vec<double> one = constant<double>(1), two = constant<double>(2);
  const auto [scale, p] = exponential::parts(-abs(x));
  const vec<double> e = fma(scale, p, scale), e_low = fma(scale, p, scale - e);
  vec<double> d_low;
  const vec<double> d = ordered_sum(two, e, d_low), inverse = one / d, s = e * inverse, z = s * s;
  const vec<double> s_low = (fnma(s, d_low, residual(e, s, d)) + e_low) * inverse;
  const vec<double> rest = fma(s * z, polynomial_in_two(z, z * z, logistic_parts::log_c), s_low + s_low);
  vec<double> y = max(x, zero<double>()) + fma(two, s, rest);
  const mask<double> near = exponential::is_near(x);
  if (!all(near)) [[unlikely]]
    y = select(near, y, select(x < zero<double>(), exponential::far_exp(x), x));
  return y;
}
MMLFAST_INLINE vec<float> softplus(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return softplus(v); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
