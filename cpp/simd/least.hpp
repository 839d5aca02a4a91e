// The smaller and the larger of two vectors by one instruction each: what puts lists in lanes in order.
//
// Like vec.hpp, this file spells with intrinsics what the vector extensions cannot say: GCC makes a comparison and a
// selection of min() and max() with AVX-512, which take three times as long in a chain.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Lane by lane a < b ? a : b and a > b ? a : b.
MMLFAST_INLINE vec<double> smaller(const vec<double>& a, const vec<double>& b) {
#if defined(__AVX512F__)
  return {{_mm512_maskz_min_pd(static_cast<__mmask8>(-1), a.part[0], b.part[0])}};
#elif defined(__AVX__)
  return {{_mm256_min_pd(a.part[0], b.part[0]), _mm256_min_pd(a.part[1], b.part[1])}};
#else
  return min(a, b);
#endif
}
MMLFAST_INLINE vec<double> larger(const vec<double>& a, const vec<double>& b) {
#if defined(__AVX512F__)
  return {{_mm512_maskz_max_pd(static_cast<__mmask8>(-1), a.part[0], b.part[0])}};
#elif defined(__AVX__)
  return {{_mm256_max_pd(a.part[0], b.part[0]), _mm256_max_pd(a.part[1], b.part[1])}};
#else
  return max(a, b);
#endif
}

}  // namespace mmlfast::MMLFAST_LEVEL
