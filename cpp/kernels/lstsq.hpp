// Least squares of 8 (float64) or 16 (float32) small problems at once, one per SIMD lane: the x of minimum norm among
// those that minimise norm(A x - b), where A has full rank beyond doubt. The driver takes the other items another way.
//
// A = Q R by Householder reflections, which are applied to b on the way (m < n: A' = Q R), and x comes from R by
// substitution. The rank is that of A with columns of length one: powers of two as units of the columns change neither
// it nor a bit of x beyond its unit (m >= n).
//
//   a            IN       m x n item per lane, any strides, m, n > 0
//   b            IN       m x k item per lane, any strides, k > 0
//   rcond        IN       one number per item: singular values up to rcond times the largest count as zero. NaN, and
//                         numbers <= 0 or >= 1: next to nothing does.
//   x            OUT      n x k item per lane, any strides
//   residuals    OUT      k numbers per item: |A x - b|^2 by columns (m < n: of no meaning)
//   rank         OUT      min(m, n)
//   s            OUT      min(m, n) singular values of A per item, falling; item pointers are null if they are not
//   wanted uncertain    OUT      bit l is set if item l may have less than full rank, or is so near to that that
//   float64, and
//                         sums over fewer rows, are worth it: x, residuals and rank of it are of no use then
//   scratch      SCRATCH  scratch_vectors(m, n, k) vectors of 64 bytes, 64-byte aligned
//   returns               bit l is set if item l holds NaN or infinity (or its rotations do not converge, which has not
//                         been seen): x, residuals and s are NaN, rank is 0
//
// Flops per item: 2 n^2 (m - n / 3) + 4 m n k + n^3 / 3, and about 30 n^3 for singular values (n <= m); bytes: each
// item is read and written once. Accumulation in T with fused multiply-add. Accuracy: normwise backward error of at
// most 10 max(m, n) u at every condition and scale (tests hold it), column by column if m >= n. Where squares might
// leave the range of T, columns are worked on at a size near one. Lanes do not disturb each other.
//
// Sources: Golub and Van Loan, Matrix Computations, 4th ed., sections 5.3, 5.5 and 8.6.3; van der Sluis, Condition
// numbers and equilibration of matrices, Numer. Math. 14 (1969); rotations of the rows of R rather than its columns, as
// they are nearer to orthogonal, after Drmac and Veselic, SIAM J. Matrix Anal. Appl. 29 (2008).
//
//     x, residuals, rank, s = numpy.linalg.lstsq(a, b, rcond)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct Lstsq {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k);
  LaneBits (*solve)(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout,
                    const T* const* rcond, T* const* x, const Layout& x_layout, T* const* residuals,
                    const Layout& residuals_layout, std::int64_t* const* rank, T* const* s, const Layout& s_layout,
                    LaneBits* uncertain, void* scratch);
};

MMLFAST_KERNEL_TABLES(Lstsq, lstsq)

}  // namespace mmlfast
