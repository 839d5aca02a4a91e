// The R factor of rows that are added to those already seen: R := the R factor of [R; X], by Householder reflections.
//
// absorb():
//   columns  IN, SCRATCH  X, rows x n: column k at columns + k * ld, 64-byte aligned, ld and rows multiples of 8; rows
//                         past the end of the data are zero. Overwritten by the reflectors.
//   r        IN, OUT      n x n, row-major, upper triangular; zero where nothing was seen. Below the diagonal it is not
//                         touched. The signs of the rows are those of the reflections.
// Flops: 2 rows n^2; bytes: the columns are read and written n / 8 times, in cache. R costs nothing: the reflector of
// column j is a unit in row j of R and a column of X, so that nothing is lost to the zeros of a triangle. Reflectors
// come in panels of four, and each panel is applied to all columns to its right by one product with V, T and V' [2].
//
// Accumulation in float64 with fused multiply-add; sums over the lanes, added up in a fixed tree.
// Accuracy: there is an orthonormal Q with [R; X] + E = Q R', |E_j| <= c n u |column j| for each column j [3]: every
// column by itself, whatever its scale, as long as its squares neither overflow nor vanish.
// Failure: none; NaN or infinity in column j of X gives NaN in rows j and on of the columns j and on of R, at least.
//
// Sources: [1] Golub and Van Loan, Matrix Computations, 4th ed., section 5.1 and algorithm 6.5.4 (adding rows);
// [2] Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989), the compact WY form; [3] Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., theorem 19.4; Demmel, Grigori, Hoemmen and Langou, SIAM J. Sci. Comput.
// 34 (2012): the same on a tree.
//
//     r = numpy.linalg.qr(numpy.vstack([r, x]), mode="r")
#pragma once

#include <cstddef>

#include "simd/level.hpp"

namespace mmlfast {

struct RFactorKernel {
  void (*absorb)(double* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, double* r);
};

MMLFAST_KERNEL_TABLE(RFactorKernel, rfactor_f64)

}  // namespace mmlfast
