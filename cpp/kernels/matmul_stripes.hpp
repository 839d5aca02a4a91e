// Sums over rows of contiguous numbers in fixed stripes: lane l of a vector adds up every lanes<T>-th product, and the
// lanes are added by halves. Half the time of one chain in the order of k, which has to be transposed or go number by
// number. For use inside the kernel matmul.
#pragma once

#include "kernels/matmul.hpp"
#include "simd/narrow.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL::striped {

using std::ptrdiff_t;

// The first `count` numbers, zeros behind them.
template <class T>
MMLFAST_INLINE vec<T> first(const T* from, ptrdiff_t count) {
  const auto some = narrow<T, lanes<T>>::load_first(from, static_cast<int>(count));
  vec<T> x;
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) x.part[p] = some.part[p];
  return x;
}

// The parts of a vector, added by halves.
template <class T>
MMLFAST_INLINE native<T> one_part(vec<T> x) {
  _Pragma("GCC unroll 4") for (int half = vec_parts / 2; half > 0; half /= 2) {
    _Pragma("GCC unroll 4") for (int p = 0; p < half; ++p) x.part[p] = x.part[p] + x.part[p + half];
  }
  return x.part[0];
}

// The numbers of a register, added by halves.
template <class T, int Half, int... I>
MMLFAST_INLINE T fold(const native<T>& x, std::integer_sequence<int, I...> lane) {
  if constexpr (Half == 0)
    return x[0];
  else
    return fold<T, Half / 2>(x + __builtin_shufflevector(x, x, ((I + Half) % native_lanes<T>)...), lane);
}
template <class T>
MMLFAST_INLINE T total(const vec<T>& x) {
  return fold<T, native_lanes<T> / 2>(one_part(x), std::make_integer_sequence<int, native_lanes<T>>{});
}

// The totals of a register's worth of vectors, to y, y_step apart.
template <class T>
MMLFAST_INLINE void store_totals(const vec<T>* sum, T* y, ptrdiff_t y_step) {
  constexpr int w = native_lanes<T>;
  native<T> row[w];
  _Pragma("GCC unroll 16") for (int r = 0; r < w; ++r) row[r] = one_part(sum[r]);
  transpose_native<T>(row);
  _Pragma("GCC unroll 4") for (int half = w / 2; half > 0; half /= 2) {
    _Pragma("GCC unroll 16") for (int c = 0; c < half; ++c) row[c] = row[c] + row[c + half];
  }
  if (y_step == 1)
    *reinterpret_cast<typename native_of<T>::unaligned*>(y) = row[0];
  else
    for (int r = 0; r < w; ++r) y[r * y_step] = row[0][r];
}

// Rows sums of row r of a (rows a_row apart) times x. Rows is 1 or native_lanes<T>; both add in the same order.
template <int Rows, class T>
MMLFAST_INLINE void rows_times(ptrdiff_t k, const T* a, ptrdiff_t a_row, const T* x, T* y, ptrdiff_t y_row) {
  constexpr int w = native_lanes<T>;
  static_assert(Rows == 1 || Rows == w);
  vec<T> sum[Rows];
  for (int r = 0; r < Rows; ++r) sum[r] = zero<T>();
  ptrdiff_t i = 0;
  for (; i + lanes<T> <= k; i += lanes<T>) {
    const vec<T> factor = load(x + i);
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) sum[r] = fma(load(a + r * a_row + i), factor, sum[r]);
  }
  if (i < k) {
    const vec<T> factor = first(x + i, k - i);
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) sum[r] =
        fma(first(a + r * a_row + i, k - i), factor, sum[r]);
  }
  if constexpr (Rows == 1)
    *y = total(sum[0]);
  else
    store_totals(sum, y, y_row);
}

// Numbers of scratch for one row, or a few, of a matrix that is not in rows, and for a vector with gaps.
template <class T>
constexpr ptrdiff_t rows_at_once(ptrdiff_t k) {
  return k <= 4096 ? native_lanes<T> : 1;
}
template <class T>
ptrdiff_t scratch_elements(ptrdiff_t k) {
  return (rows_at_once<T>(k) + 1) * k;
}

template <class T>
void times_vector(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x,
                  const MatrixStack<T>& y, T* scratch) {
  const ptrdiff_t m = a.layout.rows, k = a.layout.cols, y_row = y.layout.row_stride;
  const bool in_rows = a.layout.col_stride == 1;
  const ptrdiff_t a_row = in_rows ? a.layout.row_stride : k;
  T *x_room = scratch, *a_room = scratch + k;
  for (ptrdiff_t item = 0; item < count; ++item) {
    const T *px = x.data + item * x.stride, *pa = a.data + item * a.stride;
    T* py = y.data + item * y.stride;
    if (x.layout.row_stride != 1) {
      for (ptrdiff_t j = 0; j < k; ++j) x_room[j] = px[j * x.layout.row_stride];
      px = x_room;
    }
    // The rows from r on, where they lie or copied.
    const auto rows_from = [&](ptrdiff_t r, ptrdiff_t rows) {
      const T* from = pa + r * a.layout.row_stride;
      if (in_rows) return from;
      for (ptrdiff_t j = 0; j < k; ++j)
        for (ptrdiff_t i = 0; i < rows; ++i)
          a_room[i * k + j] = from[i * a.layout.row_stride + j * a.layout.col_stride];
      return static_cast<const T*>(a_room);
    };
    constexpr int w = native_lanes<T>;
    ptrdiff_t r = 0;
    if (in_rows || rows_at_once<T>(k) == w)
      for (; r + w <= m; r += w) rows_times<w>(k, rows_from(r, w), a_row, px, py + r * y_row, y_row);
    for (; r < m; ++r) rows_times<1>(k, rows_from(r, 1), a_row, px, py + r * y_row, y_row);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::striped
