// Gram-Schmidt on matrices that are already in lanes: a[i * n + j] is element (i, j) of every item. For use inside
// other kernels; gram_schmidt.hpp says what is computed.
//
// M and N are the sizes where they are known at compile time (the matrix then stays in registers as far as it fits),
// else 0.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL::lane_columns {

// Sums of squares within these bounds lose nothing to overflow or underflow, not even after a column has shrunk to
// rounding level.
template <class T>
struct SafeSquares;
template <>
struct SafeSquares<double> {
  static constexpr double low = 0x1p-800, high = 0x1p1000;
};
template <>
struct SafeSquares<float> {
  static constexpr float low = 0x1p-70f, high = 0x1p110f;
};

template <class T>
struct Matrix {
  vec<T>* a;
  std::ptrdiff_t m, n;
};

// c[q] = column k + q . column j
template <int K, int M, class T>
MMLFAST_INLINE void dots(const Matrix<T>& x, std::ptrdiff_t k, std::ptrdiff_t j, vec<T>* c) {
  const std::ptrdiff_t m = M > 0 ? M : x.m;
  vec<T> sum[K];
  _Pragma("GCC unroll 8") for (int q = 0; q < K; ++q) sum[q] = zero<T>();
  _Pragma("GCC unroll 4") for (std::ptrdiff_t i = 0; i < m; ++i) {
    const vec<T> v = x.a[i * x.n + j];
    _Pragma("GCC unroll 8") for (int q = 0; q < K; ++q) sum[q] = fma(x.a[i * x.n + k + q], v, sum[q]);
  }
  _Pragma("GCC unroll 8") for (int q = 0; q < K; ++q) c[q] = sum[q];
}

// column j -= sum of c[q] * column k + q; returns the sum of squares of what is left.
template <int K, int M, class T>
MMLFAST_INLINE vec<T> subtract(const Matrix<T>& x, std::ptrdiff_t k, std::ptrdiff_t j, const vec<T>* c) {
  const std::ptrdiff_t m = M > 0 ? M : x.m;
  vec<T> factor[K], square = zero<T>();
  _Pragma("GCC unroll 8") for (int q = 0; q < K; ++q) factor[q] = c[q];
  _Pragma("GCC unroll 4") for (std::ptrdiff_t i = 0; i < m; ++i) {
    vec<T> v = x.a[i * x.n + j];
    _Pragma("GCC unroll 8") for (int q = 0; q < K; ++q) v = fnma(factor[q], x.a[i * x.n + k + q], v);
    x.a[i * x.n + j] = v;
    square = fma(v, v, square);
  }
  return square;
}

// body.operator()<K>(k) for column blocks k .. k + K - 1 that cover 0 .. count - 1.
template <class Body>
MMLFAST_INLINE void by_blocks(std::ptrdiff_t count, Body&& body) {
  const std::ptrdiff_t eights = count & ~std::ptrdiff_t{7};
  std::ptrdiff_t k = 0;
  for (; k < eights; k += 8) body.template operator()<8>(k);
  if (count & 4) body.template operator()<4>(k), k += 4;
  if (count & 2) body.template operator()<2>(k), k += 2;
  if (count & 1) body.template operator()<1>(k);
}

// One pass over the columns before j with all coefficients from column j as it was; c has room for j vectors.
// Returns the sum of squares of what is left.
template <int M, class T>
MMLFAST_INLINE vec<T> classical_pass(const Matrix<T>& x, std::ptrdiff_t j, vec<T>* c) {
  vec<T> square = zero<T>();
  by_blocks(j, [&]<int K>(std::ptrdiff_t k) MMLFAST_INLINE_LAMBDA { dots<K, M>(x, k, j, c + k); });
  by_blocks(j, [&]<int K>(std::ptrdiff_t k) MMLFAST_INLINE_LAMBDA { square = subtract<K, M>(x, k, j, c + k); });
  return square;
}

template <int M, class T>
MMLFAST_INLINE vec<T> modified_pass(const Matrix<T>& x, std::ptrdiff_t j, vec<T>* c) {
  vec<T> square = zero<T>();
  for (std::ptrdiff_t k = 0; k < j; ++k) {
    dots<1, M>(x, k, j, c + k);
    square = subtract<1, M>(x, k, j, c + k);
  }
  return square;
}

template <int M, class T>
MMLFAST_INLINE vec<T> sum_of_squares(const Matrix<T>& x, std::ptrdiff_t j) {
  vec<T> s;
  dots<1, M>(x, j, j, &s);
  return s;
}

// Brings the lanes of column j whose squares could leave the range to a length near one.
template <class T>
MMLFAST_NOINLINE void rescale(vec<T>* a, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t j, mask<T> unsafe) {
  vec<T> big = zero<T>(), mantissa, exponent;
  for (std::ptrdiff_t i = 0; i < m; ++i) big = max(abs(a[i * n + j]), big);
  split_exponent(big, mantissa, exponent);
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    vec<T>& v = a[i * n + j];
    v = select(unsafe, scale_by_power(v, -exponent), v);
  }
}

// The length of column j, which is scaled if it must be. NaN if the column holds NaN or infinity.
template <int M, class T>
MMLFAST_INLINE vec<T> start_column(const Matrix<T>& x, std::ptrdiff_t j) {
  vec<T> square = sum_of_squares<M>(x, j);
  const mask<T> safe = (square > broadcast<T>(SafeSquares<T>::low)) & (square < broadcast<T>(SafeSquares<T>::high));
  if (!all(safe)) {
    rescale(x.a, M > 0 ? M : x.m, x.n, j, ~safe);
    square = sum_of_squares<M>(x, j);
    square = square + (square - square);
  }
  return sqrt(square);
}

// Divides column j by its length; columns in `dependent` become zero.
template <int M, class T>
MMLFAST_INLINE void finish_column(const Matrix<T>& x, std::ptrdiff_t j, const vec<T>& length,
                                  const mask<T>& dependent) {
  const std::ptrdiff_t m = M > 0 ? M : x.m;
  const vec<T> reciprocal = broadcast<T>(1) / length;
  for (std::ptrdiff_t i = 0; i < m; ++i) x.a[i * x.n + j] = select(dependent, zero<T>(), x.a[i * x.n + j] * reciprocal);
}

// Column j of cgs2, given the columns before it. Returns the dependent lanes. Coefficients of both passes are added up
// in c (column j of R above the diagonal, for the column as scaled), its new length in `length`.
template <int M, class T>
MMLFAST_INLINE mask<T> twice(const Matrix<T>& x, std::ptrdiff_t j, const vec<T>& rtol, vec<T>* c) {
  const vec<T> before = start_column<M>(x, j);
  vec<T> length = before;
  mask<T> dependent = no_lanes<T>();
  if (j > 0) {
    const vec<T> once = sqrt(classical_pass<M>(x, j, c));
    length = sqrt(classical_pass<M>(x, j, c));
    dependent = length <= once * broadcast<T>(static_cast<T>(0.1));
  }
  dependent = dependent | (length <= rtol * before);
  finish_column<M>(x, j, length, dependent);
  return dependent;
}

// What column j adds to the square of the Frobenius norm of Q'Q - I.
template <int M, class T>
MMLFAST_INLINE vec<T> defect(const Matrix<T>& x, std::ptrdiff_t j, const mask<T>& dependent, vec<T>* c) {
  vec<T> sum = zero<T>();
  by_blocks(j + 1, [&]<int K>(std::ptrdiff_t k) MMLFAST_INLINE_LAMBDA { dots<K, M>(x, k, j, c + k); });
  for (std::ptrdiff_t k = 0; k < j; ++k) sum = fma(c[k], c[k], sum);
  const vec<T> own = select(dependent, zero<T>(), c[j] - broadcast<T>(1));
  return fma(own, own, sum + sum);
}

}  // namespace mmlfast::MMLFAST_LEVEL::lane_columns
