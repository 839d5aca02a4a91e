// The Cholesky factor of symmetric positive definite matrices, eight (float64) or sixteen (float32) at once, one per
// SIMD lane.
//
//   a        IN       n x n item per lane, any strides; only the triangle i >= j is used
//   x        OUT      n x n item per lane: L with a = L L', zero for i < j. May be a itself, else must not overlap it.
//                     The upper factor U = L' of the other triangle: the same call with the strides of a and x swapped
//   scratch  SCRATCH  scratch_vectors(n) vectors of 64 bytes, 64-byte aligned
//   returns bit l set if the matrix of lane l is not positive definite: some pivot (the square of a diagonal entry of
//   L) is not greater than zero, or is NaN. That lane's x is all NaN
//
// Flops: n^3 / 3 per item and n square roots; bytes: half of each item is read and all of it written. Accumulation is
// in T with fused multiply-add, each entry's products in the order of the columns. Normwise backward error <= (n + 1) u
// (Higham, theorem 10.3); tests hold 10 n u. No pivot overflows or underflows on the way: square roots halve the
// exponents, and so their reciprocals are normal numbers. NaN in the triangle that is used makes its item fail,
// infinity goes through the same arithmetic.
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 4.2.5 (by columns), in tiles of 4 x 4 or 2 x 2
// entries that stay in registers; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1.
//
//     x = numpy.linalg.cholesky(a); u = numpy.linalg.cholesky(a, upper=True)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct Cholesky {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t n);
  LaneBits (*factor)(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout, void* scratch);
};

MMLFAST_KERNEL_TABLES(Cholesky, cholesky)

}  // namespace mmlfast
