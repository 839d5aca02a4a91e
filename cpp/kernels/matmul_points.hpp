// Many rows of 2, 3 or 4 numbers times one matrix of 2, 3 or 4 columns: rows in SIMD lanes, from memory to memory. Part
// of kernels/matmul.
#pragma once

#include "kernels/common/gapless_rows.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/matmul.hpp"

namespace mmlfast::MMLFAST_LEVEL::points {

template <int K, int N, class T>
std::ptrdiff_t multiply(const T* a, std::ptrdiff_t rows, const T* b, const Layout& l, T* c) {
  constexpr int width = native_lanes<T>;
  native<T> factor[K][N];
  for (int k = 0; k < K; ++k)
    for (int j = 0; j < N; ++j) factor[k][j] = b[k * l.row_stride + j * l.col_stride] - native<T>{};
  std::ptrdiff_t r = 0;
  for (; r + width <= rows; r += width) {
    native<T> x[K], sum[N] = {};
    gapless::load_columns<K, T>(a + r * K, x);
    _Pragma("GCC unroll 4") for (int k = 0; k < K; ++k) {
      _Pragma("GCC unroll 4") for (int j = 0; j < N; ++j) sum[j] = op::fma(x[k], factor[k][j], sum[j]);
    }
    gapless::store_rows<N, T>(c + r * N, sum);
  }
  return r;
}

// C = A B for the first rows, as many as fill registers; returns how many. None if there are few, if their numbers are
// others than these, or if they lie with gaps. Each number is one chain of fused multiply-adds, as in a tile.
template <class T>
std::ptrdiff_t first_rows(const T* a, const Layout& a_layout, const T* b, const Layout& b_layout, T* c,
                          const Layout& c_layout) {
  if (c_layout.rows < 4 * lanes<T> || !is_gapless(a_layout) || !is_gapless(c_layout)) return 0;
  return with_size<2, 4>(a_layout.cols, [&]<int K>(std::integral_constant<int, K>) {
    return with_size<2, 4>(c_layout.cols, [&]<int N>(std::integral_constant<int, N>) -> std::ptrdiff_t {
      if constexpr (K > 0 && N > 0) return multiply<K, N>(a, c_layout.rows, b, b_layout, c);
      return 0;
    });
  });
}

}  // namespace mmlfast::MMLFAST_LEVEL::points
