// Householder's reflections in lanes, as the SVD needs them: the triangle of a tall matrix, products with the
// orthogonal factor, and the completion of a basis. Columns are contiguous, one after another. Norms are squared
// without care: the numbers have been brought to a middle size before, and columns whose squares are next to vanishing
// count as zero.
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithms 5.1.1, 5.2.1 and section 5.1.6.
#pragma once

#include "kernels/svd_jacobi.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// x := x - tau v (v' x), where v has a one before its `count` entries and x its first entry in `head`.
template <class T>
MMLFAST_INLINE void reflect(const vec<T>* v, const vec<T>& tau, std::ptrdiff_t count, vec<T>& head, vec<T>* x) {
  const vec<T> w = tau * (head + inner_product(v, static_cast<const vec<T>*>(x), count));
  head = head - w;
  for (std::ptrdiff_t i = 0; i < count; ++i) x[i] = fnma(w, v[i], x[i]);
}

// a = Q R in place: R on and above the diagonal, the reflections below it and in tau. rows >= cols.
template <class T>
void triangularize(vec<T>* a, std::ptrdiff_t rows, std::ptrdiff_t cols, vec<T>* tau) {
  const vec<T> one = broadcast<T>(1);
  // Squares smaller than this have lost digits to underflow, and no reflection comes from them. The numbers themselves
  // are below u times the largest ones, which are of a middle size.
  const vec<T> smallest = broadcast<T>(sizeof(T) == 8 ? T(0x1p-960) : T(0x1p-100));
  for (std::ptrdiff_t j = 0; j < cols; ++j) {
    vec<T>*below = a + j * rows + j + 1, &head = below[-1];
    const std::ptrdiff_t count = rows - j - 1;
    const vec<T> rest = inner_product(below, below, count);
    const mask<T> idle = rest < smallest;
    const vec<T> diagonal = -copysign(sqrt(fma(head, head, rest)), head);
    const vec<T> reciprocal = select(idle, zero<T>(), one / (head - diagonal));
    tau[j] = select(idle, zero<T>(), (diagonal - head) / diagonal);
    head = select(idle, head, diagonal);
    for (std::ptrdiff_t i = 0; i < count; ++i) below[i] = below[i] * reciprocal;
    for (std::ptrdiff_t c = j + 1; c < cols; ++c) {
      vec<T>* x = a + c * rows + j;
      reflect(below, tau[j], count, x[0], x + 1);
    }
  }
}

// x := Q x for the `count` columns of x, of as many rows as the reflections.
template <class T>
void apply_reflections(const vec<T>* a, std::ptrdiff_t rows, std::ptrdiff_t cols, const vec<T>* tau, vec<T>* x,
                       std::ptrdiff_t count) {
  for (std::ptrdiff_t j = cols - 1; j >= 0; --j) {
    const vec<T>* below = a + j * rows + j + 1;
    for (std::ptrdiff_t c = 0; c < count; ++c) {
      vec<T>* y = x + c * rows + j;
      reflect(below, tau[j], rows - j - 1, y[0], y + 1);
    }
  }
}

template <class T>
void set_identity(vec<T>* x, std::ptrdiff_t rows, std::ptrdiff_t cols) {
  for (std::ptrdiff_t j = 0; j < cols; ++j)
    for (std::ptrdiff_t i = 0; i < rows; ++i) x[j * rows + i] = broadcast<T>(static_cast<T>(i == j));
}

// Replaces the columns of u (n x n, orthonormal or zero, the zero ones last) where norm is zero by columns that
// complete the others. work: 2 n^2 + n vectors.
template <class T>
void complete_basis(vec<T>* u, std::ptrdiff_t n, const vec<T>* norm, vec<T>* work) {
  bool missing = false;
  for (std::ptrdiff_t j = 0; j < n; ++j) missing = missing || any(norm[j] == zero<T>());
  if (!missing) return;
  vec<T>*q = work + n * n, *tau = q + n * n;
  for (std::ptrdiff_t e = 0; e < n * n; ++e) work[e] = u[e];
  triangularize(work, n, n, tau);
  set_identity(q, n, n);
  apply_reflections(work, n, n, tau, q, n);
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const mask<T> replaced = norm[j] == zero<T>();
    for (std::ptrdiff_t i = 0; i < n; ++i) u[j * n + i] = select(replaced, q[j * n + i], u[j * n + i]);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
