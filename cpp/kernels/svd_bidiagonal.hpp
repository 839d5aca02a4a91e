// Singular values without vectors in lanes, see svd.hpp, for more columns than Jacobi's rotations are fast for: the
// matrix is reduced to a bidiagonal one by reflections from both sides, whose singular values, with either sign, are
// the eigenvalues of the symmetric tridiagonal matrix with zeros on its diagonal and the numbers d_0, f_0, d_1, f_1, ..
// beside it. Those come by QL.
//
// Flops: 8/3 n^3 for the reduction, of which each step reads the rest of the matrix twice and writes it once; 13 n^2
// square roots and divisions at most in the sweeps. Accuracy: absolutely, a few n u times the largest singular value.
//
// Sources: Golub and Kahan, Calculating the singular values and pseudo-inverse of a matrix, SIAM J. Numer. Anal. 2
// (1965); Howell et al., Cache efficient bidiagonalization using BLAS 2.5 operators, ACM Trans. Math. Softw. 34 (2008).
#pragma once

#include "kernels/common/tridiagonal.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// A step of the reduction works on columns in pieces. The reflections of the step: from the left 1 - tau u u', whose
// first entry is row 0 here, and, of the step before, from the right, which has left x - y v' to be done.
template <class T>
struct BidiagonalStep {
  std::ptrdiff_t rows, ld;
  const vec<T>*u, *y;
  vec<T> tau;
};

// Columns x, x + ld, ..: both reflections, and row 0 of the result into v, where the entries of the last step's were.
template <int Count, class T>
MMLFAST_INLINE void reflect_columns(const BidiagonalStep<T>& s, vec<T>* x, vec<T>* v) {
  vec<T> dot[Count], factor[Count];
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) {
    dot[r] = zero<T>();
    factor[r] = v[r];
  }
  for (std::ptrdiff_t i = 0; i < s.rows; ++i) {
    const vec<T> u = s.u[i], y = s.y[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) {
      vec<T>& here = x[r * s.ld + i];
      const vec<T> now = fnma(factor[r], y, here);
      here = now;
      dot[r] = fma(u, now, dot[r]);
    }
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = dot[r] * s.tau;
  for (std::ptrdiff_t i = 0; i < s.rows; ++i) {
    const vec<T> u = s.u[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) x[r * s.ld + i] = fnma(dot[r], u, x[r * s.ld + i]);
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) v[r] = x[r * s.ld];
}

// y += the columns x, x + ld, .. times v.
template <int Count, class T>
MMLFAST_INLINE void add_columns(std::ptrdiff_t rows, const vec<T>* x, std::ptrdiff_t ld, const vec<T>* v, vec<T>* y) {
  vec<T> factor[Count];
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) factor[r] = v[r];
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    vec<T> sum = y[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) sum = fma(factor[r], x[r * ld + i], sum);
    y[i] = sum;
  }
}

// Reduces a (n x n, column j at a + j * ld) and gives the 2 n - 1 numbers of the bidiagonal form, d_0, f_0, d_1, ..
// work: 3 n vectors.
template <class T>
MMLFAST_NOINLINE void bidiagonalize(std::ptrdiff_t n, vec<T>* a, std::ptrdiff_t ld, vec<T>* coupling, vec<T>* work,
                                    const vec<T>& floor) {
  vec<T>*u = work, *v = u + n, *y = v + n;
  const vec<T> one = broadcast<T>(1);
  for (std::ptrdiff_t i = 0; i < n; ++i) v[i] = y[i] = zero<T>();
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const std::ptrdiff_t rows = n - k, rest = rows - 1;
    vec<T>*column = a + k * ld + k, *next = column + ld;
    // v has the reflection of the step before in columns k .., and y its product with rows k ..
    for (std::ptrdiff_t i = 0; i < rows; ++i) column[i] = fnma(v[0], y[i], column[i]);
    BidiagonalStep<T> step{rows, ld, u, y, make_reflection(column, 1, rows, floor)};
    coupling[2 * k] = column[0];
    u[0] = one;
    for (std::ptrdiff_t i = 1; i < rows; ++i) u[i] = column[i];
    ++v;
    std::ptrdiff_t j = 0;
    for (; j + 4 <= rest; j += 4) reflect_columns<4>(step, next + j * ld, v + j);
    for (; j < rest; ++j) reflect_columns<1>(step, next + j * ld, v + j);
    if (rest == 0) return;
    const vec<T> tau = make_reflection(v, 1, rest, floor);
    coupling[2 * k + 1] = v[0];
    v[0] = one;
    // From the right: row 0 is done with.
    for (std::ptrdiff_t i = 0; i < rest; ++i) y[i] = zero<T>();
    for (j = 0; j + 4 <= rest; j += 4) add_columns<4>(rest, next + 1 + j * ld, ld, v + j, y);
    for (; j < rest; ++j) add_columns<1>(rest, next + 1 + j * ld, ld, v + j, y);
    for (std::ptrdiff_t i = 0; i < rest; ++i) y[i] = y[i] * tau;
  }
}

// The singular values of a, descending, into value (2 n vectors). work: 5 n vectors. Returns the lanes that have none.
template <class T>
mask<T> bidiagonal_values(std::ptrdiff_t n, vec<T>* a, std::ptrdiff_t ld, vec<T>* value, vec<T>* work) {
  vec<T>*coupling = work, largest = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; ++j)
    for (std::ptrdiff_t i = 0; i < n; ++i) largest = max(abs(a[j * ld + i]), largest);
  bidiagonalize(n, a, ld, coupling, work + 2 * n, largest * broadcast<T>(relative_floor<T>));
  largest = zero<T>();
  for (std::ptrdiff_t i = 0; i < 2 * n - 1; ++i) largest = max(abs(coupling[i]), largest);
  coupling[2 * n - 1] = zero<T>();
  for (std::ptrdiff_t i = 0; i < 2 * n; ++i) value[i] = zero<T>();
  const Tridiagonal<T> t[1] = {{2 * n, value, coupling, nullptr, 0, nullptr, nullptr}};
  // What is far below the rounding of the reduction is none.
  const vec<T> floor[1] = {largest * broadcast<T>(unit_roundoff<T> / 4)};
  mask<T> unconverged[1] = {};
  diagonalize<false, 1>(t, floor, unconverged);
  sort<false>(2 * n, value, static_cast<vec<T>*>(nullptr), 0);
  for (std::ptrdiff_t j = 0; j < n; ++j)
    coupling[j] = (value[2 * n - 1 - j] - value[j]) * broadcast<T>(static_cast<T>(0.5));
  for (std::ptrdiff_t j = 0; j < n; ++j) value[j] = coupling[j];
  return unconverged[0];
}

}  // namespace mmlfast::MMLFAST_LEVEL
