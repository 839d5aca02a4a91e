// Sums of products of 16-bit integers: sixteen sums of 32 bits, two products added to each per instruction. Twice the
// products of a float32 fused multiply-add, and exact.
//
// Like vec.hpp, this file spells with intrinsics what the vector extensions cannot say.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Sixteen sums, or sixteen pairs of 16-bit numbers.
using Pairs = bits<float>;

namespace op {
#if defined(__AVX512BW__)
MMLFAST_INLINE native_bits<float> multiply_pairs(native_bits<float> a, native_bits<float> b) {
  return reinterpret_cast<native_bits<float>>(
      _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
#elif defined(__AVX2__)
MMLFAST_INLINE native_bits<float> multiply_pairs(native_bits<float> a, native_bits<float> b) {
  return reinterpret_cast<native_bits<float>>(
      _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
}
#elif defined(__SSE2__) || defined(__wasm__)
MMLFAST_INLINE native_bits<float> multiply_pairs(native_bits<float> a, native_bits<float> b) {
  return reinterpret_cast<native_bits<float>>(
      _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
}
#elif defined(__aarch64__)
MMLFAST_INLINE native_bits<float> multiply_pairs(native_bits<float> a, native_bits<float> b) {
  const int16x8_t x = reinterpret_cast<int16x8_t>(a), y = reinterpret_cast<int16x8_t>(b);
  return reinterpret_cast<native_bits<float>>(
      vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
}
#else
#error "no product of pairs for this processor"
#endif
}  // namespace op

MMLFAST_INLINE Pairs load_pairs(const std::int32_t* from) {
  typedef std::int32_t Unaligned __attribute__((vector_size(native_bytes), aligned(4), may_alias));
  const Unaligned* source = reinterpret_cast<const Unaligned*>(from);
  Pairs r;
  MMLFAST_EACH_PART r.part[p] = source[p];
  return r;
}
MMLFAST_INLINE void store_sums(std::int32_t* to, const Pairs& x) {
  typedef std::int32_t Unaligned __attribute__((vector_size(native_bytes), aligned(4), may_alias));
  Unaligned* target = reinterpret_cast<Unaligned*>(to);
  MMLFAST_EACH_PART target[p] = x.part[p];
}
MMLFAST_INLINE Pairs broadcast_pair(std::int32_t x) {
  Pairs r;
  MMLFAST_EACH_PART r.part[p] = x - native_bits<float>{};
  return r;
}

MMLFAST_INLINE Pairs negative(const Pairs& x) {
  Pairs r;
  MMLFAST_EACH_PART r.part[p] = -x.part[p];
  return r;
}

// sum + a0 b0 + a1 b1 in each of sixteen places. The pairs must not be (-32768, -32768) both.
MMLFAST_INLINE Pairs add_products(const Pairs& a, const Pairs& b, const Pairs& sum) {
  Pairs r;
#if defined(__AVX512VNNI__)
  r.part[0] = reinterpret_cast<native_bits<float>>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum.part[0]),
                                                                       reinterpret_cast<__m512i>(a.part[0]),
                                                                       reinterpret_cast<__m512i>(b.part[0])));
#else
  MMLFAST_EACH_PART r.part[p] = sum.part[p] + op::multiply_pairs(a.part[p], b.part[p]);
#endif
  return r;
}

MMLFAST_INLINE mask<float> operator>(const Pairs& a, const Pairs& b) {
  mask<float> r;
#if defined(__AVX512F__)
  r.part[0] = _mm512_cmpgt_epi32_mask(reinterpret_cast<__m512i>(a.part[0]), reinterpret_cast<__m512i>(b.part[0]));
#else
  MMLFAST_EACH_PART r.part[p] = a.part[p] > b.part[p];
#endif
  return r;
}

MMLFAST_INLINE Pairs select_sums(const mask<float>& m, const Pairs& a, const Pairs& b) {
  return as_bits(select(m, from_bits<float>(a), from_bits<float>(b)));
}

}  // namespace mmlfast::MMLFAST_LEVEL
