// Singular value decomposition by one-sided Jacobi, eight (float64) or sixteen (float32) matrices at once, one per SIMD
// lane. A matrix with more rows than columns is first reduced to a triangle by Householder's reflections; one with more
// columns than rows is worked on as its transpose.
//
// Pairs of columns are turned until all of them are orthogonal: their norms are then the singular values, the columns
// divided by them one side of singular vectors, the accumulated turns the other. A round of the tournament turns n / 2
// pairs that have no column in common, so that the square roots and divisions of one pair wait for no other.
//
//   a        IN       m x n item per lane, any strides; k = min(m, n) >= 1
//   u        OUT      m x k item per lane, or m x m
//   s        OUT      k x 1 item per lane, descending, >= 0
//   vh       OUT      k x n item per lane, or n x n; u and vh both reduced or both whole
//   x        OUT      n x m item per lane: the pseudo-inverse; singular values <= rcond * the largest count as zero
//   rcond    IN       one number per lane
//   scratch  SCRATCH  scratch_vectors(m, n, ...) vectors of 64 bytes, 64-byte aligned
//   returns  bit l is set if lane l has no answer: its item holds a NaN or an infinity, or `most_sweeps` were not
//            enough (never seen). All its results are NaN. pseudo_inverse() sets it where singular values counted as
//            zero although columns (of a wide item, rows) are so far apart in size that they need not be: another
//            measure may be wanted.
//
// Flops: about 5 n^3 per sweep and item for n x n with vectors, 3 n^3 without; 4 to 8 sweeps for n of 3 to 32; 4 m n^2
// before and after for the reflections of m x n. Bytes: each item is read and written once. Accumulation is in T with
// fused multiply-add. The turns are those of Gentleman and Rath without square roots: columns carry a weight, and an
// element costs one fma per turn. Items are scaled by a power of two first, so denormals and huge numbers are as
// accurate as others; items with columns too far apart for one scale are turned once more, with an exponent for each
// column (svd_graded.hpp), several times slower.
// Accuracy: norm(A - U S V') <= 10 max(m, n) u norm(A), norm(U'U - I) and norm(V'V - I) <= 10 max(m, n) u. Small
// singular values come to high relative accuracy where scaling the columns (m >= n; rows, if m < n) makes the matrix
// well-conditioned. Vectors of a singular value of exactly zero are completed to an orthonormal basis by reflections.
//
// Sources: Hestenes, Inversion of matrices by biorthogonalization, J. SIAM 6 (1958); Demmel and Veselic, Jacobi's
// method is more accurate than QR, SIAM J. Matrix Anal. Appl. 13 (1992); Anda and Park, Fast plane rotations with
// dynamic scaling, SIAM J. Matrix Anal. Appl. 15 (1994); Golub and Van Loan, Matrix Computations, 4th ed., section
// 8.6.3.
//
//     u, s, vh = numpy.linalg.svd(a); s = numpy.linalg.svdvals(a); x = numpy.linalg.pinv(a, rcond)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Which singular values are wanted: those of the item; of the item times some power of two, so that neither the
// largest nor those within the range of T of it leave this range; or of the item with the length of each of its columns
// brought to about one by a power of two.
enum class SingularValuesOf : int { item, item_times_power, columns_of_length_one };

// Singular values without vectors: up to the first min(m, n) they come by Jacobi's turns; beyond, from a bidiagonal
// form (svd_bidiagonal.hpp), where that is faster, but right to rounding beside the largest one only. Up to the second,
// lanes whose columns (m >= n; else rows) are of different sizes stay with turns; those of about one size lose nothing.
inline constexpr std::ptrdiff_t most_turned_values = 12, most_graded_values = 32;

template <class T>
struct Svd {
  // `vectors`: for factors and pseudo_inverse; `whole`: u and vh are square.
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors, bool whole);
  LaneBits (*factors)(const T* const* a, const Layout& a_layout, T* const* u, const Layout& u_layout, T* const* s,
                      const Layout& s_layout, T* const* vh, const Layout& vh_layout, void* scratch);
  LaneBits (*values)(const T* const* a, const Layout& a_layout, SingularValuesOf what, T* const* s,
                     const Layout& s_layout, void* scratch);
  LaneBits (*pseudo_inverse)(const T* const* a, const Layout& a_layout, const T* const* rcond, T* const* x,
                             const Layout& x_layout, void* scratch);
};

MMLFAST_KERNEL_TABLES(Svd, svd)

}  // namespace mmlfast
