// How a matrix lies in memory, and the limits that kernels and drivers share. Plain data, the same
// at every SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mmlfast {

// Element (i, j) is at data[i * row_stride + j * col_stride]; strides count elements and may be
// negative or zero.
struct Layout {
  std::ptrdiff_t rows, cols, row_stride, col_stride;
};

// Whether the rows lie one after the other in memory, and their elements too.
constexpr bool is_gapless(const Layout& l) noexcept { return l.col_stride == 1 && l.row_stride == l.cols; }

// The items of a batch that one call of a lane kernel works on: 8 of float64, 16 of float32.
template <class T>
inline constexpr int items_per_group = 64 / static_cast<int>(sizeof(T));

// One flag per item: bit i belongs to lane i.
using LaneBits = std::uint32_t;

}  // namespace mmlfast
