// vec<T>: the one vector type of the kernels. It is 64 bytes wide on every machine (8 doubles or 16
// floats) and is made of as many native registers as that takes: one with AVX-512, two with AVX2,
// four with SSE2 or NEON. A kernel written for it does the same operations in the same order at
// every level, hence gives the same bits wherever fma() is one instruction (all levels but the x86
// baseline).
//
// Arithmetic is that of the compilers' vector extensions. Only what these cannot say in one
// instruction (fma, square root, comparison into AVX-512 mask registers) is spelled with
// intrinsics, here and nowhere else.
//
// Included by kernel files only: everything is in the namespace of the level that the file is
// compiled for, so that the linker can never pick an AVX-512 copy of a function for a baseline
// caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#else
#include "simd/registers.hpp"
#endif

#ifndef MMLFAST_LEVEL
#error "cpp/simd/vec.hpp is for kernel files, which are compiled once per SIMD level"
#endif

#define MMLFAST_INLINE inline __attribute__((always_inline))
#define MMLFAST_INLINE_LAMBDA __attribute__((always_inline))
// For code that is run seldom, or long enough for a call to cost nothing: one copy per type serves all callers.
#define MMLFAST_NOINLINE __attribute__((noinline))

namespace mmlfast::MMLFAST_LEVEL {

#if defined(__AVX512F__)
inline constexpr int native_bytes = 64;
#elif defined(__AVX__)
inline constexpr int native_bytes = 32;
#else
inline constexpr int native_bytes = 16;
#endif

inline constexpr int vec_bytes = 64;
inline constexpr int vec_parts = vec_bytes / native_bytes;

template <class T>
inline constexpr int lanes = vec_bytes / static_cast<int>(sizeof(T));
template <class T>
inline constexpr int native_lanes = native_bytes / static_cast<int>(sizeof(T));

template <class T>
struct native_of;
template <>
struct native_of<double> {
  typedef double type __attribute__((vector_size(native_bytes)));
  typedef double unaligned __attribute__((vector_size(native_bytes), aligned(8), may_alias));
  typedef std::int64_t bits __attribute__((vector_size(native_bytes)));
  using integer = std::int64_t;
};
template <>
struct native_of<float> {
  typedef float type __attribute__((vector_size(native_bytes)));
  typedef float unaligned __attribute__((vector_size(native_bytes), aligned(4), may_alias));
  typedef std::int32_t bits __attribute__((vector_size(native_bytes)));
  using integer = std::int32_t;
};
template <class T>
using native = typename native_of<T>::type;
template <class T>
using native_bits = typename native_of<T>::bits;

template <class T, int Parts = vec_parts>
struct vec {
  using value_type = T;
  native<T> part[Parts];
};

// One truth value per lane: a mask register with AVX-512, else a vector of all-ones and all-zeros
// integers.
template <class T, int Parts = vec_parts>
struct mask {
#if defined(__AVX512F__)
  std::conditional_t<sizeof(T) == 8, __mmask8, __mmask16> part[Parts];
#else
  native_bits<T> part[Parts];
#endif
};

#define MMLFAST_EACH_PART_OF(count) _Pragma("GCC unroll 4") for (int p = 0; p < (count); ++p)
#define MMLFAST_EACH_PART MMLFAST_EACH_PART_OF(vec_parts)

// body(i) for from <= i < to, at most 8 times, unrolled: arrays indexed by i stay in registers. A body of some size has
// to be MMLFAST_INLINE_LAMBDA.
template <class Body>
MMLFAST_INLINE void unrolled(int from, int to, Body&& body) {
  _Pragma("GCC unroll 8") for (int i = from; i < to; ++i) body(i);
}

// ---- memory ----

// Part p of a vector as a vector of its own: for kernels that would need more registers than there are for whole ones.
template <class T>
MMLFAST_INLINE vec<T, 1> part_of(const vec<T>& x, int p) {
  return {{x.part[p]}};
}

template <class T>
MMLFAST_INLINE vec<T> load(const T* from) {
  vec<T> r;
  using Unaligned = typename native_of<T>::unaligned;  // deduction (auto) would drop the alignment of the type
  const Unaligned* source = reinterpret_cast<const Unaligned*>(from);
  MMLFAST_EACH_PART r.part[p] = source[p];
  return r;
}

template <class T>
MMLFAST_INLINE void store(T* to, const vec<T>& x) {
  using Unaligned = typename native_of<T>::unaligned;
  Unaligned* target = reinterpret_cast<Unaligned*>(to);
  MMLFAST_EACH_PART target[p] = x.part[p];
}

template <class T, int P = vec_parts>
MMLFAST_INLINE vec<T, P> broadcast(T value) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = value - native<T>{};
  return r;
}

template <class T, int P = vec_parts>
MMLFAST_INLINE vec<T, P> zero() {
  return vec<T, P>{};
}

// The first `count` elements; the other lanes are zero. Never touches memory past them.
template <class T>
MMLFAST_INLINE vec<T> load_first(const T* from, int count) {
  alignas(vec_bytes) T buffer[lanes<T>] = {};
  for (int i = 0; i < count; ++i) buffer[i] = from[i];
  return load(buffer);
}

template <class T>
MMLFAST_INLINE void store_first(T* to, const vec<T>& x, int count) {
  alignas(vec_bytes) T buffer[lanes<T>];
  store(buffer, x);
  for (int i = 0; i < count; ++i) to[i] = buffer[i];
}

// ---- arithmetic ----

#define MMLFAST_ARITHMETIC(symbol)                                                   \
  template <class T, int P>                                                          \
  MMLFAST_INLINE vec<T, P> operator symbol(const vec<T, P>& a, const vec<T, P>& b) { \
    vec<T, P> r;                                                                     \
    MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] symbol b.part[p];                  \
    return r;                                                                        \
  }
MMLFAST_ARITHMETIC(+)
MMLFAST_ARITHMETIC(-)
MMLFAST_ARITHMETIC(*)
MMLFAST_ARITHMETIC(/)
#undef MMLFAST_ARITHMETIC
template <class T, int P>
MMLFAST_INLINE vec<T, P> operator-(const vec<T, P>& a) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = -a.part[p];
  return r;
}

// Native operations that the vector extensions lack, overloaded on the register type.
namespace op {
#if defined(__AVX512F__)
MMLFAST_INLINE __m512d fma(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
MMLFAST_INLINE __m512 fma(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
MMLFAST_INLINE __m512d fnma(__m512d a, __m512d b, __m512d c) { return _mm512_fnmadd_pd(a, b, c); }
MMLFAST_INLINE __m512 fnma(__m512 a, __m512 b, __m512 c) { return _mm512_fnmadd_ps(a, b, c); }
// With a full mask: the unmasked intrinsics of GCC 12 warn of an undefined value, which they ignore.
MMLFAST_INLINE __m512d sqrt(__m512d a) { return _mm512_maskz_sqrt_pd(static_cast<__mmask8>(-1), a); }
MMLFAST_INLINE __m512 sqrt(__m512 a) { return _mm512_maskz_sqrt_ps(static_cast<__mmask16>(-1), a); }
template <int Predicate>
MMLFAST_INLINE __mmask8 compare(__m512d a, __m512d b) {
  return _mm512_cmp_pd_mask(a, b, Predicate);
}
template <int Predicate>
MMLFAST_INLINE __mmask16 compare(__m512 a, __m512 b) {
  return _mm512_cmp_ps_mask(a, b, Predicate);
}
MMLFAST_INLINE __m512d select(__mmask8 m, __m512d a, __m512d b) { return _mm512_mask_blend_pd(m, b, a); }
MMLFAST_INLINE __m512 select(__mmask16 m, __m512 a, __m512 b) { return _mm512_mask_blend_ps(m, b, a); }
// Of a comparison into a mask register and a selection GCC does not make the one instruction that does both.
MMLFAST_INLINE __m512d max(__m512d a, __m512d b) { return _mm512_maskz_max_pd(static_cast<__mmask8>(-1), a, b); }
MMLFAST_INLINE __m512 max(__m512 a, __m512 b) { return _mm512_maskz_max_ps(static_cast<__mmask16>(-1), a, b); }
MMLFAST_INLINE __m512d min(__m512d a, __m512d b) { return _mm512_maskz_min_pd(static_cast<__mmask8>(-1), a, b); }
MMLFAST_INLINE __m512 min(__m512 a, __m512 b) { return _mm512_maskz_min_ps(static_cast<__mmask16>(-1), a, b); }
#elif defined(__FMA__)
MMLFAST_INLINE __m256d fma(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
MMLFAST_INLINE __m256 fma(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
MMLFAST_INLINE __m256d fnma(__m256d a, __m256d b, __m256d c) { return _mm256_fnmadd_pd(a, b, c); }
MMLFAST_INLINE __m256 fnma(__m256 a, __m256 b, __m256 c) { return _mm256_fnmadd_ps(a, b, c); }
MMLFAST_INLINE __m256d sqrt(__m256d a) { return _mm256_sqrt_pd(a); }
MMLFAST_INLINE __m256 sqrt(__m256 a) { return _mm256_sqrt_ps(a); }
#elif defined(__aarch64__)
MMLFAST_INLINE float64x2_t fma(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmaq_f64(c, a, b); }
MMLFAST_INLINE float32x4_t fma(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
MMLFAST_INLINE float64x2_t fnma(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmsq_f64(c, a, b); }
MMLFAST_INLINE float32x4_t fnma(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmsq_f32(c, a, b); }
MMLFAST_INLINE float64x2_t sqrt(float64x2_t a) { return vsqrtq_f64(a); }
MMLFAST_INLINE float32x4_t sqrt(float32x4_t a) { return vsqrtq_f32(a); }
#else  // x86-64-v2: no fused multiply-add; two roundings
MMLFAST_INLINE __m128d fma(__m128d a, __m128d b, __m128d c) { return a * b + c; }
MMLFAST_INLINE __m128 fma(__m128 a, __m128 b, __m128 c) { return a * b + c; }
MMLFAST_INLINE __m128d fnma(__m128d a, __m128d b, __m128d c) { return c - a * b; }
MMLFAST_INLINE __m128 fnma(__m128 a, __m128 b, __m128 c) { return c - a * b; }
MMLFAST_INLINE __m128d sqrt(__m128d a) { return _mm_sqrt_pd(a); }
MMLFAST_INLINE __m128 sqrt(__m128 a) { return _mm_sqrt_ps(a); }
#endif
}  // namespace op

// a * b + c and c - a * b with one rounding.
template <class T, int P>
MMLFAST_INLINE vec<T, P> fma(const vec<T, P>& a, const vec<T, P>& b, const vec<T, P>& c) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = op::fma(a.part[p], b.part[p], c.part[p]);
  return r;
}
template <class T, int P>
MMLFAST_INLINE vec<T, P> fnma(const vec<T, P>& a, const vec<T, P>& b, const vec<T, P>& c) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = op::fnma(a.part[p], b.part[p], c.part[p]);
  return r;
}
template <class T, int P>
MMLFAST_INLINE vec<T, P> sqrt(const vec<T, P>& a) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = op::sqrt(a.part[p]);
  return r;
}

// The bits of a lane as an integer of the same width, and back.
template <class T, int Parts = vec_parts>
struct bits {
  native_bits<T> part[Parts];
};
template <class T, int P>
MMLFAST_INLINE bits<T, P> as_bits(const vec<T, P>& a) {
  bits<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = reinterpret_cast<native_bits<T>>(a.part[p]);
  return r;
}
template <class T, int P>
MMLFAST_INLINE vec<T, P> from_bits(const bits<T, P>& a) {
  vec<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = reinterpret_cast<native<T>>(a.part[p]);
  return r;
}

template <class T>
inline constexpr auto sign_bit = static_cast<typename native_of<T>::integer>(
    std::make_unsigned_t<typename native_of<T>::integer>{1} << (8 * sizeof(T) - 1));

template <class T, int P>
MMLFAST_INLINE vec<T, P> abs(const vec<T, P>& a) {
  bits<T, P> r = as_bits(a);
  MMLFAST_EACH_PART_OF(P) r.part[p] &= ~sign_bit<T>;
  return from_bits<T, P>(r);
}
template <class T, int P>
MMLFAST_INLINE vec<T, P> copysign(const vec<T, P>& magnitude, const vec<T, P>& sign) {
  bits<T, P> m = as_bits(magnitude);
  const bits<T, P> s = as_bits(sign);
  MMLFAST_EACH_PART_OF(P) m.part[p] = (m.part[p] & ~sign_bit<T>) | (s.part[p] & sign_bit<T>);
  return from_bits<T, P>(m);
}

// ---- comparison and selection ----

#if defined(__AVX512F__)
#define MMLFAST_COMPARISON(symbol, predicate)                                         \
  template <class T, int P>                                                           \
  MMLFAST_INLINE mask<T, P> operator symbol(const vec<T, P>& a, const vec<T, P>& b) { \
    mask<T, P> r;                                                                     \
    MMLFAST_EACH_PART_OF(P) r.part[p] = op::compare<predicate>(a.part[p], b.part[p]); \
    return r;                                                                         \
  }
#else
#define MMLFAST_COMPARISON(symbol, predicate)                                         \
  template <class T, int P>                                                           \
  MMLFAST_INLINE mask<T, P> operator symbol(const vec<T, P>& a, const vec<T, P>& b) { \
    mask<T, P> r;                                                                     \
    MMLFAST_EACH_PART_OF(P) r.part[p] = (native_bits<T>)(a.part[p] symbol b.part[p]); \
    return r;                                                                         \
  }
#endif
MMLFAST_COMPARISON(<, _CMP_LT_OQ)
MMLFAST_COMPARISON(<=, _CMP_LE_OQ)
MMLFAST_COMPARISON(>, _CMP_GT_OQ)
MMLFAST_COMPARISON(>=, _CMP_GE_OQ)
MMLFAST_COMPARISON(==, _CMP_EQ_OQ)
MMLFAST_COMPARISON(!=, _CMP_NEQ_UQ)
#undef MMLFAST_COMPARISON

template <class T, int P>
MMLFAST_INLINE vec<T, P> select(const mask<T, P>& m, const vec<T, P>& a, const vec<T, P>& b) {
  vec<T, P> r;
#if defined(__AVX512F__)
  MMLFAST_EACH_PART_OF(P) r.part[p] = op::select(m.part[p], a.part[p], b.part[p]);
#else
  MMLFAST_EACH_PART_OF(P) r.part[p] = m.part[p] ? a.part[p] : b.part[p];
#endif
  return r;
}

template <class T, int P>
MMLFAST_INLINE mask<T, P> operator&(const mask<T, P>& a, const mask<T, P>& b) {
  mask<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] & b.part[p];
  return r;
}
template <class T, int P>
MMLFAST_INLINE mask<T, P> operator|(const mask<T, P>& a, const mask<T, P>& b) {
  mask<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] | b.part[p];
  return r;
}
template <class T, int P>
MMLFAST_INLINE mask<T, P> operator~(const mask<T, P>& a) {
  mask<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = ~a.part[p];
  return r;
}
template <class T, int P = vec_parts>
MMLFAST_INLINE mask<T, P> no_lanes() {
  return mask<T, P>{};
}

// Lane i of the mask as bit i.
template <class T, int P>
MMLFAST_INLINE std::uint32_t to_bitmask(const mask<T, P>& m) {
#if defined(__AVX512F__)
  return m.part[0];
#else
  std::uint32_t r = 0;
  MMLFAST_EACH_PART_OF(P) {
#if defined(__AVX__)
    if constexpr (sizeof(T) == 8)
      r |= static_cast<std::uint32_t>(_mm256_movemask_pd(reinterpret_cast<__m256d>(m.part[p])))
           << (p * native_lanes<T>);
    else
      r |= static_cast<std::uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(m.part[p]))) << (p * native_lanes<T>);
#elif defined(__SSE2__)
    if constexpr (sizeof(T) == 8)
      r |= static_cast<std::uint32_t>(_mm_movemask_pd(reinterpret_cast<__m128d>(m.part[p]))) << (p * native_lanes<T>);
    else
      r |= static_cast<std::uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(m.part[p]))) << (p * native_lanes<T>);
#else
    for (int i = 0; i < native_lanes<T>; ++i)
      r |= static_cast<std::uint32_t>(m.part[p][i] != 0) << (p * native_lanes<T> + i);
#endif
  }
  return r;
#endif
}
template <class T, int P>
MMLFAST_INLINE bool any(const mask<T, P>& m) {
  mask<T, 1> together{{m.part[0]}};
  MMLFAST_EACH_PART_OF(P) together.part[0] |= m.part[p];
  return to_bitmask(together) != 0;
}
template <class T, int P>
MMLFAST_INLINE bool all(const mask<T, P>& m) {
  mask<T, 1> together{{m.part[0]}};
  MMLFAST_EACH_PART_OF(P) together.part[0] &= m.part[p];
  return to_bitmask(together) == (1u << native_lanes<T>)-1;
}

// b where one is NaN or both are zero, like the x86 instruction: a > b ? a : b, a < b ? a : b.
#if defined(__AVX512F__)
#define MMLFAST_EXTREME(name, symbol)                                     \
  template <class T, int P>                                               \
  MMLFAST_INLINE vec<T, P> name(const vec<T, P>& a, const vec<T, P>& b) { \
    vec<T, P> r;                                                          \
    MMLFAST_EACH_PART_OF(P) r.part[p] = op::name(a.part[p], b.part[p]);   \
    return r;                                                             \
  }
#else
#define MMLFAST_EXTREME(name, symbol)                                     \
  template <class T, int P>                                               \
  MMLFAST_INLINE vec<T, P> name(const vec<T, P>& a, const vec<T, P>& b) { \
    return select(a symbol b, a, b);                                      \
  }
#endif
MMLFAST_EXTREME(max, >)
MMLFAST_EXTREME(min, <)
#undef MMLFAST_EXTREME

// ---- across lanes ----

namespace op {
// Of a register of N lanes, or what is left of one. By way of memory the compiler would load in one piece what it has
// just stored in two, and wait for it.
template <class T, int N, class Register, class Join, int... I>
MMLFAST_INLINE T joined(const Register& x, Join&& join, std::integer_sequence<int, I...>) {
  if constexpr (N == 2) {
    return join(x[0], x[1]);
  } else {
    const auto half = join(__builtin_shufflevector(x, x, I...), __builtin_shufflevector(x, x, (I + N / 2)...));
    return joined<T, N / 2>(half, join, std::make_integer_sequence<int, N / 4>{});
  }
}
}  // namespace op

// The lanes joined in a fixed tree: (i, i + n/2), then (i, i + n/4), ...
template <class T, class Join>
MMLFAST_INLINE T reduce(const vec<T>& a, Join&& join) {
  vec<T> x = a;
  _Pragma("GCC unroll 4") for (int half = vec_parts / 2; half > 0; half /= 2) {
    _Pragma("GCC unroll 4") for (int p = 0; p < half; ++p) x.part[p] = join(x.part[p], x.part[p + half]);
  }
  constexpr int n = native_lanes<T>;
  return op::joined<T, n>(x.part[0], join, std::make_integer_sequence<int, n / 2>{});
}
template <class T>
MMLFAST_INLINE T reduce_add(const vec<T>& a) {
  return reduce(a, [](const auto& x, const auto& y) MMLFAST_INLINE_LAMBDA { return x + y; });
}
// Of lanes without NaN.
template <class T>
MMLFAST_INLINE T reduce_max(const vec<T>& a) {
  return reduce(a, [](const auto& x, const auto& y) MMLFAST_INLINE_LAMBDA { return x > y ? x : y; });
}

template <class T>
MMLFAST_INLINE T first_lane(const vec<T>& x) {
  return x.part[0][0];
}

// ---- conversion: 16 floats are two vectors of 8 doubles ----

MMLFAST_INLINE vec<double> load_as_double(const float* from) {
  vec<double> r;
  typedef float half __attribute__((vector_size(native_bytes / 2), aligned(4), may_alias));
  const half* source = reinterpret_cast<const half*>(from);
  MMLFAST_EACH_PART r.part[p] = __builtin_convertvector(source[p], native<double>);
  return r;
}
MMLFAST_INLINE vec<double> load_as_double(const double* from) { return load(from); }

MMLFAST_INLINE void store_from_double(float* to, const vec<double>& x) {
  typedef float plain __attribute__((vector_size(native_bytes / 2)));
  typedef float half __attribute__((vector_size(native_bytes / 2), aligned(4), may_alias));
  half* target = reinterpret_cast<half*>(to);
  MMLFAST_EACH_PART target[p] = __builtin_convertvector(x.part[p], plain);
}
MMLFAST_INLINE void store_from_double(double* to, const vec<double>& x) { store(to, x); }

// One register of C from or to numbers of type T, which is C, or float where C is double.
template <class C, class T>
MMLFAST_INLINE native<C> load_part(const T* from) {
  if constexpr (std::is_same_v<T, C>) {
    return *reinterpret_cast<const typename native_of<T>::unaligned*>(from);
  } else {
    typedef T half __attribute__((vector_size(native_bytes / 2), aligned(sizeof(T)), may_alias));
    return __builtin_convertvector(*reinterpret_cast<const half*>(from), native<C>);
  }
}
template <class T, class Register>
MMLFAST_INLINE void store_part(T* to, const Register& x) {
  if constexpr (std::is_same_v<Register, native<T>>) {
    *reinterpret_cast<typename native_of<T>::unaligned*>(to) = x;
  } else {
    typedef T plain __attribute__((vector_size(native_bytes / 2)));
    typedef T half __attribute__((vector_size(native_bytes / 2), aligned(sizeof(T)), may_alias));
    *reinterpret_cast<half*>(to) = __builtin_convertvector(x, plain);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
