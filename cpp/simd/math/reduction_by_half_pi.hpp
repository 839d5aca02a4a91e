// |x| = k pi/2 + r with |r| <= pi/4, as the last two bits of k and r in two pieces, relative error 2^-76.
//
// pi/2 in two pieces (Cody and Waite 1980): the first product leaves no error in an fma, the second is kept with its
// own. That is right unless r is 2^30 times smaller than x, which is close to a multiple of pi/2 then, or large.
// For those, the bits of 2/pi that matter at the exponent of x, as four numbers of 53 bits (Payne and Hanek 1983): what
// comes before them contributes multiples of 4, what comes after less than 2^-140.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL::half_pi {

inline constexpr double first = 0x1.921fb54442d18p0, second = 0x1.1a62633145c07p-54;
inline constexpr double inverse = 0x1.45f306dc9c883p-1;
inline constexpr std::int64_t clear_bits = 30;

// x >= 0. Returns r, and the rest of it in `low`; k are the last two bits of `k`. `clear`: no more than 30 bits were
// lost, so that r and low are right; false for infinity and NaN.
MMLFAST_INLINE vec<double> near(const vec<double>& x, vec<double>& low, bits<double>& k, mask<double>& clear) {
  const vec<double> shift = constant<double>(Format<double>::round_shift);
  const vec<double> shifted = fma(x, constant<double>(inverse), shift), n = shifted - shift;
  k = as_bits(shifted);
  const vec<double> rest = residual(x, n, constant<double>(first));  // exact: a multiple of 2^-53 below 1
  const vec<double> r = fnma(n, constant<double>(second), rest);
  low = fnma(n, constant<double>(second), rest - r);
  // x / 2^30 by its exponent; where that is less than nothing, a negative number comes out.
  clear = abs(r) >= from_bits(as_bits(x) - broadcast_bits<double>(clear_bits << Format<double>::mantissa));
  return r;
}

// The first 1280 bits of 2/pi.
inline constexpr std::uint64_t two_over_pi[20] = {
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561, 0xb7246e3a424dd2e0,
    0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4,
    0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d};

// Entry i is for numbers from 2^(16 i) on, 16 exponents: the bits of 2^(16 i) 2/pi of weights 2^53 to 2^-158.
struct Windows {
  double of[64][4];
  constexpr Windows() : of{} {
    for (int i = 0; i < 64; ++i) {
      double weight = 0x1p53;
      for (int piece = 0; piece < 4; ++piece) {
        for (int j = 0; j < 53; ++j, weight /= 2) {
          const int bit = 16 * i - 54 + 53 * piece + j;  // 0 is that of weight 2^-1 in 2/pi
          if (bit >= 0 && (two_over_pi[bit / 64] >> (63 - bit % 64) & 1)) of[i][piece] += weight;
        }
      }
    }
  }
};
inline constexpr Windows windows{};

// Any finite x; NaN if it is infinite or NaN.
MMLFAST_NOINLINE inline vec<double> far(vec<double> x, vec<double>& low, bits<double>& k) {
  alignas(vec_bytes) double number[lanes<double>], piece[4][lanes<double>];
  store(number, x);
  for (int l = 0; l < lanes<double>; ++l) {
    const auto exponent = static_cast<int>(__builtin_bit_cast(std::uint64_t, number[l]) >> 52) - Format<double>::bias;
    const int i = exponent < 0 ? 0 : exponent / 16;  // 64 for infinity and NaN
    for (int j = 0; j < 4; ++j) piece[j][l] = i < 64 ? windows.of[i][j] : __builtin_nan("");
    number[l] *= __builtin_bit_cast(double, static_cast<std::uint64_t>(Format<double>::bias - 16 * (i & 63)) << 52);
  }
  const vec<double> m = load(number);
  vec<double> a_low, b_low, c_low;
  const vec<double> a = exact_product(m, load(piece[0]), a_low), b = exact_product(m, load(piece[1]), b_low);
  const vec<double> c = exact_product(m, load(piece[2]), c_low), d = m * load(piece[3]);
  // Integers are taken out of what may have them: of a, below 2^70, multiples of 2^20 first.
  const vec<double> coarse = constant<double>(0x1.8p72), shift = constant<double>(Format<double>::round_shift);
  const vec<double> top = a - ((a + coarse) - coarse);
  const vec<double> n0 = nearest(top), n1 = nearest(a_low), n2 = nearest(b);
  // The fractions and the rest, as a sum of two numbers.
  vec<double> e0, e1, e2, e3, e4, e5, e6, f_low, product_low;
  vec<double> s = exact_sum(top - n0, a_low - n1, e0);
  s = exact_sum(s, b - n2, e1);
  s = exact_sum(s, b_low, e2);
  s = exact_sum(s, c, e3);
  const vec<double> shifted = s + shift, n3 = shifted - shift;
  vec<double> e = exact_sum(e0, e1, e4);
  e = exact_sum(e, e2, e5);
  e = exact_sum(e, e3, e6);
  s = exact_sum(s - n3, e, f_low);
  s = exact_sum(s, f_low + (((e4 + e5) + e6) + (c_low + d)), f_low);
  // times pi/2
  const vec<double> product = exact_product(s, constant<double>(first), product_low);
  const vec<double> rest = fma(s, constant<double>(second), fma(f_low, constant<double>(first), product_low));
  k = as_bits((((n0 + n1) + n2) + n3) + shift);
  return ordered_sum(product, rest, low);
}

// x >= 0
MMLFAST_INLINE vec<double> reduce(const vec<double>& x, vec<double>& low, bits<double>& k) {
  mask<double> clear;
  vec<double> r = near(x, low, k, clear);
  if (!all(clear)) [[unlikely]] {
    vec<double> far_low;
    bits<double> far_k;
    r = select(clear, r, far(x, far_low, far_k));
    low = select(clear, low, far_low);
    k = as_bits(select(clear, from_bits(k), from_bits(far_k)));
  }
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL::half_pi
