// Between short rows in memory, at most a vec<T> long, and long columns: in squares of native registers. For use inside
// other kernels.
#pragma once

#include "kernels/layout.hpp"
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

// body(first) for groups of native_lanes<T> columns: the last group overlaps the one before it, a single one is cut
// off.
template <class T, class Body>
MMLFAST_INLINE void for_each_group(std::ptrdiff_t cols, Body&& body) {
  constexpr std::ptrdiff_t width = native_lanes<T>;
  for (std::ptrdiff_t j = 0; j < cols; j += width) body(j + width <= cols || j == 0 ? j : cols - width);
}

// to[k * ld + i] = element (i, k) for the first rows; returns how many.
template <class T>
MMLFAST_INLINE std::ptrdiff_t gather(const T* a, const Layout& l, T* to, std::ptrdiff_t ld) {
  constexpr int width = native_lanes<T>;
  using Unaligned = typename native_of<T>::unaligned;
  const std::ptrdiff_t rows = whole_squares<T>(l);
  for (std::ptrdiff_t done = 0; done < rows; done += width)
    for_each_group<T>(l.cols, [&](std::ptrdiff_t first) {
      native<T> square[width];
      _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) square[r] =
          *reinterpret_cast<const Unaligned*>(a + (done + r) * l.row_stride + first);
      transpose_native<T>(square);
      _Pragma("GCC unroll 16") for (int c = 0; c < width; ++c) if (first + c < l.cols) *
          reinterpret_cast<Unaligned*>(to + (first + c) * ld + done) = square[c];
    });
  return rows;
}

// Element (i, k) = from[k * ld + i] for the first rows; returns how many. What a register leaves behind the end of its
// row, the next rows overwrite.
template <class T>
MMLFAST_INLINE std::ptrdiff_t scatter(const T* from, std::ptrdiff_t ld, T* a, const Layout& l) {
  constexpr int width = native_lanes<T>;
  using Unaligned = typename native_of<T>::unaligned;
  const std::ptrdiff_t rows = whole_squares<T>(l);
  for (std::ptrdiff_t done = 0; done < rows; done += width)
    for_each_group<T>(l.cols, [&](std::ptrdiff_t first) {
      native<T> square[width];
      _Pragma("GCC unroll 16") for (int c = 0; c < width; ++c) {
        const std::ptrdiff_t column = first + c < l.cols ? first + c : l.cols - 1;
        square[c] = *reinterpret_cast<const Unaligned*>(from + column * ld + done);
      }
      transpose_native<T>(square);
      _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) *
          reinterpret_cast<Unaligned*>(a + (done + r) * l.row_stride + first) = square[r];
    });
  return rows;
}

}  // namespace mmlfast::MMLFAST_LEVEL::short_rows
