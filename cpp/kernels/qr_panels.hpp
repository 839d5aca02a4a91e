// Panels of reflections for one large matrix: the part of kernels/qr that has its lanes along rows and columns.
#pragma once

#include "kernels/common/long_columns.hpp"
#include "kernels/common/product.hpp"
#include "kernels/qr.hpp"

namespace mmlfast::MMLFAST_LEVEL::qr_panels {

using std::ptrdiff_t;

// The transpose of the layout: rows are its columns.
MMLFAST_INLINE Layout flipped(const Layout& l) { return {l.cols, l.rows, l.col_stride, l.row_stride}; }

template <class T>
void copy_in(const T* a, const Layout& l, T* to, ptrdiff_t ld, T* largest) {
  constexpr int width = lanes<T>;
  long_columns::gather(a, flipped(l), to, ld);
  const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
  for (ptrdiff_t j = 0; j < l.cols; j += width) {
    vec<T> big = zero<T>();
    for (ptrdiff_t i = 0; i < l.rows; ++i) {
      const vec<T> x = abs(load(to + i * ld + j));
      big = max(select(x == x, x, infinity), big);
    }
    store_first(largest + j, big, static_cast<int>(l.cols - j < width ? l.cols - j : width));
  }
}

template <class T>
void copy_out(const T* from, ptrdiff_t ld, T* a, const Layout& l) {
  long_columns::scatter(from, ld, a, flipped(l));
}

// Column j of M = -T, and the zeros of row j. T's recurrence T(0:j, j) = -tau T V'v reads M(0:j, j) = -tau M V'v.
template <class T>
void next_of_m(const T* v, ptrdiff_t ld, ptrdiff_t padded, ptrdiff_t n, ptrdiff_t j, T tau, T* t) {
  T w[most_in_panel];
  long_columns::dots(v, ld, j, v + j * ld, padded, w);
  t[j * n + j] = -tau;
  for (ptrdiff_t i = 0; i < j; ++i) {
    T sum = 0;
    for (ptrdiff_t k = i; k < j; ++k) sum += t[i * n + k] * w[k];
    t[i * n + j] = -tau * sum;
    t[j * n + i] = 0;
  }
}

// Column after column: those before it act on it by V and M, then it becomes the next reflection.
template <class T>
void factor(T* v, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t n, T* r, T* t) {
  T w[most_in_panel];
  const ptrdiff_t padded = (rows + lanes<T> - 1) / lanes<T> * lanes<T>;
  for (ptrdiff_t j = 0; j < n; ++j) {
    T* c = v + j * ld;
    if (j > 0) {
      long_columns::dots(v, ld, j, c, padded, w);
      for (ptrdiff_t k = j - 1; k >= 0; --k) {
        T sum = 0;
        for (ptrdiff_t i = 0; i <= k; ++i) sum -= t[i * n + k] * w[i];
        w[k] = sum;
      }
      long_columns::subtract(v, ld, j, w, c, padded);
    }
    for (ptrdiff_t i = 0; i < j; ++i) {
      r[i * n + j] = c[i];
      r[j * n + i] = 0;
      c[i] = 0;
    }
    const T tau = long_columns::reflect(c, j, padded, r[j * n + j]);
    next_of_m(v, ld, padded, n, j, tau, t);
  }
}

template <class T>
void join(const T* v, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t n, const T* tau, T* t) {
  const ptrdiff_t padded = (rows + lanes<T> - 1) / lanes<T> * lanes<T>;
  for (ptrdiff_t j = 0; j < n; ++j) next_of_m(v, ld, padded, n, j, tau[j], t);
}

template <class T>
void apply(const T* v, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t n, const T* t, bool transposed, T* c, ptrdiff_t c_row,
           ptrdiff_t cols, ptrdiff_t first, T* work) {
  const ptrdiff_t row = cols + lanes<T>;
  T *w = work, *tw = work + n * row;
  product<T, true>(n, cols, rows - first, {v + first, ld, 1, c + first * c_row, c_row, w, row});
  product<T>(n, cols, n, {t, transposed ? 1 : n, transposed ? n : 1, w, row, tw, row});
  product<T>(rows, cols, n, {v, 1, ld, tw, row, c, c_row}, Start::c);
}

}  // namespace mmlfast::MMLFAST_LEVEL::qr_panels
