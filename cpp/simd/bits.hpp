// The lanes of a vec<T> as integers, tables of a few numbers in a register, and float32 as float64: what the elementary
// functions of simd/math.hpp take exponents apart and choose constants with.
//
// Like vec.hpp, this file spells with intrinsics what the vector extensions cannot say.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

#define MMLFAST_BITWISE(symbol)                                                         \
  template <class T, int P>                                                             \
  MMLFAST_INLINE bits<T, P> operator symbol(const bits<T, P>& a, const bits<T, P>& b) { \
    bits<T, P> r;                                                                       \
    MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] symbol b.part[p];                     \
    return r;                                                                           \
  }
MMLFAST_BITWISE(+)
MMLFAST_BITWISE(-)
MMLFAST_BITWISE(&)
MMLFAST_BITWISE(|)
MMLFAST_BITWISE(^)
#undef MMLFAST_BITWISE

template <class T>
MMLFAST_INLINE bits<T> broadcast_bits(typename native_of<T>::integer value) {
  bits<T> r;
  MMLFAST_EACH_PART r.part[p] = value - native_bits<T>{};
  return r;
}
template <class T, int P>
MMLFAST_INLINE bits<T, P> operator<<(const bits<T, P>& a, int count) {
  bits<T, P> r;
  MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] << count;
  return r;
}
// Zeros come in from the left: shifts that copy the sign of 64-bit numbers are slow with AVX2.
template <class T, int P>
MMLFAST_INLINE bits<T, P> operator>>(const bits<T, P>& a, int count) {
  typedef std::make_unsigned_t<typename native_of<T>::integer> Unsigned __attribute__((vector_size(native_bytes)));
  bits<T, P> r;
  MMLFAST_EACH_PART_OF(P)
  r.part[p] = reinterpret_cast<native_bits<T>>(reinterpret_cast<Unsigned>(a.part[p]) >> count);
  return r;
}

// The bits of the lanes of m; those of the other lanes are zero.
template <class T, int P>
MMLFAST_INLINE bits<T, P> operator&(const bits<T, P>& a, const mask<T, P>& m) {
  bits<T, P> r;
#if defined(__AVX512F__)
  MMLFAST_EACH_PART_OF(P) {
    const __m512i whole = reinterpret_cast<__m512i>(a.part[p]);
    if constexpr (sizeof(T) == 8)
      r.part[p] = reinterpret_cast<native_bits<T>>(_mm512_maskz_mov_epi64(m.part[p], whole));
    else
      r.part[p] = reinterpret_cast<native_bits<T>>(_mm512_maskz_mov_epi32(m.part[p], whole));
  }
#else
  MMLFAST_EACH_PART_OF(P) r.part[p] = a.part[p] & m.part[p];
#endif
  return r;
}

// The lanes that have this one bit.
template <class T, int P>
MMLFAST_INLINE mask<T, P> has_bit(const bits<T, P>& a, typename native_of<T>::integer bit) {
  mask<T, P> r;
#if defined(__AVX512F__)
  MMLFAST_EACH_PART_OF(P) {
    const __m512i lanes_of_it = reinterpret_cast<__m512i>(a.part[p]);
    if constexpr (sizeof(T) == 8)
      r.part[p] = _mm512_test_epi64_mask(lanes_of_it, _mm512_set1_epi64(bit));
    else
      r.part[p] = _mm512_test_epi32_mask(lanes_of_it, _mm512_set1_epi32(bit));
  }
#else
  MMLFAST_EACH_PART_OF(P) r.part[p] = (a.part[p] & bit) == bit;
#endif
  return r;
}

// ---- float32 as float64 and back ----

// Lanes 0 to 7 and 8 to 15, exactly.
namespace op {
template <int From, int... I>
MMLFAST_INLINE native<double> widen(const native<float>& x, std::integer_sequence<int, I...>) {
  return __builtin_convertvector(__builtin_shufflevector(x, x, (From + I)...), native<double>);
}
}  // namespace op
MMLFAST_INLINE void widen(const vec<float>& x, vec<double>& low, vec<double>& high) {
  constexpr int n = native_lanes<double>;
  constexpr std::make_integer_sequence<int, n> all_of_it{};
  native<double> r[2 * vec_parts];
  MMLFAST_EACH_PART {
    r[2 * p] = op::widen<0>(x.part[p], all_of_it);
    r[2 * p + 1] = op::widen<n>(x.part[p], all_of_it);
  }
  MMLFAST_EACH_PART {
    low.part[p] = r[p];
    high.part[p] = r[vec_parts + p];
  }
}
MMLFAST_INLINE vec<float> round_to_float(const vec<double>& low, const vec<double>& high) {
  alignas(vec_bytes) float buffer[lanes<float>];
  store_from_double(buffer, low);
  store_from_double(buffer + lanes<double>, high);
  return load(buffer);
}

// ---- tables in registers ----

namespace op {
#if defined(__AVX512F__)
MMLFAST_INLINE __m512d lookup(const double (&t)[8], native_bits<double> index) {
  const __m512d table = {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]};
  return _mm512_maskz_permutexvar_pd(static_cast<__mmask8>(-1), reinterpret_cast<__m512i>(index), table);
}
MMLFAST_INLINE __m512d lookup(const double (&t)[4], native_bits<double> index) {
  const double twice[8] = {t[0], t[1], t[2], t[3], t[0], t[1], t[2], t[3]};
  return lookup(twice, index);
}
#elif defined(__AVX2__)
MMLFAST_INLINE __m256d four(const double* t, native_bits<double> index) {
  const __m256 table = reinterpret_cast<__m256>(__m256d{t[0], t[1], t[2], t[3]});
  // Element i is the 32-bit elements 2 i and 2 i + 1, of whose numbers the instruction takes the last three bits.
  const __m256i low = _mm256_shuffle_epi32(reinterpret_cast<__m256i>(index), 0xa0);
  const __m256i halves = _mm256_or_si256(_mm256_add_epi32(low, low), _mm256_set1_epi64x(std::int64_t{1} << 32));
  return reinterpret_cast<__m256d>(_mm256_permutevar8x32_ps(table, halves));
}
MMLFAST_INLINE __m256d lookup(const double (&t)[4], native_bits<double> index) { return four(t, index); }
MMLFAST_INLINE __m256d lookup(const double (&t)[8], native_bits<double> index) {
  return _mm256_blendv_pd(four(t, index), four(t + 4, index), reinterpret_cast<__m256d>(index << 61));
}
#else
template <int N>
MMLFAST_INLINE native<double> lookup(const double (&t)[N], native_bits<double> index) {
  static_assert(native_lanes<double> == 2);
  return native<double>{t[index[0] & (N - 1)], t[index[1] & (N - 1)]};
}
#endif
}  // namespace op

// table[i], where i is the last two (three) bits of the lane of `index`.
template <int N>
MMLFAST_INLINE vec<double> lookup(const double (&table)[N], const bits<double>& index) {
  vec<double> r;
  MMLFAST_EACH_PART r.part[p] = op::lookup(table, index.part[p]);
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL
