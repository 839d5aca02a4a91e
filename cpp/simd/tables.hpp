// A polynomial for each of 16 intervals, with coefficients out of a table in the first cache. Spelled with intrinsics
// where the vector extensions have no permutation by numbers of the run.
#pragma once

#include "simd/bits.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Coefficients c[0], c[1] ... of polynomial i in row i, as they are written down; registers of eight lanes want them
// the other way, the same coefficient of all polynomials side by side.
template <int N>
struct Polynomials {
  double c[16][N];
};
template <int N>
struct TabulatedPolynomials {
#if defined(__AVX512F__)
  alignas(vec_bytes) double c[N][16] = {};
  constexpr TabulatedPolynomials(const Polynomials<N>& rows) {
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < N; ++k) c[k][i] = rows.c[i][k];
  }
#else
  alignas(vec_bytes) double c[16][N] = {};
  constexpr TabulatedPolynomials(const Polynomials<N>& rows) {
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < N; ++k) c[i][k] = rows.c[i][k];
  }
#endif
};

namespace op {

// each(k, coefficients k) from the last to the first.
#if defined(__AVX512F__)
template <int N, class Each>
MMLFAST_INLINE void coefficients(const TabulatedPolynomials<N>& t, native_bits<double> index, Each&& each) {
  _Pragma("GCC unroll 32") for (int k = N - 1; k >= 0; --k)
      each(k, native<double>{_mm512_permutex2var_pd(_mm512_load_pd(t.c[k]), reinterpret_cast<__m512i>(index),
                                                    _mm512_load_pd(t.c[k] + 8))});
}
#else
template <int N, class Each>
MMLFAST_INLINE void coefficients(const TabulatedPolynomials<N>& t, native_bits<double> index, Each&& each) {
  constexpr int n = native_lanes<double>;
  static_assert(N % n == 0);
  const double* row[n];
  _Pragma("GCC unroll 4") for (int l = 0; l < n; ++l) row[l] = t.c[index[l] & 15];
  _Pragma("GCC unroll 32") for (int k = N - n; k >= 0; k -= n) {
    native<double> some[n];
    _Pragma("GCC unroll 4") for (int l = 0; l < n; ++l) some[l] = load_part<double>(row[l] + k);
    transpose_native<double>(some);
    _Pragma("GCC unroll 4") for (int j = n - 1; j >= 0; --j) each(k + j, some[j]);
  }
}
#endif

// The bracket of c[0] + x (c[1] + c[2] x + ...), even and odd powers apart.
template <int N>
MMLFAST_INLINE native<double> bracket_at(const TabulatedPolynomials<N>& t, native_bits<double> index,
                                         const native<double>& x, native<double>& first) {
  const native<double> square = x * x;
  native<double> part[2];
  coefficients(t, index, [&](int k, const native<double>& c) MMLFAST_INLINE_LAMBDA {
    if (k == 0)
      first = c;
    else if (k >= N - 2)
      part[k % 2] = c;
    else
      part[k % 2] = fma(part[k % 2], square, c);
  });
  return fma(part[0], x, part[1]);
}

}  // namespace op

// Of polynomial i at x, first + x bracket, where i is the last four bits of the lane of `index`.
template <int N>
MMLFAST_INLINE vec<double> bracket_at(const TabulatedPolynomials<N>& t, const bits<double>& index, const vec<double>& x,
                                      vec<double>& first) {
  vec<double> r;
  MMLFAST_EACH_PART r.part[p] = op::bracket_at(t, index.part[p], x.part[p], first.part[p]);
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL
