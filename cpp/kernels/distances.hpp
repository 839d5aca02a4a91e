// Distances of every row of one table to every row of another, by differences.
//
//   pack: up to lanes rows of y as a panel, component by component
//     y        IN       count x d, any strides
//     panel    OUT      d x panel_rows<T>; places without a row hold zeros
//   tile: all distances between some rows of x and those of panels
//     x        IN       rows x d, rows contiguous, x_row elements from row to row
//     panels   IN       as packed, one after the other, of `count` rows in all
//     out      OUT      rows x count, any strides: the distances or, with `squared`, their squares
//
// Flops: 3 d per pair, and a square root, which is taken while the next sums are made. Bytes: 128 components of a panel
// stay in L1 for 48 rows of x, and those in L2 for all panels, if there are not too many. On processors that subtract
// and multiply-add in different units, this is as fast as a matrix product of the same size, without its cancellation;
// where both share two ports (Intel's, with AVX-512), it takes twice as long. Accumulation in T: blocks of 64
// components, each one chain of fused multiply-adds, added one after another. Accuracy: relative error at most (d / 128
// + 34) u for every pair, near or far from the origin, typically sqrt(d) u / 2; a distance whose square is out of range
// is computed again in scaled float64, and so is such a square. Rows that are equal are at distance 0, and the
// distances of x to y are those of y to x to the bit. NaN and infinity propagate within their pair.
//
// Source: direct evaluation; N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.
//
//     out = numpy.sqrt(((x[:, None] - y) ** 2).sum(axis=-1))
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
inline constexpr std::ptrdiff_t panel_rows = 64 / static_cast<std::ptrdiff_t>(sizeof(T));

template <class T>
struct Distances {
  void (*pack)(const T* y, std::ptrdiff_t row_stride, std::ptrdiff_t col_stride, std::ptrdiff_t count, std::ptrdiff_t d,
               T* panel);
  void (*tile)(const T* x, std::ptrdiff_t x_row, std::ptrdiff_t rows, const T* panels, std::ptrdiff_t count,
               std::ptrdiff_t d, bool squared, T* out, const Layout& out_layout);
};

MMLFAST_KERNEL_TABLES(Distances, distances)

}  // namespace mmlfast
