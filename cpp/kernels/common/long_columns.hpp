// The primitives of gram_schmidt.hpp's Columns<T>: long columns in blocks of rows, the SIMD lanes along the rows.
// For use inside other kernels.
#pragma once

#include <type_traits>

#include "kernels/common/fetch_ahead.hpp"
#include "kernels/common/layout.hpp"
#include "kernels/common/product.hpp"
#include "kernels/common/short_rows.hpp"
#include "simd/transpose.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::long_columns {

// The first lanes<T> elements of a row of U, and back. (One load; 16 floats are not needed as doubles.)
template <class T, class U>
MMLFAST_INLINE vec<T> row_part(const U* from) {
  if constexpr (std::is_same_v<U, T>)
    return load(from);
  else
    return load_as_double(from);
}
template <class U, class T>
MMLFAST_INLINE void put_row_part(U* to, const vec<T>& x) {
  if constexpr (std::is_same_v<U, T>)
    store(to, x);
  else
    store_from_double(to, x);
}

// The transpose of lanes<T> vectors, square of native registers by square.
template <class T>
MMLFAST_INLINE void transpose(const vec<T>* row, vec<T>* column) {
  constexpr int width = native_lanes<T>;
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
    _Pragma("GCC unroll 4") for (int q = 0; q < vec_parts; ++q) {
      native<T> square[width];
      _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) square[r] = row[p * width + r].part[q];
      transpose_native<T>(square);
      _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) column[q * width + r].part[p] = square[r];
    }
  }
}

// Rows of U in memory and columns of T: the same type, or floats in columns of double.
template <class U, class T>
inline constexpr bool by_squares = std::is_same_v<U, T> || (sizeof(U) == 4 && sizeof(T) == 8);

inline constexpr std::uintptr_t bytes_ahead = 16384;

template <class U, class T>
void gather(const U* a, const Layout& l, T* to, std::ptrdiff_t ld) {
  constexpr int width = lanes<T>;
  std::ptrdiff_t done = 0;  // rows
  if constexpr (by_squares<U, T>) {
    if (l.row_stride == 1) {
      const std::ptrdiff_t whole = l.rows / width * width;
      for (std::ptrdiff_t k = 0; k < l.cols; ++k)
        for (std::ptrdiff_t i = 0; i < whole; i += width) store(to + k * ld + i, row_part<T>(a + k * l.col_stride + i));
      done = whole;
    } else if (l.cols < width) {
      done = short_rows::gather(a, l, to, ld);
    } else if (l.col_stride == 1) {
      for (; done + width <= l.rows; done += width) {
        const U* from = a + done * l.row_stride;
        for (std::ptrdiff_t j = 0; j < l.cols; j += width) {
          // The last square overlaps the one before it instead of reading past the end.
          const std::ptrdiff_t first = j + width <= l.cols ? j : l.cols - width;
          vec<T> row[width], column[width];
          _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) {
            // What comes after this chunk, while this one is worked on. A prefetch of memory that is not there does
            // nothing.
            __builtin_prefetch(reinterpret_cast<const void*>(
                reinterpret_cast<std::uintptr_t>(from + r * l.row_stride + first) + bytes_ahead));
            row[r] = row_part<T>(from + r * l.row_stride + first);
          }
          transpose(row, column);
          _Pragma("GCC unroll 16") for (int c = 0; c < width; ++c) store(to + (first + c) * ld + done, column[c]);
        }
      }
    }
  }
  const std::ptrdiff_t end = (l.rows + width - 1) / width * width;
  for (std::ptrdiff_t i = done; i < end; ++i)
    for (std::ptrdiff_t k = 0; k < l.cols; ++k)
      to[k * ld + i] = i < l.rows ? static_cast<T>(a[i * l.row_stride + k * l.col_stride]) : T{0};
}

template <class U, class T>
void scatter(const T* from, std::ptrdiff_t ld, U* a, const Layout& l) {
  constexpr int width = lanes<T>;
  std::ptrdiff_t done = 0;
  if constexpr (by_squares<U, T>) {
    if (l.row_stride == 1) {
      const std::ptrdiff_t whole = l.rows / width * width;
      for (std::ptrdiff_t k = 0; k < l.cols; ++k)
        for (std::ptrdiff_t i = 0; i < whole; i += width)
          put_row_part(a + k * l.col_stride + i, load(from + k * ld + i));
      done = whole;
    } else if (l.cols < width) {
      done = short_rows::scatter(from, ld, a, l);
    } else if (l.col_stride == 1) {
      for (; done + width <= l.rows; done += width) {
        U* to = a + done * l.row_stride;
        for (std::ptrdiff_t j = 0; j < l.cols; j += width) {
          const std::ptrdiff_t first = j + width <= l.cols ? j : l.cols - width;
          vec<T> row[width], column[width];
          _Pragma("GCC unroll 16") for (int c = 0; c < width; ++c) column[c] = load(from + (first + c) * ld + done);
          transpose(column, row);
          _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) put_row_part(to + r * l.row_stride + first, row[r]);
        }
      }
    }
  }
  for (std::ptrdiff_t i = done; i < l.rows; ++i)
    for (std::ptrdiff_t k = 0; k < l.cols; ++k)
      a[i * l.row_stride + k * l.col_stride] = static_cast<U>(from[k * ld + i]);
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

// c[j] and what is below it, with zeros above, become beta and v (v[j] = 1). Returns tau.
template <class T>
T reflect(T* c, std::ptrdiff_t j, std::ptrdiff_t rows, T& beta) {
  constexpr T least = sizeof(T) == 8 ? static_cast<T>(0x1p-900) : static_cast<T>(0x1p-80);
  constexpr T up = sizeof(T) == 8 ? static_cast<T>(0x1p500) : static_cast<T>(0x1p60);
  T alpha = c[j], scaled = 1;
  c[j] = 0;
  T square = subtract<T>(c, 0, 0, nullptr, c, rows);
  if (square < least) {
    if (largest(c, rows) == 0) {
      beta = alpha;
      c[j] = 1;
      return 0;
    }
    // Squares that vanish beside alpha's are none too few; beside a small alpha they are taken again, larger.
    for (int k = 0; k < 2 && alpha * alpha + square < least; ++k) {
      scale(c, rows, up);
      alpha *= up;
      scaled *= up;
      square = subtract<T>(c, 0, 0, nullptr, c, rows);
    }
  }
  const T length = __builtin_sqrt(alpha * alpha + square), image = alpha < 0 ? length : -length;
  beta = image / scaled;
  scale(c, rows, 1 / (alpha - image));
  c[j] = 1;
  return (image - alpha) / image;
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

// ---- Gram matrices kept in lanes: the sums of each lane stay apart until reduce_gram() adds them up ----

template <class T>
MMLFAST_INLINE native<T> native_at(const T* from, int part) {
  return *reinterpret_cast<const typename native_of<T>::unaligned*>(from + part * native_lanes<T>);
}
template <class T>
MMLFAST_INLINE void put_native(T* to, int part, native<T> x) {
  *reinterpret_cast<typename native_of<T>::unaligned*>(to + part * native_lanes<T>) = x;
}

// A tile is K x C vectors of sums, which fit the registers one native part at a time: K columns that come from the
// second cache by C that stay in the first.
inline constexpr int gram_tile = 4;
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int gram_rows = 4;
#else
inline constexpr int gram_rows = 3;
#endif

template <int N>
using Constant = std::integral_constant<int, N>;

// tile(K, C, k, j) for the tiles that cover the lower triangle, diagonal included; sums lie in this order.
template <int C, class Tile>
MMLFAST_INLINE void tiles_of_columns(std::ptrdiff_t j, Tile&& tile) {
  std::ptrdiff_t k = 0;
  const std::ptrdiff_t end = j + C;
  for (; k + gram_rows <= end; k += gram_rows) tile(Constant<gram_rows>{}, Constant<C>{}, k, j);
  if (k + 2 <= end) tile(Constant<2>{}, Constant<C>{}, k, j), k += 2;
  if (k < end) tile(Constant<1>{}, Constant<C>{}, k, j);
}
template <class Tile>
MMLFAST_INLINE void each_tile(std::ptrdiff_t n, Tile&& tile) {
  std::ptrdiff_t j = 0;
  for (; j + gram_tile <= n; j += gram_tile) tiles_of_columns<gram_tile>(j, tile);
  if (n - j >= 2) tiles_of_columns<2>(j, tile), j += 2;
  if (j < n) tiles_of_columns<1>(j, tile);
}

template <int K, int C, class T>
MMLFAST_INLINE void add_tile(const T* x, const T* y, std::ptrdiff_t ld, std::ptrdiff_t rows, T* sums) {
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
    native<T> sum[C][K];
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] =
        native_at(sums + (c * K + q) * lanes<T>, p);
    for (std::ptrdiff_t i = 0; i < rows; i += lanes<T>) {
      native<T> left[K];
      _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) left[q] = native_at(x + q * ld + i, p);
      _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
        const native<T> right = native_at(y + c * ld + i, p);
        _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] = op::fma(left[q], right, sum[c][q]);
      }
    }
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q)
        put_native(sums + (c * K + q) * lanes<T>, p, sum[c][q]);
  }
}

template <class T>
std::ptrdiff_t gram_sums(std::ptrdiff_t n) {
  std::ptrdiff_t size = 0;
  each_tile(n, [&](auto k_size, auto c_size, std::ptrdiff_t, std::ptrdiff_t) { size += k_size() * c_size(); });
  return size * lanes<T>;
}

template <class T>
void add_gram_in_lanes(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, T* sums,
                       const void* next, std::ptrdiff_t ahead) {
  FetchAhead fetch(next, ahead, n * (n + gram_tile) / (2 * gram_rows * gram_tile) + 1);
  each_tile(n, [&](auto k_size, auto c_size, std::ptrdiff_t k, std::ptrdiff_t j) {
    fetch.to_read();
    add_tile<k_size(), c_size()>(columns + k * ld, columns + j * ld, ld, rows, sums);
    sums += k_size() * c_size() * lanes<T>;
  });
}

template <class T>
void reduce_gram(const T* sums, std::ptrdiff_t n, T* gram) {
  each_tile(n, [&](auto k_size, auto c_size, std::ptrdiff_t k, std::ptrdiff_t j) {
    for (int c = 0; c < c_size(); ++c)
      for (int q = 0; q < k_size(); ++q, sums += lanes<T>)
        if (k + q <= j + c) gram[(j + c) * n + k + q] = reduce_add(load(sums));
  });
}

// ---- columns R^-1 ----

// The columns before j are done: subtracts them from C columns at j, then solves with the C x C triangle. Two native
// registers of rows at a time.
template <int C, class T>
MMLFAST_INLINE void solve_columns(T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* r,
                                  const T* reciprocal, std::ptrdiff_t j) {
  for (std::ptrdiff_t i = 0; i < rows; i += 2 * native_lanes<T>) {
    native<T> x[C], y[C];
    _Pragma("GCC unroll 8") for (int c = 0; c < C; ++c) {
      x[c] = native_at(columns + (j + c) * ld + i, 0);
      y[c] = native_at(columns + (j + c) * ld + i, 1);
    }
    for (std::ptrdiff_t k = 0; k < j; ++k) {
      const native<T> p = native_at(columns + k * ld + i, 0), q = native_at(columns + k * ld + i, 1);
      _Pragma("GCC unroll 8") for (int c = 0; c < C; ++c) {
        const native<T> f = r[k * n + j + c] - native<T>{};
        x[c] = op::fnma(f, p, x[c]);
        y[c] = op::fnma(f, q, y[c]);
      }
    }
    _Pragma("GCC unroll 8") for (int c = 0; c < C; ++c) {
      _Pragma("GCC unroll 8") for (int k = 0; k < c; ++k) {
        const native<T> f = r[(j + k) * n + j + c] - native<T>{};
        x[c] = op::fnma(f, x[k], x[c]);
        y[c] = op::fnma(f, y[k], y[c]);
      }
      const native<T> f = reciprocal[j + c] - native<T>{};
      x[c] = x[c] * f;
      y[c] = y[c] * f;
      put_native(columns + (j + c) * ld + i, 0, x[c]);
      put_native(columns + (j + c) * ld + i, 1, y[c]);
    }
  }
}

template <class T>
void solve_upper(T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* r, const T* reciprocal,
                 const void* next, std::ptrdiff_t ahead) {
  std::ptrdiff_t j = 0;
#if defined(__AVX512F__) || defined(__aarch64__)
  constexpr std::ptrdiff_t width = 8;
#else
  constexpr std::ptrdiff_t width = 6;
#endif
  FetchAhead fetch(next, ahead, n / width + 1);
  const auto solve = [&](auto size) {
    fetch.to_read();
    solve_columns<size()>(columns, ld, n, rows, r, reciprocal, j);
    j += size();
  };
  while (j + width <= n) solve(Constant<width>{});
  if (j + 4 <= n) solve(Constant<4>{});
  if (j + 2 <= n) solve(Constant<2>{});
  if (j < n) solve(Constant<1>{});
}

template <class T>
void multiply(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* s, T* to) {
  product<T>(n, rows, n, {s, 1, n, columns, ld, to, ld});
}

}  // namespace mmlfast::MMLFAST_LEVEL::long_columns
