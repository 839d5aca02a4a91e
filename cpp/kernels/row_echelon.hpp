// Row echelon form of one matrix by Gaussian elimination with row-scaled partial pivoting; what is too small to be told
// from rounding is taken for zero.
//
// The size of a row is what its backward error is measured by: its largest entry to begin with, and in each step the
// multiplier times the largest entry of the pivot row on top. The pivot of a column is the entry of largest ratio to
// the size of its row; a column in which no ratio is above tol has no pivot, and becomes zero below the pivots.
//
//   a         IN, OUT  m rows of ld entries, 64-byte aligned, ld a multiple of 64 bytes, columns n .. ld - 1 zero; best
//                      with rows of largest entry in [1/2, 1), so that nothing overflows
//   size      IN, OUT  m: the largest entry of each row (1 for a row of zeros)
//   row       IN, OUT  m numbers that move with the rows
//   is_pivot  OUT      n: whether the column has a pivot
//   scratch   SCRATCH  m x widest_window numbers
//   gap       OUT      the smallest ratio that was accepted over the largest that was not; infinite if that is 0
// returns the rank. Pivots are not scaled; `reduce` afterwards makes each of them 1, alone in its column.
//
// Flops: 2 m n rank - (m + n) rank^2 + 2/3 rank^3, `reduce` up to 2 rank^2 n; bytes: a is read and written
// once for each window of columns, in which it is done column by column. Accumulation is in T with fused multiply-add.
// Accuracy: the form is exact for a matrix whose rows differ from those of a by at most (rank u + tol) times their
// size. No failure: NaN is never a pivot.
//
// Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 9.3 and section 9.7 (row scaling).
//
//     p, l, u = scipy.linalg.lu(a)     (u is an echelon form if a has full rank); rank = numpy.linalg.matrix_rank(a)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

inline constexpr std::ptrdiff_t widest_window = 32;

template <class T>
struct RowEchelon {
  std::ptrdiff_t (*eliminate)(T* a, std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t ld, T tol, T* size,
                              std::int32_t* row, bool* is_pivot, double* gap, T* scratch);
  void (*reduce)(T* a, std::ptrdiff_t n, std::ptrdiff_t ld, std::ptrdiff_t rank, const bool* is_pivot, T* scratch);
};

MMLFAST_KERNEL_TABLES(RowEchelon, row_echelon)

}  // namespace mmlfast
