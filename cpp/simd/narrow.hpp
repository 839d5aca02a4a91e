// narrow<T, Count>: a row of Count numbers (16, 32 or 64 bytes) in as few registers as the level has for it. What is
// left of a matrix row behind its last whole vec<T>, and whole rows of matrices that are too small for one.
//
// Like vec.hpp, this file spells with intrinsics what the vector extensions cannot say: fma of registers narrower than
// the native ones, and parts of a register in memory.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace op {

#if defined(__AVX512F__)
MMLFAST_INLINE __m256d fma(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
MMLFAST_INLINE __m256 fma(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
MMLFAST_INLINE __m128d fma(__m128d a, __m128d b, __m128d c) { return _mm_fmadd_pd(a, b, c); }
MMLFAST_INLINE __m128 fma(__m128 a, __m128 b, __m128 c) { return _mm_fmadd_ps(a, b, c); }
#define MMLFAST_FIRST(Register, T, bits, letter, width)                                       \
  MMLFAST_INLINE Register load_first(const T* from, int count, Register) {                    \
    const auto first = static_cast<__mmask##width>((1u << count) - 1);                        \
    return _mm##bits##_maskz_loadu_p##letter(first, from);                                    \
  }                                                                                           \
  MMLFAST_INLINE void store_first(T* to, Register x, int count) {                             \
    _mm##bits##_mask_storeu_p##letter(to, static_cast<__mmask##width>((1u << count) - 1), x); \
  }
MMLFAST_FIRST(__m512d, double, 512, d, 8)
MMLFAST_FIRST(__m512, float, 512, s, 16)
MMLFAST_FIRST(__m256d, double, 256, d, 8)
MMLFAST_FIRST(__m256, float, 256, s, 8)
MMLFAST_FIRST(__m128d, double, , d, 8)
MMLFAST_FIRST(__m128, float, , s, 8)
#undef MMLFAST_FIRST
#elif defined(__FMA__)
// A window of these is the mask of the first numbers of a register.
inline constexpr std::int32_t first_ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
template <class Mask, class T>
MMLFAST_INLINE Mask first_mask(int count) {
  typedef std::int32_t Bits __attribute__((vector_size(sizeof(Mask)), aligned(4), may_alias));
  return reinterpret_cast<Mask>(
      *reinterpret_cast<const Bits*>(first_ones + 8 - count * static_cast<int>(sizeof(T) / 4)));
}
MMLFAST_INLINE __m256d load_first(const double* from, int count, __m256d) {
  return _mm256_maskload_pd(from, first_mask<__m256i, double>(count));
}
MMLFAST_INLINE __m256 load_first(const float* from, int count, __m256) {
  return _mm256_maskload_ps(from, first_mask<__m256i, float>(count));
}
MMLFAST_INLINE __m128d load_first(const double* from, int count, __m128d) {
  return _mm_maskload_pd(from, first_mask<__m128i, double>(count));
}
MMLFAST_INLINE __m128 load_first(const float* from, int count, __m128) {
  return _mm_maskload_ps(from, first_mask<__m128i, float>(count));
}
MMLFAST_INLINE __m128d fma(__m128d a, __m128d b, __m128d c) { return _mm_fmadd_pd(a, b, c); }
MMLFAST_INLINE __m128 fma(__m128 a, __m128 b, __m128 c) { return _mm_fmadd_ps(a, b, c); }
#endif

template <class T, int Bytes>
struct register_of {
  typedef T type __attribute__((vector_size(Bytes)));
  typedef T unaligned __attribute__((vector_size(Bytes), aligned(sizeof(T)), may_alias));
};

#if !defined(__AVX512F__)
// Numbers From .. From + Count - 1 of a register, those below `count` of them, by halves: masked stores are slow on
// some processors. `count` is the same for all rows of a matrix, so the branches are foreseen.
template <class T, int From, int Count, class Register>
MMLFAST_INLINE void store_piece(T* to, const Register& x, int count) {
  if constexpr (Count == 1) {
    if (count > 0) *to = x[From];
  } else {
    constexpr int half = Count / 2;
    if (count >= half) {
      _Pragma("GCC unroll 8") for (int i = 0; i < half; ++i) to[i] = x[From + i];
      store_piece<T, From + half, half>(to + half, x, count - half);
    } else {
      store_piece<T, From, half>(to, x, count);
    }
  }
}

#if !defined(__FMA__)
template <class T, class Register>
MMLFAST_INLINE Register load_first(const T* from, int count, Register x) {
  _Pragma("GCC unroll 4") for (int i = 0; i < static_cast<int>(sizeof(Register) / sizeof(T)); ++i) if (i < count) x[i] =
      from[i];
  return x;
}
#endif
#endif

}  // namespace op

template <class T, int Count>
struct narrow {
  static constexpr int bytes = Count * static_cast<int>(sizeof(T));
  static constexpr int part_bytes = bytes < native_bytes ? bytes : native_bytes;
  static constexpr int parts = bytes / part_bytes;
  static constexpr int part_count = Count / parts;
  using Part = typename op::register_of<T, part_bytes>::type;
  using Unaligned = typename op::register_of<T, part_bytes>::unaligned;

  Part part[parts];

  static MMLFAST_INLINE narrow zero() { return narrow{}; }
  static MMLFAST_INLINE narrow broadcast(T value) {
    narrow r;
    _Pragma("GCC unroll 4") for (int p = 0; p < parts; ++p) r.part[p] = value - Part{};
    return r;
  }
  static MMLFAST_INLINE narrow load(const T* from) {
    narrow r;
    const Unaligned* source = reinterpret_cast<const Unaligned*>(from);
    _Pragma("GCC unroll 4") for (int p = 0; p < parts; ++p) r.part[p] = source[p];
    return r;
  }
  MMLFAST_INLINE void store(T* to) const {
    Unaligned* target = reinterpret_cast<Unaligned*>(to);
    _Pragma("GCC unroll 4") for (int p = 0; p < parts; ++p) target[p] = part[p];
  }
  // The first `count` numbers, the others zero; never touches memory behind them.
  static MMLFAST_INLINE narrow load_first(const T* from, int count) {
    narrow r;
    _Pragma("GCC unroll 4") for (int p = 0; p < parts; ++p) {
      const int here = within(count - p * part_count);
      r.part[p] = here > 0 ? op::load_first(from + p * part_count, here, Part{}) : Part{};
    }
    return r;
  }
  MMLFAST_INLINE void store_first(T* to, int count) const {
    _Pragma("GCC unroll 4") for (int p = 0; p < parts; ++p) {
      const int here = within(count - p * part_count);
#if defined(__AVX512F__)
      op::store_first(to, part[p], here);
#else
      if (here == part_count)
        *reinterpret_cast<Unaligned*>(to + p * part_count) = part[p];
      else
        op::store_piece<T, 0, part_count>(to + p * part_count, part[p], here);
#endif
    }
  }

 private:
  static MMLFAST_INLINE int within(int count) { return count < 0 ? 0 : count < part_count ? count : part_count; }
};

// a * b + c with one rounding.
template <class T, int Count>
MMLFAST_INLINE narrow<T, Count> fma(const narrow<T, Count>& a, const narrow<T, Count>& b, const narrow<T, Count>& c) {
  narrow<T, Count> r;
  _Pragma("GCC unroll 4") for (int p = 0; p < narrow<T, Count>::parts; ++p) r.part[p] =
      op::fma(a.part[p], b.part[p], c.part[p]);
  return r;
}

// ---- registers in pieces ----

// Two halves as one. Where the second one comes from memory, its load puts them together; shuffles of registers would
// wait for the one place where some processors have them.
#if defined(__AVX512F__)
// (By a mask of all: GCC 12 warns of the value that the others leave undefined.)
MMLFAST_INLINE __m512d joined(__m256d a, __m256d b) {
  return _mm512_maskz_insertf64x4(0xFF, _mm512_castpd256_pd512(a), b, 1);
}
#endif
#if defined(__AVX__)
MMLFAST_INLINE __m256d joined(__m128d a, __m128d b) { return _mm256_insertf128_pd(_mm256_castpd128_pd256(a), b, 1); }
#endif

// Numbers 2 K and 2 K + 1, which a store takes from where they are.
#if defined(__AVX512F__)
template <int K>
MMLFAST_INLINE __m128d quarter(__m512d x) {
  return _mm512_maskz_extractf64x2_pd(0xFF, x, K);
}
#endif

}  // namespace mmlfast::MMLFAST_LEVEL
