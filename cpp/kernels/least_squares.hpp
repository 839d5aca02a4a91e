// What a search for the least sum of squares does with all residuals at once: lengths, a pivoted QR, and Q' times a
// vector.
//
// Vectors have `rows` numbers, a multiple of 8, 64-byte aligned, zero past the end of the data; column j of a matrix is
// at columns + j * ld, ld a multiple of 8.
//
//   square  IN x. The result is the sum of squares.
//   factor  IN, OUT columns  rows x n. Afterwards column k is r_kk times the k-th column of Q; the order of columns is
//                            that of the pivots.
//           IN, OUT y        a vector; afterwards what of it is orthogonal to all columns
//           OUT r            n x n, column-major, upper triangular, zero below: the columns in the order of `pivots`
//           are
//                            Q R
//           OUT z            n: Q'y
//           OUT pivots       n: which column of the argument came k-th; the longest of what is left of the others first
//   project IN columns, r as factor leaves them; IN, OUT y, OUT z as there. A column of length 0 gives z_k = 0.
//
// Flops: square 2 rows, factor 2 rows n^2 + 4 rows n, project 4 rows n; bytes: factor reads and writes the columns n /
// 2 times, in cache. Accumulation in float64 with fused multiply-add, in eight lanes and up to four vectors, added up
// in a fixed tree: the same bits at all levels that have fma. Accuracy: modified Gram-Schmidt, with y as one more
// column: it is Householder's method on the matrix with n rows of zeros put before it, so R and z have small backward
// errors whatever the condition [1, 2]. Columns and y have to be of lengths near 1, or squares overflow (the driver
// scales them by powers of two). Failure: none; NaN and infinities spread.
//
// Source: [1] Bjoerck, BIT 7 (1967) 1-21; [2] Bjoerck and Paige, SIAM J. Matrix Anal. Appl. 13 (1992) 176-190.
//
//     q, r, pivots = scipy.linalg.qr(columns, mode="economic", pivoting=True); z = numpy.dot(q.T, y); y = y - q @ z;
//     square = x @
//     x
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/level.hpp"

namespace mmlfast {

struct LeastSquaresKernel {
  double (*square)(const double* x, std::ptrdiff_t rows);
  void (*factor)(double* columns, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, double* y, double* r,
                 double* z, std::int32_t* pivots);
  void (*project)(const double* columns, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, const double* r,
                  double* y, double* z);
};

MMLFAST_KERNEL_TABLE(LeastSquaresKernel, least_squares)

}  // namespace mmlfast
