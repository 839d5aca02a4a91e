// Least squares of 8 (float64) or 16 (float32) small problems at once, one per SIMD lane: the x of minimum norm among
// those that minimise norm(A x - b), as LAPACK's xGELSD defines it.
//
// A = Q R by Householder reflections, which are applied to b on the way (m < n: A' = Q R). The singular values of R
// come from one-sided Jacobi rotations, which are applied to Q'b as well. Where all singular values count (the item has
// full rank), x comes from R by substitution; else from those that do count: x = sum of v_j (u_j' b) / s_j.
//
//   a            IN       m x n item per lane, any strides, m, n > 0
//   b            IN       m x k item per lane, any strides, k > 0
//   rcond        IN       one number per item: singular values up to rcond times the largest count as zero. NaN: eps
//                         max(m, n). LAPACK's rule for numbers <= 0 or >= 1: u.
//   x            OUT      n x k item per lane, any strides
//   residuals    OUT      k numbers per item: |A x - b|^2 by columns if m >= n and the item has full rank, else NaN
//   rank         OUT      the number of singular values that count
//   s            OUT      min(m, n) singular values per item, falling; item pointers are null if they are not wanted
//   scratch      SCRATCH  scratch_vectors(m, n, k) vectors of 64 bytes, 64-byte aligned
//   returns               bit l is set if item l holds NaN or infinity (or its rotations do not converge, which has not
//                         been seen): x, residuals and s are NaN, rank is 0
//
// The rotations are left out where nobody wants singular values and norm(R) norm(R^-1) shows that all items have full
// rank.
//
// Flops per item: 2 n^2 (m - n / 3) + 4 m n k, and about 30 n^3 for the rotations (n <= m); bytes: each item is read
// and written once. Accumulation in T with fused multiply-add. Accuracy: normwise backward error of at most
// 10 max(m, n) u at every condition and scale (tests hold it). Extreme scales are met as in qr.hpp. Lanes do not
// disturb each other.
//
// Sources: Golub and Van Loan, Matrix Computations, 4th ed., sections 5.3, 5.5 and 8.6.3; rotations of the rows of R
// rather than its columns, as they are nearer to orthogonal, after Drmac and Veselic, SIAM J. Matrix Anal. Appl. 29
// (2008).
//
//     x, residuals, rank, s = numpy.linalg.lstsq(a, b, rcond)
#pragma once

#include "kernels/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct Lstsq {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k);
  LaneBits (*solve)(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout,
                    const T* const* rcond, T* const* x, const Layout& x_layout, T* const* residuals,
                    const Layout& residuals_layout, std::int64_t* const* rank, T* const* s, const Layout& s_layout,
                    void* scratch);
};

MMLFAST_KERNEL_TABLE(Lstsq<double>, lstsq_f64)
MMLFAST_KERNEL_TABLE(Lstsq<float>, lstsq_f32)

}  // namespace mmlfast
