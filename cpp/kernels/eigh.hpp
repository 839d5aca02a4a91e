// Eigenvalues and eigenvectors of symmetric matrices, eight (float64) or sixteen (float32) at once, one per SIMD lane,
// in one or two groups of lanes per call.
//
//   a        IN   n x n item per lane, any strides, 1 <= n <= max_eigh_order; only the lower triangle is read (for the
//                 upper one pass the layout of the transpose)
//   values   OUT  n per lane, values_stride apart, ascending
//   vectors  OUT  n x n per lane, any strides: column k is a unit vector of value k. No output may overlap a.
//   scratch  SCRATCH  scratch_vectors(n, groups, vectors) vectors of 64 bytes, 64-byte aligned
//   returns  bit l is set if lane l (counted through the groups) has no answer, which is then NaN: its triangle is not
//            finite, or did not converge in 30 n sweeps, which has not been seen. For n <= 2 NaN is the answer, as in
//            LAPACK, and no bit is set.
//
// n = 2 is one Jacobi rotation. n = 3: the eigenvalue furthest from the others by the cubic equation, its vector by a
// cross product, the two others by a Jacobi rotation in the plane orthogonal to it. n >= 4: reduction to tridiagonal
// form by reflections, then QL with an explicit shift, Wilkinson's for the topmost block of each lane; a lane that is
// done turns nothing any more. Lanes so large or small that squares leave the range are scaled by a power of
// two.
//
// For one tridiagonal matrix of any size, with diagonal d and couplings e (e[i] between i and i + 1; n numbers each, in
// a range where squares of what matters are normal numbers):
//   sweep_until_full  d, e   IN, OUT  QL sweeps from row `first` (IN, OUT) on; couplings up to `floor` are none
//                     r      OUT      their rotations, as many as there is room for: at least one sweep
//                     z        IN, OUT  rows of the eigenvectors that are turned at once, as in turn(); any number
//                     returns whether that was all. Then d are the eigenvalues, in no order; or, if first < n - 1, no
//                     sweeps are left
//   turn              z      IN, OUT  up to most_turned_vectors * lanes rows of the n eigenvectors, one after the
//   other,
//                                     which the rotations turn; `vectors` are the vectors of 64 bytes of one of them
//
// Flops: about 9 n^3 per item with vectors, 4/3 n^3 without; bytes: each item is read and written once, the scratch is
// 128 n^2 bytes per group with vectors, 64 n^2 for all groups without. Accumulation is in T with fused multiply-add.
// Accuracy: norm(A V - V L) <= 5 n u norm(A) and norm(V'V - 1) <= 5 n u in practice; tests hold 10 n u.
//
// Sources: Golub and Van Loan, Matrix Computations, 4th ed., sections 8.3.1 and 8.3.5; H. Bowdler, R. S. Martin, C.
// Reinsch and J. H. Wilkinson, The QR and QL algorithms for symmetric matrices, Numer. Math. 11, 1968; n = 3 after D.
// Eberly, A Robust Eigensolver for 3 x 3 Symmetric Matrices, 2014.
//
//     values, vectors = numpy.linalg.eigh(a)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// The largest n that the kernel takes.
inline constexpr std::ptrdiff_t max_eigh_order = 128;

// Groups of lanes that one call can work on: each step of QL waits for the one before it, so two are better than one.
inline constexpr int max_eigh_groups = 2;

template <class T>
struct Rotation {
  T cosine, sine;
};

// In the order in which they turn the vectors: those of sweep k turn i and i + 1 for i = from, from - 1, .., to.
template <class T>
struct Rotations {
  struct Range {
    std::int32_t from, to;
  };
  Rotation<T>* rotation;
  Range* sweep;
  std::ptrdiff_t most_rotations, most_sweeps;  // at least n - 1, and 1
  std::ptrdiff_t n_sweeps, sweeps_left;
};

inline constexpr int most_turned_vectors = 4;

template <class T>
struct Eigh {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t n, int groups, bool vectors);
  LaneBits (*eigh)(int groups, const T* const* a, const Layout& a_layout, T* const* values,
                   std::ptrdiff_t values_stride, T* const* vectors, const Layout& vectors_layout, void* scratch);
  LaneBits (*eigvalsh)(int groups, const T* const* a, const Layout& a_layout, T* const* values,
                       std::ptrdiff_t values_stride, void* scratch);
  bool (*sweep_until_full)(std::ptrdiff_t n, T* d, T* e, T floor, std::ptrdiff_t& first, Rotations<T>& r, T* z,
                           std::ptrdiff_t vectors);
  void (*turn)(const Rotations<T>& r, T* z, int vectors);
};

MMLFAST_KERNEL_TABLES(Eigh, eigh)

}  // namespace mmlfast
