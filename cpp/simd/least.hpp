// The smaller and the larger of two vectors by one instruction each: what puts lists in lanes in order.
//
// Like vec.hpp, this file spells with intrinsics what the vector extensions cannot say: GCC makes a comparison and a
// selection of min() and max() with AVX-512, which take three times as long in a chain.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Lane by lane a < b ? a : b and a > b ? a : b.
namespace op {
#if defined(__AVX512F__)
MMLFAST_INLINE __m512d smaller(__m512d a, __m512d b) { return _mm512_maskz_min_pd(static_cast<__mmask8>(-1), a, b); }
MMLFAST_INLINE __m512 smaller(__m512 a, __m512 b) { return _mm512_maskz_min_ps(static_cast<__mmask16>(-1), a, b); }
MMLFAST_INLINE __m512d larger(__m512d a, __m512d b) { return _mm512_maskz_max_pd(static_cast<__mmask8>(-1), a, b); }
MMLFAST_INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(static_cast<__mmask16>(-1), a, b); }
#elif defined(__AVX__)
MMLFAST_INLINE __m256d smaller(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
MMLFAST_INLINE __m256 smaller(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
MMLFAST_INLINE __m256d larger(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
MMLFAST_INLINE __m256 larger(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
#else
template <class Register>
MMLFAST_INLINE Register smaller(const Register& a, const Register& b) {
  return a < b ? a : b;
}
template <class Register>
MMLFAST_INLINE Register larger(const Register& a, const Register& b) {
  return a > b ? a : b;
}
#endif
}  // namespace op

template <class T>
MMLFAST_INLINE vec<T> smaller(const vec<T>& a, const vec<T>& b) {
  vec<T> r;
  MMLFAST_EACH_PART r.part[p] = op::smaller(a.part[p], b.part[p]);
  return r;
}
template <class T>
MMLFAST_INLINE vec<T> larger(const vec<T>& a, const vec<T>& b) {
  vec<T> r;
  MMLFAST_EACH_PART r.part[p] = op::larger(a.part[p], b.part[p]);
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL
