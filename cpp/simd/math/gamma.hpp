// lgamma, log |gamma(x)|. In float32 by way of float64.
//
// From 1/16 to 16 by a polynomial of degree 15 out of a table: two between two powers of 2, relative error 2^-55.
// From 16 on, Stirling's series: (z - 1/2) (log z - 1) + log(2 pi)/2 - 1/2 + s(1/z^2)/z, s of degree 7, a nearly
// minimax fit in 50 digits, absolute error 2^-69. Below 1/16, and for the negative, z = x + 8 and the logarithm of x (x
// + 1) ... (x + 7) is taken off if |x| < 8. All but s is kept in two pieces, so that the absolute error is about 2^-59
// of the larger term. Negative x by reflection, log(pi / |x sin(pi x)|) - lgamma(-x), to some units in the last place
// of the larger term, whatever is left of it near the zeros.
//
// Measured, in units in the last place (float64; float32): 1.60; 0.51 for positive x where |lgamma| >= 2^-5; nearer to
// the zeros at 1 and 2 the absolute error is below 2^-57 (float64).
#pragma once

#include "simd/math/power.hpp"

#include "simd/math/trigonometric.hpp"
#include "simd/tables.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace gamma {

inline constexpr double stirling_c[] = {0x1.5555555555555p-4,   -0x1.6c16c16c16b29p-9, 0x1.a01a019ee0dbep-11,
                                        -0x1.38137ec070146p-11, 0x1.b94f6d659214dp-11, -0x1.f5ff2fdcde511p-10,
                                        0x1.96db406143a31p-8,   -0x1.55b3a71b46db0p-6};
inline constexpr double stirling_0 = 0x1.acfe390c97d69p-2, stirling_0_low = 0x1.3494bc9001442p-56;
inline constexpr double log_pi = 0x1.250d048e7a1bdp+0, log_pi_low = 0x1.7abf2ad8d5088p-57;

// Of the interval between two powers of 2 and its half a polynomial each, in x less a number near the middle of the
// half: one for which the first coefficients are within a tenth of a unit where that matters (Gal 1986). From 1/2 to 3,
// where lgamma has zeros, it is that of lgamma(x) / ((x - 1) (x - 2)). The number of a half is what the last four bits
// of exponent and first bit of the fraction spell: the first row is that of 2 to 3, the last that of 3/2 to 2.
// clang-format off
inline constexpr TabulatedPolynomials<16> between{Polynomials<16>{{
    {0x1.849456197647cp-2, -0x1.3197b682e3a31p-4, 0x1.45b5c4740e24fp-6, -0x1.89ba4b2b9b53ap-8, 0x1.fdb86b91a3713p-10, -0x1.584df2329e2f8p-11, 0x1.deaf0c8539376p-13, -0x1.53a03e732290cp-14, 0x1.e94b359845903p-16, -0x1.6495e6402afd7p-17, 0x1.06576dcf88414p-18, -0x1.84d3a75a85d8p-20, 0x1.1f1301e39d189p-21, -0x1.acfe2b4ada858p-23, 0x1.79ea4c84e2c9fp-24, -0x1.22dd59a218956p-25},
    {0x1.33d8c99bbfb59p+0, 0x1.1a86f0b44bac5p+0, 0x1.5221659fa4ff3p-3, -0x1.2732fc14e6ac5p-6, 0x1.7f71036b0f8ddp-9, -0x1.288b596691c88p-11, 0x1.f9f71b7829c18p-14, -0x1.cb576ca10b72p-16, 0x1.b3188a1e3a22p-18, -0x1.a8e041514c441p-20, 0x1.a86cf67d83d59p-22, -0x1.af673f291ce18p-24, 0x1.bb8f6e7fad374p-26, -0x1.cdae73169b61ep-28, 0x1.0534579cacbe7p-29, -0x1.17adf0b2023d8p-31},
    {0x1.97556d7a847cfp+1, 0x1.81b9bf19b8293p+0, 0x1.c4fd0146c230ep-4, -0x1.0a20bb9119624p-7, 0x1.d33bf9791f24bp-11, -0x1.ea56ec7c3912cp-14, 0x1.1cd78c6bd603p-16, -0x1.615368ce2da47p-19, 0x1.caa10f5bced0bp-22, -0x1.33ad952ca789cp-24, 0x1.a762e357c9dc9p-27, -0x1.29018f457ab8ap-29, 0x1.a38fbb2216de8p-32, -0x1.2dd3a0ad60271p-34, 0x1.febb063da1b8dp-37, -0x1.7eac1f656b554p-39},
    {0x1.a568d6bc61014p+2, 0x1.df8b1d8ec73e2p+0, 0x1.3a532e2949b23p-4, -0x1.00cb58d51ba5cp-8, 0x1.3a16c64943499p-12, -0x1.cc21ccdf0b68ap-16, 0x1.75cbb3dc9494ap-19, -0x1.44c1c7561363bp-22, 0x1.27bb11619d184p-25, -0x1.16c90b5d033abp-28, 0x1.0ddd9cde3cf36p-31, -0x1.0ab8b49eecc79p-34, 0x1.0b874203ae706p-37, -0x1.105e737375b98p-40, 0x1.2d7532178da32p-43, -0x1.3d38a55fcdabfp-46},
    {0x1.9a1070b210de3p+3, 0x1.204cd33b69528p+1, 0x1.ae81b328091a1p-5, -0x1.e2345a1d8d88ep-10, 0x1.94b6fb8c169e1p-14, -0x1.973ec62be0657p-18, 0x1.c6ea8c1666df2p-22, -0x1.0ffdb146b7d2ep-25, 0x1.55343833a05f8p-29, -0x1.bb7f240ef951ap-33, 0x1.28445ddb73ea1p-36, -0x1.9472b3a77725dp-40, 0x1.16baa0727a0e1p-43, -0x1.87cd81dd42119p-47, 0x1.4270512f9e1e2p-50, -0x1.d993c64e09076p-54},
    {0x1.6911b1b32e754p+4, 0x1.4d3a13a5895f2p+1, 0x1.2f24836e2ab46p-5, -0x1.de6789a10f7f5p-11, 0x1.1afe890e56283p-15, -0x1.91952df6a28b8p-20, 0x1.3c7310797672ep-24, -0x1.0b0e544e8eb91p-28, 0x1.d912070d8bddcp-33, -0x1.b254c56e7e245p-37, 0x1.99fc6e67fa882p-41, -0x1.8ba0025caeb5dp-45, 0x1.83f533595fb22p-49, -0x1.828ddda0675dap-53, 0x1.a2019b9c9bbe3p-57, -0x1.af547a313d68bp-61},
    {0x1.4119fdcc0d32p+1, -0x1.a7f206f1c9032p+3, 0x1.4a42ebf88fcdbp+6, -0x1.5d196ab8dec8ep+9, 0x1.a27ff4cc9573bp+12, -0x1.0bae7eeeaad8cp+16, 0x1.64b512ba568a7p+19, -0x1.e8ec5c88cd523p+22, 0x1.560d6a1b14ca7p+26, -0x1.e632ff1281976p+29, 0x1.5df4d1d302152p+33, -0x1.fccf362a1478dp+36, 0x1.7183ed0c84efep+40, -0x1.0ff71ef5db40bp+44, 0x1.d6df7d0ae3e7bp+47, -0x1.6606232651e47p+51},
    {0x1.145296a52ff88p+1, -0x1.3195a7b743b95p+3, 0x1.53c32eb3f2c68p+5, -0x1.fd81258f17e9ap+7, 0x1.b411821119ca6p+10, -0x1.8e7e3e2eab5f2p+13, 0x1.7b5c81d47d43bp+16, -0x1.737836aa29cdbp+19, 0x1.7351f46a3a1f2p+22, -0x1.790ff7ed7bf6cp+25, 0x1.83b122d53d197p+28, -0x1.92a485a4f6dfp+31, 0x1.a4b80aeda94d1p+34, -0x1.bb50078a07f24p+37, 0x1.fad27abaad4f4p+40, -0x1.113eafbec9b07p+44},
    {0x1.c8c1ff6067c0ep+0, -0x1.af80b3b8c6eap+2, 0x1.51fe18069600fp+4, -0x1.5e05b8101dd04p+6, 0x1.a2a48818fb0a9p+8, -0x1.0bb19d3cbadcfp+11, 0x1.64b5a1e022814p+13, -0x1.e8ec770499d83p+15, 0x1.560d6c9bfd31dp+18, -0x1.e632ff8da5f9ap+20, 0x1.5df4d1defcda1p+23, -0x1.fccf362c6f36dp+25, 0x1.7183ed0cc0a9bp+28, -0x1.0ff71ef5e1366p+31, 0x1.d6df7d0ae51acp+33, -0x1.6606232652038p+36},
    {0x1.6dc7aa81b1022p+0, -0x1.3570e15a6b876p+2, 0x1.61f0add75931ap+3, -0x1.00572d2759732p+5, 0x1.b4886807b1ebcp+6, -0x1.8e9171540620ap+8, 0x1.7b5fc558aa5f7p+10, -0x1.7378c9448db0ep+12, 0x1.73520eb5135ffp+14, -0x1.790ffcb857763p+16, 0x1.83b123b7b2388p+18, -0x1.92a485cf3084ap+20, 0x1.a4b80af599b44p+22, -0x1.bb50078b88bfdp+24, 0x1.fad27abaf6c4ep+26, -0x1.113eafbed0bacp+29},
    {0x1.0d6769c97766bp+0, -0x1.ad32a494aab88p+1, 0x1.6b209de56ddeep+2, -0x1.632b043727b1cp+3, 0x1.a407d948a80c5p+4, -0x1.0be6bcb9c13efp+6, 0x1.64c6616e40f3fp+7, -0x1.e8f1eb4c58855p+8, 0x1.560e5510a7e5p+10, -0x1.e6334e3a68881p+11, 0x1.5df4df5ab71d1p+13, -0x1.fccf3ad79bab5p+14, 0x1.7183eddd6549bp+16, -0x1.0ff71f1a8eedap+18, 0x1.d6df7d17f8ccdp+19, -0x1.66062328a69dep+21},
    {0x1.68feed2466295p-1, -0x1.27743dd310d9dp+1, 0x1.8d6a9662269e2p+1, -0x1.084da3c024deap+2, 0x1.b86ba36495c45p+2, -0x1.8fa0112a40a0ap+3, 0x1.7bad87174766p+4, -0x1.738fe2fad08b1p+5, 0x1.735913d654adap+6, -0x1.791227f93603cp+7, 0x1.83b1d1796d82fp+8, -0x1.92a4bcbd7b313p+9, 0x1.a4b81c786c163p+10, -0x1.bb500d2a9d76ep+11, 0x1.fad27c8eccfcfp+12, -0x1.113eb00aeb954p+14},
    {0x1.66368d1c3681bp-1, -0x1.c4a088b3e37eap-2, 0x1.c1b573118d541p-2, -0x1.07ecfedacc878p-1, 0x1.4f88667400d8cp-1, -0x1.be7e6db86e2ep-1, 0x1.32001b770a92ep+0, -0x1.ac4eea6c9301cp+0, 0x1.3081b74aa1f5ep+1, -0x1.b65af9e573b2cp+1, 0x1.3ec3dc01ee289p+2, -0x1.d35f895dab5efp+2, 0x1.55c033d576f5ap+3, -0x1.fa0e35dcd968ep+3, 0x1.b8f11153fa95cp+4, -0x1.50beab9eda089p+5},
    {0x1.388cba50bedb3p-1, -0x1.292767cc8086fp-2, 0x1.abc62db1bf602p-3, -0x1.6923682ba0813p-3, 0x1.49e0d031ec7a5p-3, -0x1.3b523b3fabd32p-3, 0x1.3657f06529b92p-3, -0x1.37be8d9feeee1p-3, 0x1.3defdeec7a36dp-3, -0x1.48192b573811ep-3, 0x1.55d22356527eep-3, -0x1.66e859408fcd2p-3, 0x1.7a783af57c164p-3, -0x1.91f00cb0cbf16p-3, 0x1.cf0c0b2517cf4p-3, -0x1.f63d18dce89ebp-3},
    {0x1.0c47f9732c1e5p-1, -0x1.79b40137479e7p-3, 0x1.82dae4e1d32abp-4, -0x1.cc28ac1196a1p-5, 0x1.27835e813688ap-5, -0x1.8d1d008e28984p-6, 0x1.12bf416142d6bp-6, -0x1.83fc10f5b33bdp-7, 0x1.1611d8246e904p-7, -0x1.9330024d2e0c7p-8, 0x1.2710411d1e457p-8, -0x1.b30cc31feac51p-9, 0x1.3fa3373c65aa6p-9, -0x1.db5bbfe010fb3p-10, 0x1.a03cf03e990b8p-10, -0x1.3ef5d3f536e1ap-10},
    {0x1.ccdb48576b18ep-2, -0x1.e923d87a7f044p-4, 0x1.6c61d56cd7c5bp-5, -0x1.37c68ddadfc58p-6, 0x1.1f18e971e4d0ap-7, -0x1.1463804a66995p-8, 0x1.11fb6380f7db8p-9, -0x1.1537d7cb4e5b2p-10, 0x1.1cbe82ea5164fp-11, -0x1.27da5cc9ba10bp-12, 0x1.3633b3c4c9925p-13, -0x1.47a2ffa06dd6ap-14, 0x1.5b5a691b8e6b6p-15, -0x1.72b5b4fb1ed38p-16, 0x1.ad3faa5b1ebffp-17, -0x1.d37a0a6145aa8p-18}}}};
// clang-format on
inline constexpr double from = 0x1p-4, to = 16;
inline constexpr int half_at = Format<double>::mantissa - 1;
inline constexpr std::int64_t middle = (std::int64_t{1} << (half_at - 1)) + 0x2e1f4a64ff0;

// lgamma of from <= x < to.
MMLFAST_INLINE vec<double> tabulated(const vec<double>& x) {
  const bits<double> b = as_bits(x);
  const bits<double> centre =
      (b & broadcast_bits<double>(-(std::int64_t{1} << half_at))) | broadcast_bits<double>(middle);
  const vec<double> one = constant<double>(1), h = x - from_bits(centre);
  vec<double> first;
  const vec<double> bracket = bracket_at(between, b >> half_at, h, first);
  // (x - 1) (x - 2), rounded once
  const vec<double> left = one - x, zeros = residual(left, left, x - one);
  const mask<double> near_zeros = (x >= constant<double>(0.5)) & (x < constant<double>(3));
  return select(near_zeros, fma(zeros, first, zeros * h * bracket), fma(h, bracket, first));
}

// log(x + x_low)
MMLFAST_INLINE vec<double> log_of_two(const vec<double>& x, const vec<double>& x_low, vec<double>& low) {
  const vec<double> high = power::log_in_two(x, low);
  low = low + x_low / x;
  return high;
}

// (a + a_low) (b + c) with b + c in two pieces again
MMLFAST_INLINE vec<double> times(const vec<double>& a, const vec<double>& a_low, const vec<double>& b,
                                 const vec<double>& b_low, vec<double>& low) {
  const vec<double> product = exact_product(a, b, low);
  low = low + fma(a, b_low, a_low * b);
  return product;
}

// Stirling's series at z + z_low from 8 to 2^900, from the logarithm: what is returned and the rest.
MMLFAST_INLINE vec<double> stirling(const vec<double>& z, const vec<double>& z_low, const vec<double>& log_z,
                                    const vec<double>& log_low, vec<double>& rest) {
  const vec<double> one = constant<double>(1), less_half = z - constant<double>(0.5);
  vec<double> l_low, t_low, s_low;
  const vec<double> l = ordered_sum(log_z, -one, l_low);  // log 8 > 1
  const vec<double> t = times(less_half, z_low, l, l_low + log_low, t_low);
  const vec<double> w = one / z, square = w * w;
  const vec<double> s = ordered_sum(t, constant<double>(stirling_0), s_low);  // t > 8
  rest = fma(w, polynomial_in_two(square, square * square, stirling_c),
             constant<double>(stirling_0_low) + (t_low + s_low));
  return s;
}

// For normal x > 0 and below 2^900.
MMLFAST_INLINE vec<double> positive(const vec<double>& x, vec<double>& low) {
  const vec<double> one = constant<double>(1), seven = constant<double>(7), eight = constant<double>(8);
  const mask<double> small = x < eight;
  // u (u + 6) (u + 10) (u + 12) with u = x (x + 7)
  const vec<double> bounded = min(x, eight);
  vec<double> sum_low, u_low, a_low, b_low, z_low, log_low, log_p_low, rest, d_low;
  const vec<double> sum = exact_sum(bounded, seven, sum_low);
  const vec<double> u = times(bounded, zero<double>(), sum, sum_low, u_low);
  vec<double> p = u, p_low = u_low;
  constexpr double step[3] = {6, 10, 12};
  _Pragma("GCC unroll 3") for (int i = 0; i < 3; ++i) {
    const vec<double> a = exact_sum(u, constant<double>(step[i]), a_low);
    p = times(p, p_low, a, a_low + u_low, b_low);
    p_low = b_low;
  }
  p = select(small, p, one);
  p_low = select(small, p_low, zero<double>());
  const vec<double> z = exact_sum(x, select(small, eight, zero<double>()), z_low);
  const vec<double> log_z = log_of_two(z, z_low, log_low), s = stirling(z, z_low, log_z, log_low, rest);
  const vec<double> log_p = log_of_two(p, p_low, log_p_low);
  const vec<double> d = exact_sum(s, -log_p, d_low);
  return exact_sum(d, d_low + (rest - log_p_low), low);
}

// log(pi / |x sin(pi x)|) - lgamma(|x|), for |x| < 2^52. Infinite at integers.
MMLFAST_INLINE vec<double> reflected(const vec<double>& a, const vec<double>& y, const vec<double>& y_low) {
  const vec<double> integers = constant<double>(Format<double>::first_integer), half = constant<double>(0.5);
  const vec<double> f = abs(a - ((a + integers) - integers));
  const mask<double> low_half = f <= constant<double>(0.25);
  vec<double> r_low, sin_rest, cos_rest, log_low;
  const vec<double> turns = select(low_half, f, half - f);
  const vec<double> r = exact_product(turns, constant<double>(2 * half_pi::first), r_low);
  const vec<double> head =
      trigonometric::sin_and_cos(r, fma(turns, constant<double>(2 * half_pi::second), r_low), sin_rest, cos_rest);
  const vec<double> sine = select(low_half, r + sin_rest, head + cos_rest);
  const vec<double> log_sine = power::log_in_two(sine * a, log_low);
  const vec<double> result =
      (constant<double>(log_pi) - log_sine - y) + (constant<double>(log_pi_low) - log_low - y_low);
  return select(f == zero<double>(), infinity<double>(), result);
}

inline constexpr double smallest = 0x1p-900, largest = 0x1p900;

// Negative, nearly zero, infinite and NaN, and what is there beside.
MMLFAST_NOINLINE inline vec<double> special(vec<double> x) {
  const vec<double> a = abs(x), one = constant<double>(1);
  vec<double> low;
  const vec<double> y = positive(max(constant<double>(smallest), min(constant<double>(largest), a)), low);
  const vec<double> log_a = log(a);
  vec<double> r = select(x < zero<double>(), reflected(a, y, low), y);
  r = select((x < zero<double>()) & (a >= constant<double>(Format<double>::first_integer)), infinity<double>(), r);
  r = select(a < constant<double>(smallest), -log_a, r);
  r = select(x > constant<double>(largest), x * (log_a - one), r);
  return select(x == x, r, x);
}

// Numbers of which some are outside of the table.
MMLFAST_NOINLINE inline vec<double> elsewhere(vec<double> x) {
  const vec<double> first = constant<double>(to);
  const mask<double> large = (x >= first) & (x <= constant<double>(largest));
  const mask<double> inside = (x >= constant<double>(from)) & (x < first);
  if (!all(large | inside)) return select(inside, tabulated(x), special(x));
  vec<double> log_low, rest;
  const vec<double> z = select(large, x, first), log_z = power::log_in_two(z, log_low);
  const vec<double> s = stirling(z, zero<double>(), log_z, log_low, rest);
  return all(large) ? s + rest : select(inside, tabulated(x), s + rest);
}

}  // namespace gamma

MMLFAST_INLINE vec<double> lgamma(const vec<double>& x) {
  if (all((x >= constant<double>(gamma::from)) & (x < constant<double>(gamma::to)))) [[likely]]
    return gamma::tabulated(x);
  return gamma::elsewhere(x);
}
MMLFAST_INLINE vec<float> lgamma(const vec<float>& x) {
  return in_double(x, [](const vec<double>& v) { return lgamma(v); });
}

}  // namespace mmlfast::MMLFAST_LEVEL
