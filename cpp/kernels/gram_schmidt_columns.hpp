// The primitives of gram_schmidt.hpp's Columns<T>: long columns in blocks of rows, the SIMD lanes along the rows.
// For use inside other kernels.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/product.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::long_columns {

// Rows become lanes: the rows of the matrix are the items that pack() transposes.
template <class T>
struct RowGroup {
  const T* row[lanes<T>];
  RowGroup(const T* a, const Layout& l, std::ptrdiff_t first, std::ptrdiff_t count) {
    for (int i = 0; i < lanes<T>; ++i) row[i] = a + (first + (i < count ? i : count - 1)) * l.row_stride;
  }
};

// The columns of one group of rows, as vectors of U at `group`, go to columns of T (wider or equal).
template <class U, class T>
MMLFAST_INLINE void place(const vec<U>* group, std::ptrdiff_t cols, std::ptrdiff_t count, T* to, std::ptrdiff_t ld) {
  for (std::ptrdiff_t k = 0; k < cols; ++k) {
    alignas(vec_bytes) U x[lanes<U>];
    store(x, group[k]);
    if (count < lanes<U>)
      for (std::ptrdiff_t i = count; i < lanes<U>; ++i) x[i] = U{0};
    for (std::ptrdiff_t i = 0; i < lanes<U> && i < ((count + lanes<T> - 1) / lanes<T>)*lanes<T>; i += lanes<T>) {
      if constexpr (sizeof(U) == sizeof(T))
        store(to + k * ld + i, load(x + i));
      else
        store(to + k * ld + i, load_as_double(x + i));
    }
  }
}

inline constexpr std::ptrdiff_t columns_at_once = 64;

template <class U, class T>
void gather(const U* a, const Layout& l, T* to, std::ptrdiff_t ld) {
  if constexpr (sizeof(U) > sizeof(T)) {
    for (std::ptrdiff_t k = 0; k < l.cols; ++k)
      for (std::ptrdiff_t i = 0; i < (l.rows + lanes<T> - 1) / lanes<T> * lanes<T>; ++i)
        to[k * ld + i] = i < l.rows ? static_cast<T>(a[i * l.row_stride + k * l.col_stride]) : T{0};
  } else {
    vec<U> group[columns_at_once];
    for (std::ptrdiff_t j = 0; j < l.cols; j += columns_at_once) {
      const std::ptrdiff_t cols = l.cols - j < columns_at_once ? l.cols - j : columns_at_once;
      for (std::ptrdiff_t i = 0; i < l.rows; i += lanes<U>) {
        const std::ptrdiff_t count = l.rows - i < lanes<U> ? l.rows - i : lanes<U>;
        const RowGroup<U> rows(a + j * l.col_stride, l, i, count);
        if (l.row_stride == 1 && count == lanes<U>) {
          for (std::ptrdiff_t k = 0; k < cols; ++k) group[k] = load(rows.row[0] + k * l.col_stride);
        } else {
          pack(rows.row, Layout{1, cols, 0, l.col_stride}, group, 1, 1);
        }
        place(group, cols, count, to + j * ld + i, ld);
      }
    }
  }
}

template <class U, class T>
void scatter(const T* from, std::ptrdiff_t ld, U* a, const Layout& l) {
  constexpr int width = lanes<T>;
  if constexpr (sizeof(U) == sizeof(T)) {
    vec<T> group[columns_at_once];
    for (std::ptrdiff_t j = 0; j < l.cols; j += columns_at_once) {
      const std::ptrdiff_t cols = l.cols - j < columns_at_once ? l.cols - j : columns_at_once;
      std::ptrdiff_t i = 0;
      for (; i + width <= l.rows; i += width) {
        T* row[width];
        for (int r = 0; r < width; ++r) row[r] = a + (i + r) * l.row_stride + j * l.col_stride;
        for (std::ptrdiff_t k = 0; k < cols; ++k) group[k] = load(from + (j + k) * ld + i);
        unpack(row, Layout{1, cols, 0, l.col_stride}, group, 1, 1);
      }
      for (; i < l.rows; ++i)
        for (std::ptrdiff_t k = j; k < j + cols; ++k) a[i * l.row_stride + k * l.col_stride] = from[k * ld + i];
    }
  } else {
    for (std::ptrdiff_t i = 0; i < l.rows; ++i)
      for (std::ptrdiff_t k = 0; k < l.cols; ++k)
        a[i * l.row_stride + k * l.col_stride] = static_cast<U>(from[k * ld + i]);
  }
}

// dot[c * K + q] = column q . vector c, for K columns and C vectors: a tile of sums in registers.
template <int K, int C, class T>
MMLFAST_INLINE void dot_tile(const T* columns, std::ptrdiff_t ld, const T* v, std::ptrdiff_t v_ld, std::ptrdiff_t rows,
                             T* dot) {
  vec<T> sum[C][K];
  _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] =
      zero<T>();
  for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) {
    vec<T> x[K];
    _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) x[q] = load(columns + q * ld + i);
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
      const vec<T> y = load(v + c * v_ld + i);
      _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] = fma(x[q], y, sum[c][q]);
    }
  }
  for (int c = 0; c < C; ++c)
    for (int q = 0; q < K; ++q) dot[c * K + q] = reduce_add(sum[c][q]);
}

template <class T>
void dots(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, const T* v, std::ptrdiff_t rows, T* dot) {
  std::ptrdiff_t k = 0;
  for (; k + 4 <= n; k += 4) dot_tile<4, 1>(columns + k * ld, ld, v, 0, rows, dot + k);
  for (; k < n; ++k) dot_tile<1, 1>(columns + k * ld, ld, v, 0, rows, dot + k);
}

template <int K, class T>
MMLFAST_INLINE vec<T> subtract_some(const T* columns, std::ptrdiff_t ld, const T* coefficient, T* v,
                                    std::ptrdiff_t rows) {
  vec<T> c[K], square = zero<T>();
  _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) c[q] = broadcast<T>(coefficient[q]);
  for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) {
    vec<T> x = load(v + i);
    _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) x = fnma(c[q], load(columns + q * ld + i), x);
    store(v + i, x);
    square = fma(x, x, square);
  }
  return square;
}

template <class T>
T subtract(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, const T* coefficient, T* v, std::ptrdiff_t rows) {
  vec<T> square = zero<T>();
  if (n == 0) {
    for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) {
      const vec<T> x = load(v + i);
      square = fma(x, x, square);
    }
  }
  std::ptrdiff_t k = 0;
  for (; k + 4 <= n; k += 4) square = subtract_some<4>(columns + k * ld, ld, coefficient + k, v, rows);
  for (; k < n; ++k) square = subtract_some<1>(columns + k * ld, ld, coefficient + k, v, rows);
  return reduce_add(square);
}

template <class T>
void scale(T* v, std::ptrdiff_t rows, T factor) {
  for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) store(v + i, load(v + i) * broadcast<T>(factor));
}

template <class T>
T largest(const T* v, std::ptrdiff_t rows) {
  vec<T> big = zero<T>();
  const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
  for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) {
    const vec<T> x = abs(load(v + i));
    big = max(select(x == x, x, infinity), big);
  }
  alignas(vec_bytes) T x[lanes<T>];
  store(x, big);
  T r = x[0];
  for (int i = 1; i < lanes<T>; ++i) r = x[i] > r ? x[i] : r;
  return r;
}

template <int C, class T>
MMLFAST_INLINE void gram_columns(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows,
                                 std::ptrdiff_t j, T* gram) {
  T tile[C * 4];
  std::ptrdiff_t k = 0;
  const std::ptrdiff_t end = j + C;  // the diagonal block is computed whole; what is above the diagonal is not used
  for (; k + 4 <= end; k += 4) {
    dot_tile<4, C>(columns + k * ld, ld, columns + j * ld, ld, rows, tile);
    for (int c = 0; c < C; ++c)
      for (int q = 0; q < 4; ++q) gram[(j + c) * n + k + q] += tile[c * 4 + q];
  }
  for (; k < end; ++k) {
    dot_tile<1, C>(columns + k * ld, ld, columns + j * ld, ld, rows, tile);
    for (int c = 0; c < C; ++c) gram[(j + c) * n + k] += tile[c];
  }
}

template <class T>
void add_gram(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, T* gram) {
  std::ptrdiff_t j = 0;
  for (; j + 4 <= n; j += 4) gram_columns<4>(columns, ld, n, rows, j, gram);
  if (n - j >= 2) gram_columns<2>(columns, ld, n, rows, j, gram), j += 2;
  if (j < n) gram_columns<1>(columns, ld, n, rows, j, gram);
}

// The columns before j are done: subtracts them from C columns at j, then solves with the C x C triangle.
template <int C, class T>
MMLFAST_INLINE void solve_columns(T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* r,
                                  const T* reciprocal, std::ptrdiff_t j) {
  for (std::ptrdiff_t i = 0; i < rows; i += 2 * lanes<T>) {
    const bool both = i + lanes<T> < rows;
    vec<T> x[C], y[C];
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
      x[c] = load(columns + (j + c) * ld + i);
      y[c] = both ? load(columns + (j + c) * ld + i + lanes<T>) : zero<T>();
    }
    for (std::ptrdiff_t k = 0; k < j; ++k) {
      const vec<T> p = load(columns + k * ld + i), q = both ? load(columns + k * ld + i + lanes<T>) : zero<T>();
      _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
        const vec<T> f = broadcast<T>(r[k * n + j + c]);
        x[c] = fnma(f, p, x[c]);
        y[c] = fnma(f, q, y[c]);
      }
    }
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
      _Pragma("GCC unroll 4") for (int k = 0; k < c; ++k) {
        const vec<T> f = broadcast<T>(r[(j + k) * n + j + c]);
        x[c] = fnma(f, x[k], x[c]);
        y[c] = fnma(f, y[k], y[c]);
      }
      const vec<T> f = broadcast<T>(reciprocal[j + c]);
      x[c] = x[c] * f;
      y[c] = y[c] * f;
      store(columns + (j + c) * ld + i, x[c]);
      if (both) store(columns + (j + c) * ld + i + lanes<T>, y[c]);
    }
  }
}

template <class T>
void solve_upper(T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* r,
                 const T* reciprocal) {
  std::ptrdiff_t j = 0;
  for (; j + 4 <= n; j += 4) solve_columns<4>(columns, ld, n, rows, r, reciprocal, j);
  for (; j < n; ++j) solve_columns<1>(columns, ld, n, rows, r, reciprocal, j);
}

template <class T>
void multiply(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* s, T* to) {
  product<T>(n, rows, n, {s, 1, n, columns, ld, to, ld});
}

}  // namespace mmlfast::MMLFAST_LEVEL::long_columns
