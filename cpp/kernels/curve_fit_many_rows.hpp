// Sums over the rows of eight fits. For kernel files only.
#pragma once

#include "kernels/curve_fit_many.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::curve_fit_rows {

using Size = std::ptrdiff_t;
inline constexpr Size width = lanes<double>;
using Part = vec<double, 1>;

struct Rows {
  Size n, rows;
  const double* const* outputs;
  const Size* strides;
  const double *y, *weights;
};

MMLFAST_INLINE Part load_one(const double* from) { return {{load_part<double>(from)}}; }

// All sums in registers, one register of lanes after the other.
template <int N, bool Weighted>
void add_in_registers(const Rows& block, double* gram) {
  constexpr int n_sums = (N + 1) * (N + 2) / 2;
  MMLFAST_EACH_PART {
    const Size lane = p * native_lanes<double>;
    Part sum[n_sums];
    _Pragma("GCC unroll 32") for (int s = 0; s < n_sums; ++s) sum[s] = Part{};
    const double* output[N + 1];
    _Pragma("GCC unroll 8") for (int k = 0; k <= N; ++k) output[k] = block.outputs[k] + lane;
    for (Size i = 0; i < block.rows; ++i) {
      Part column[N + 1];
      _Pragma("GCC unroll 8") for (int k = 0; k < N; ++k) column[k] =
          load_one(output[k + 1] + i * block.strides[k + 1]);
      column[N] = load_one(output[0] + i * block.strides[0]) - load_one(block.y + i * width + lane);
      if constexpr (Weighted) {
        const Part weight = load_one(block.weights + i * width + lane);
        const mask<double, 1> counts = weight != Part{};
        _Pragma("GCC unroll 8") for (int k = 0; k <= N; ++k) column[k] = select(counts, column[k] * weight, Part{});
      }
      _Pragma("GCC unroll 8") for (int j = 0; j <= N; ++j) {
        _Pragma("GCC unroll 8") for (int k = 0; k <= j; ++k) sum[j * (j + 1) / 2 + k] =
            fma(column[j], column[k], sum[j * (j + 1) / 2 + k]);
      }
    }
    _Pragma("GCC unroll 32") for (int s = 0; s < n_sums; ++s) {
      double* to = gram + s * width + lane;
      store_part(to, load_part<double>(to) + sum[s].part[0]);
    }
  }
}

// Columns first and first + 1 by others: two by two sums in registers, for any number of columns.
template <int R, int C>
MMLFAST_INLINE void add_tile(const double* columns, Size rows, Size j, Size k, double* gram) {
  vec<double> sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = zero<double>();
  for (Size i = 0; i < rows; ++i) {
    vec<double> left[R], right[C];
    for (int r = 0; r < R; ++r) left[r] = load(columns + ((j + r) * rows + i) * width);
    for (int c = 0; c < C; ++c) right[c] = load(columns + ((k + c) * rows + i) * width);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) sum[r][c] = fma(left[r], right[c], sum[r][c]);
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C && k + c <= j + r; ++c) {
      double* to = gram + ((j + r) * (j + r + 1) / 2 + k + c) * width;
      store(to, load(to) + sum[r][c]);
    }
}

// work: (n + 1) rows vectors.
MMLFAST_NOINLINE inline void add_in_tiles(const Rows& block, double* gram, double* work) {
  for (Size k = 0; k <= block.n; ++k) {
    const Size from = k < block.n ? k + 1 : 0;
    for (Size i = 0; i < block.rows; ++i) {
      vec<double> x = load(block.outputs[from] + i * block.strides[from]);
      if (k == block.n) x = x - load(block.y + i * width);
      if (block.weights != nullptr) {
        const vec<double> weight = load(block.weights + i * width);
        x = select(weight != zero<double>(), x * weight, zero<double>());
      }
      store(work + (k * block.rows + i) * width, x);
    }
  }
  constexpr int tile = vec_parts == 1 ? 4 : 2;
  const Size n = block.n + 1;
  for (Size j = 0; j < n; j += tile)
    for (Size k = 0; k <= j; k += tile) {
      if (j + tile <= n) {
        add_tile<tile, tile>(work, block.rows, j, k, gram);
        continue;
      }
      for (Size r = j; r < n; ++r)
        for (Size c = k; c <= r && c < k + tile; ++c) add_tile<1, 1>(work, block.rows, r, c, gram);
    }
}

}  // namespace mmlfast::MMLFAST_LEVEL::curve_fit_rows
