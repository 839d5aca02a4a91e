// The reduction of symmetric matrices in lanes to tridiagonal form by reflections, for eigh.
//
// The matrix of a group is a[i * ld + j], element (i, j) of every lane; only i >= j is used.
#pragma once

#include "kernels/common/tridiagonal.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Rows i .. i + Rows - 1 of the product of a symmetric matrix (lower triangle, m x m) with v, and what they add to the
// rows above them.
template <int Rows, class T>
MMLFAST_INLINE void multiply_rows(const vec<T>* row, std::ptrdiff_t ld, std::ptrdiff_t i, const vec<T>* v, vec<T>* w) {
  vec<T> sum[Rows], factor[Rows];
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    sum[r] = zero<T>();
    factor[r] = v[i + r];
  }
  for (std::ptrdiff_t j = 0; j < i; ++j) {
    vec<T> above = w[j];
    const vec<T> vj = v[j];
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      const vec<T> x = row[r * ld + j];
      sum[r] = fma(x, vj, sum[r]);
      above = fma(x, factor[r], above);
    }
    w[j] = above;
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    _Pragma("GCC unroll 4") for (int c = 0; c < Rows; ++c) {
      const vec<T> x = r < c ? row[c * ld + i + r] : row[r * ld + i + c];
      sum[r] = fma(x, factor[c], sum[r]);
    }
    w[i + r] = sum[r];
  }
}

template <class T>
MMLFAST_INLINE void multiply(const vec<T>* a, std::ptrdiff_t ld, std::ptrdiff_t m, const vec<T>* v, vec<T>* w) {
  std::ptrdiff_t i = 0;
  for (; i + 4 <= m; i += 4) multiply_rows<4>(a + i * ld, ld, i, v, w);
  for (; i < m; ++i) multiply_rows<1>(a + i * ld, ld, i, v, w);
}

// Rows i .. i + Rows - 1 of the lower triangle of A - v w' - w v'. A few elements right of the diagonal are changed
// too.
template <int Rows, class T>
MMLFAST_INLINE void subtract_products(vec<T>* row, std::ptrdiff_t ld, std::ptrdiff_t i, const vec<T>* v,
                                      const vec<T>* w) {
  vec<T> vi[Rows], wi[Rows];
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    vi[r] = v[i + r];
    wi[r] = w[i + r];
  }
  for (std::ptrdiff_t j = 0; j < i + Rows; ++j) {
    const vec<T> vj = v[j], wj = w[j];
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      vec<T>& x = row[r * ld + j];
      x = fnma(wi[r], vj, fnma(vi[r], wj, x));
    }
  }
}

// Reduces a (lower triangle) to tridiagonal form. The reflections' vectors stay in the columns of a, below the
// subdiagonal; e has room for the products. w: n vectors of scratch.
template <class T>
MMLFAST_NOINLINE void tridiagonalize(std::ptrdiff_t n, vec<T>* a, std::ptrdiff_t ld, vec<T>* d, vec<T>* e, vec<T>* tau,
                                     vec<T>* w, const vec<T>& floor) {
  for (std::ptrdiff_t k = 0; k < n - 2; ++k) {
    const std::ptrdiff_t m = n - k - 1;
    vec<T>*column = a + (k + 1) * ld + k, *rest = a + (k + 1) * ld + (k + 1);
    const vec<T> factor = make_reflection(column, ld, m, floor);
    d[k] = a[k * ld + k];
    e[k] = column[0];
    tau[k] = factor;
    vec<T>* v = e + k + 1;  // not yet in use, m elements
    v[0] = broadcast<T>(1);
    for (std::ptrdiff_t i = 1; i < m; ++i) v[i] = column[i * ld];
    // w = tau A v - (tau / 2) (tau v' A v) v
    multiply(rest, ld, m, v, w);
    vec<T> dot = zero<T>();
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      w[i] = factor * w[i];
      dot = fma(w[i], v[i], dot);
    }
    dot = dot * factor * broadcast<T>(static_cast<T>(0.5));
    for (std::ptrdiff_t i = 0; i < m; ++i) w[i] = fnma(dot, v[i], w[i]);
    std::ptrdiff_t i = 0;
    for (; i + 4 <= m; i += 4) subtract_products<4>(rest + i * ld, ld, i, v, w);
    for (; i < m; ++i) subtract_products<1>(rest + i * ld, ld, i, v, w);
  }
  if (n > 1) {
    d[n - 2] = a[(n - 2) * ld + n - 2];
    e[n - 2] = a[(n - 1) * ld + n - 2];
  }
  d[n - 1] = a[(n - 1) * ld + n - 1];
  e[n - 1] = zero<T>();
}

// x := (1 - tau v v') x for Count vectors of m elements.
template <int Count, class T>
MMLFAST_INLINE void reflect(vec<T>* x, std::ptrdiff_t ld, std::ptrdiff_t m, const vec<T>* v, const vec<T>& tau) {
  vec<T> dot[Count];
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = zero<T>();
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    const vec<T> vi = v[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = fma(vi, x[r * ld + i], dot[r]);
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = dot[r] * tau;
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    const vec<T> vi = v[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) x[r * ld + i] = fnma(dot[r], vi, x[r * ld + i]);
  }
}

// q := the product of the reflections.
template <class T>
MMLFAST_NOINLINE void form_vectors(std::ptrdiff_t n, const vec<T>* a, std::ptrdiff_t ld, const vec<T>* tau, vec<T>* q,
                                   vec<T>* v) {
  for (std::ptrdiff_t k = 0; k < n; ++k)
    for (std::ptrdiff_t i = 0; i < n; ++i) q[k * ld + i] = broadcast<T>(static_cast<T>(i == k));
  for (std::ptrdiff_t k = n - 3; k >= 0; --k) {
    const std::ptrdiff_t m = n - k - 1;
    v[0] = broadcast<T>(1);
    for (std::ptrdiff_t i = 1; i < m; ++i) v[i] = a[(k + 1 + i) * ld + k];
    std::ptrdiff_t j = 0;
    for (; j + 4 <= m; j += 4) reflect<4>(q + (k + 1 + j) * ld + k + 1, ld, m, v, tau[k]);
    for (; j < m; ++j) reflect<1>(q + (k + 1 + j) * ld + k + 1, ld, m, v, tau[k]);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
