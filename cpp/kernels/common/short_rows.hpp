// Between short rows in memory, at most a vec<T> long, and long columns: in squares of native registers. Rows are of T,
// or of float where columns are of double. For use inside other kernels.
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/transpose.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::short_rows {

// A register that starts at the first element of a row of fewer reaches into this many rows behind it.
template <class T>
MMLFAST_INLINE std::ptrdiff_t reach(std::ptrdiff_t cols) {
  return (native_lanes<T> - 1) / cols;
}

// Rows that can go through registers: all but the last few where registers reach past the rows' ends, none if these do
// not lie without gaps.
template <class T>
MMLFAST_INLINE std::ptrdiff_t whole_squares(const Layout& l) {
  constexpr std::ptrdiff_t width = native_lanes<T>;
  if (l.col_stride != 1 || l.cols == 0 || (l.cols < width && l.row_stride != l.cols)) return 0;
  const std::ptrdiff_t rows = l.cols < width ? l.rows - reach<T>(l.cols) : l.rows;
  return rows < width ? 0 : rows / width * width;
}

// body(row, column) for the first of each square's rows and columns; the last columns' squares overlap those before
// them, a single one is cut off. Returns how many rows that is.
template <class T, class Body>
MMLFAST_INLINE std::ptrdiff_t for_each_square(const Layout& l, Body&& body) {
  constexpr std::ptrdiff_t width = native_lanes<T>;
  const std::ptrdiff_t rows = whole_squares<T>(l);
  for (std::ptrdiff_t i = 0; i < rows; i += width)
    for (std::ptrdiff_t j = 0; j < l.cols; j += width) body(i, j + width <= l.cols || j == 0 ? j : l.cols - width);
  return rows;
}

// to[k * ld + i] = element (i, k) for the first rows; returns how many.
template <class U, class T>
MMLFAST_INLINE std::ptrdiff_t gather(const U* a, const Layout& l, T* to, std::ptrdiff_t ld) {
  constexpr int width = native_lanes<T>;
  return for_each_square<T>(l, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    native<T> square[width];
    for (int r = 0; r < width; ++r) square[r] = load_part<T>(a + (i + r) * l.row_stride + j);
    transpose_native<T>(square);
    for (int c = 0; c < width && j + c < l.cols; ++c) store_part(to + (j + c) * ld + i, square[c]);
  });
}

// Element (i, k) = from[k * ld + i] for the first rows; returns how many. What a register leaves behind the end of its
// row, the next rows overwrite.
template <class U, class T>
MMLFAST_INLINE std::ptrdiff_t scatter(const T* from, std::ptrdiff_t ld, U* a, const Layout& l) {
  constexpr int width = native_lanes<T>;
  return for_each_square<T>(l, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    native<T> square[width];
    for (int c = 0; c < width; ++c) square[c] = load_part<T>(from + (j + c < l.cols ? j + c : l.cols - 1) * ld + i);
    transpose_native<T>(square);
    for (int r = 0; r < width; ++r) store_part(a + (i + r) * l.row_stride + j, square[r]);
  });
}

}  // namespace mmlfast::MMLFAST_LEVEL::short_rows
