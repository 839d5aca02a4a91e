// The registers of processors that are not x86: those of NEON, or of WebAssembly under the names that SSE2 has for the
// same, since the baseline of x86, without a fused multiply-add, is what it can do. (Emscripten has a header for more.)
#pragma once

#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm__)
#include <cstdint>

namespace mmlfast::MMLFAST_LEVEL {

typedef double __m128d __attribute__((vector_size(16)));
typedef float __m128 __attribute__((vector_size(16)));
typedef std::int64_t __m128i __attribute__((vector_size(16)));

inline __m128d _mm_sqrt_pd(__m128d a) { return __builtin_elementwise_sqrt(a); }
inline __m128 _mm_sqrt_ps(__m128 a) { return __builtin_elementwise_sqrt(a); }
inline __m128i _mm_madd_epi16(__m128i a, __m128i b) {
  typedef std::int16_t Halves __attribute__((vector_size(16)));
  typedef std::int32_t Words __attribute__((vector_size(16)));
  const Halves x = reinterpret_cast<Halves>(a), y = reinterpret_cast<Halves>(b);
  Words sums;
  for (int i = 0; i < 4; ++i) sums[i] = x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
  return reinterpret_cast<__m128i>(sums);
}

}  // namespace mmlfast::MMLFAST_LEVEL
#else
#error "no vector registers are known for this processor"
#endif
