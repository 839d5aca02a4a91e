// LU and Cholesky factors of one matrix that does not fit the lanes, and solutions by them: what is done to a panel of
// columns, and by it to other columns.
//
// Matrices are column-major, `ld` numbers from column to column. After the last row of the matrix there are at least as
// many numbers as a vector has lanes, zero to begin with: vectors go over the end, and zeros stay zeros (or become NaN,
// which is no pivot). So do columns after the last one, up to a whole number of lanes.
//
// lu: factors of a panel with partial pivoting, in place
//   panel    IN, OUT  rows x width, width a multiple of lanes
//   divides           whether a pivot of an earlier panel had no reciprocal that is a normal number: from there on all
//                     numbers are divided by pivots, else multiplied
//   returns the same for the next panel
//   pivot    OUT      `pivots` numbers: row k was exchanged with row pivot[k], counted from the panel's first
//   pivots            at most min(rows, width): columns from there on have none. They lie after the last column of the
//                     matrix, where NaN would exchange rows, or to the right of its last row
// cholesky: the lower factor of a panel, in place; its upper triangle is written over without meaning
//   panel    IN, OUT  rows x width
//   returns false at a pivot that is not positive
// solve_lower: x := l^-1 x with the unit lower triangle of order n at l; solve_upper: x := u^-1 x
//   x        IN, OUT  n x cols
// update: c := c - l r
//   l        IN       rows x depth, in steps of ld
//   r        IN       depth x cols, element (k, j) at r[k r_row + j r_col]
//   c        IN, OUT  rows x cols, in steps of c_ld; rows that do not fill a register are followed by ones that do not
//                     matter
// log_of_product: the logarithm of |mantissa| 2^exponent
// transpose: to[j to_ld + i] = from[i from_ld + j] for i < rows, j < cols, nothing else
//
// Every element is one chain of fused multiply-adds in the order of the eliminations, so the bits are those of
// lanes (elimination.hpp) and depend neither on the width of panels and tiles, nor on the SIMD level or the threads.
// Accumulation in T. Errors as LAPACK's: at most n u |L| |U| elementwise. A pivot of zero divides nothing; NaN is no
// pivot where there is a number.
//
// Flops: rows width^2 for a panel, 2 rows cols depth for an update, in tiles of 8 x 3 (AVX2: 4 x 3) registers that are
// loaded and stored once; of fewer columns than a tile has, every 4 or 8 steps.
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithm 3.4.1 and section 3.2.11 (block outer products);
// Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008), section 4.
//
//     p, l, u = scipy.linalg.lu(a); numpy.linalg.cholesky(a); numpy.linalg.solve(a, b)
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct EliminationBlocks {
  bool (*lu)(T* panel, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t width, std::int32_t* pivot,
             std::ptrdiff_t pivots, bool divides);
  bool (*cholesky)(T* panel, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t width);
  void (*solve_lower)(const T* l, std::ptrdiff_t ld, std::ptrdiff_t n, T* x, std::ptrdiff_t x_ld, std::ptrdiff_t cols);
  void (*solve_upper)(const T* u, std::ptrdiff_t ld, bool divides, std::ptrdiff_t n, T* x, std::ptrdiff_t x_ld,
                      std::ptrdiff_t cols);
  void (*update)(const T* l, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t depth, const T* r,
                 std::ptrdiff_t r_row, std::ptrdiff_t r_col, T* c, std::ptrdiff_t c_ld, std::ptrdiff_t cols);
  T (*log_of_product)(T mantissa, T exponent);
  void (*transpose)(const T* from, std::ptrdiff_t from_ld, T* to, std::ptrdiff_t to_ld, std::ptrdiff_t rows,
                    std::ptrdiff_t cols);
};

MMLFAST_KERNEL_TABLES(EliminationBlocks, elimination_blocks)

}  // namespace mmlfast
