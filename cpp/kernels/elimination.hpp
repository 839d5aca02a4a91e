// Gaussian elimination with partial pivoting, eight (float64) or sixteen (float32) matrices at
// once, one per SIMD lane.
//
// The pivot of each lane is chosen by comparing and selecting whole vectors; the rows are exchanged lane by lane with
// the same masks. No lane ever branches, so a batch costs the same whatever its pivots are, and a singular lane does
// not disturb the others. (Up to 8 rows a group with a pivot that is zero, or beyond the range of reciprocals, may be
// worked on twice: the fastest code knows none of these.)
//
//   a        IN       n x n item per lane, any strides, n <= max_lane_order
//   b        IN       n x m item per lane, any strides
//   x        OUT      n x m (inverse: n x n) item per lane; must not overlap a or b unless equal to b in place
//   scratch  SCRATCH  scratch_vectors(n, m) vectors of 64 bytes, 64-byte aligned
//   returns bit l is set if a pivot of lane l is exactly zero (the criterion of LAPACK's xGETRF); that lane's x is NaN
//
// Determinants of 2 x 2 and, with a fused multiply-add, of 3 x 3 come from cofactors (elimination_cofactors.hpp) in 4
// and 15 instructions; elimination is asked as well where a pivot might be zero.
//
// Flops: 2/3 n^3 + 2 n^2 m per item; bytes: each item is read and written once. Accumulation is in
// T with fused multiply-add. Normwise backward error <= 3 n u in practice (growth factor as in
// LAPACK); tests hold 10 n u. NaN and infinity propagate within their item; NaN is never chosen as
// a pivot above a number.
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithm 3.4.1 (outer product form,
// LINPACK's order of exchanges: multipliers stay where they were made); interleaving after Kim et
// al., SC17, "compact" BLAS.
//
//     x = numpy.linalg.solve(a, b); numpy.linalg.inv(a); sign, logabs = numpy.linalg.slogdet(a);
//     p, l, u = scipy.linalg.lu(a)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// The largest n that the lanes are meant for; larger matrices go to elimination_blocks, and so do smaller ones beyond
// `fastest_lanes`.
inline constexpr std::ptrdiff_t max_lane_order = 128;

// Up to how many rows lanes are faster than blocks (elimination_blocks.hpp), which give the same bits: for results of a
// few columns, or none, and for those of as many as the matrix has.
struct FastestLanes {
  std::ptrdiff_t few, many;
};

// Some rows of a matrix of any order, which are contiguous, and solutions of a y = z, z being of the size of 1, and
// a x = b.
template <class T>
struct Solved {
  std::ptrdiff_t rows, n, row;  // n columns; numbers from row to row
  const T *a, *y, *x, *b;
  std::ptrdiff_t step;  // from number to number of b
};

template <class T>
struct Elimination {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t n, std::ptrdiff_t m);
  LaneBits (*solve)(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout, T* const* x,
                    const Layout& x_layout, void* scratch);
  LaneBits (*inverse)(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout, void* scratch);
  // det[l] points to the determinant of lane l. No intermediate product overflows or underflows.
  LaneBits (*determinant)(const T* const* a, const Layout& a_layout, T* const* det, void* scratch);
  // sign is 0 and log |det| is -inf for a singular lane.
  LaneBits (*log_determinant)(const T* const* a, const Layout& a_layout, T* const* sign, T* const* logabs,
                              void* scratch);
  // The factors themselves, of m x n items, m, n <= max_lane_order: row i of l u is row order[lane * m + i] of a. l is
  // m x k with a unit diagonal, u is k x n, k = min(m, n). Scratch of lu_scratch_vectors(m, n). A pivot of zero is no
  // failure: the zeros below it stay. m n^2 - n^3 / 3 flops for m >= n, twice.
  std::ptrdiff_t (*lu_scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n);
  void (*lu)(const T* const* a, const Layout& a_layout, std::int32_t* order, T* const* l, const Layout& l_layout,
             T* const* u, const Layout& u_layout, void* scratch);
  // Whether in every row the sum of |a y|, times `condition`, is below 1/2, and |b - a x| at most `backward` times the
  // sum of |b| and all |a x|.
  bool (*looks_good)(const Solved<T>& s, T condition, T backward);
  FastestLanes fastest_lanes;
};

MMLFAST_KERNEL_TABLES(Elimination, elimination)

}  // namespace mmlfast
