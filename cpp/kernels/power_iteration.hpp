// Power iteration: x <- A x / norm(A x), until x is an eigenvector. Two ways to hold the matrix: small ones in SIMD
// lanes, one per lane (`lanes`); one large dense or sparse matrix by blocks of rows (`rows`, `residual`), which the
// driver spreads over threads.
//
// A sweep reads A once, and the two numbers that tell where the iteration stands come out of the same pass over y = A
// x: d = x'y and q = y'y. With s = x'x, the Rayleigh quotient is d/s, and the squared residual norm(y - (d/s) x)^2 / s
// is (q s - d^2) / s^2. That difference cancels: it is good for nothing below about sqrt(eps) * |value|. So it only
// decides when to look; near convergence norm(y - (d/s) x) is summed up itself (2 n reads, no second pass over A), and
// only that number decides. x is never divided by its norm on the way: a power of two keeps it in range, exactly, and s
// = q of the sweep before, scaled. Hence scaling A by a power of two changes no bit of the vector.
//
// lanes:
//   a         IN       n x n item per lane, any strides
//   from      IN       vector of n per lane: start vector, or what `to` held after an earlier call; not zero
//   to        OUT      vector of n per lane: unit vector with its largest component positive where the lane has
//                      stopped, else the state from which the next call goes on. May equal `from`
//   value, residual  OUT  one number per lane, meaningful where the lane has stopped
//   n_sweeps  OUT      products with A done in this call, per lane
//   scratch   SCRATCH  scratch_vectors(n) vectors of 64 bytes, 64-byte aligned
//   Arithmetic is in T with fused multiply-add. Per item and sweep 2 n^2 + 6 n flops, the matrix read from L1 or L2.
//   An item's bits do not depend on the items beside it, nor on how its sweeps are divided into calls of equal sizes.
//   NaN or infinity in a or x: the lane stops with NaN.
//
// rows: rows [first, last) of y = scale * A x; sums[0] = x'y, sums[1] = y'y over those rows. Sums in float64 for both
// T. sparse rows: the same from CSR; columns may repeat and come in any order, and must be in range. residual: sum over
// [first, last) of (y - mu x)^2, in float64.
//   Per row 2 flops per entry; bytes: the entries of A (and their indices) once, y once; x stays in cache if it fits.
//
// Accuracy: the computed residual is that of the computed product; it differs from the exact one by the rounding of A
// x, at most about n u norm(|A| |x|) (lanes) or u norm(A) plus the rounding of x (rows).
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., section 7.3.1; the residual as error bound: Parlett, The
// Symmetric Eigenvalue Problem, theorem 4.5.1 (a symmetric A has an eigenvalue within norm(r) of the Rayleigh
// quotient).
//
//     for n_iter in range(1, max_iter + 1):
//         y = a @ x
//         value = x @ y
//         residual = numpy.linalg.norm(y - value * x)
//         if residual <= tol * abs(value): break
//         x = y / numpy.linalg.norm(y)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct PowerLanes {
  const T* const* from;
  std::ptrdiff_t from_stride;
  T* const* to;
  std::ptrdiff_t to_stride;
  T* const* value;
  T* const* residual;
  std::int64_t* n_sweeps;
};

// How far to go: at most `sweeps` products; if `final`, lanes that have not converged by then stop too.
template <class T>
struct PowerLimits {
  T tol;
  std::int64_t sweeps;
  bool final;
};

struct PowerStopped {
  LaneBits converged, stopped;
};

template <class T, class Index>
struct CsrRows {
  const T* data;
  const Index* columns;
  const Index* starts;
};

template <class T>
struct PowerIteration {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t n);
  PowerStopped (*lanes)(const T* const* a, const Layout& a_layout, const PowerLanes<T>& items,
                        const PowerLimits<T>& limits, void* scratch);
  void (*rows)(const T* a, const Layout& layout, std::ptrdiff_t first, std::ptrdiff_t last, const T* x, T* y,
               double scale, double* sums);
  void (*sparse_rows_32)(const CsrRows<T, std::int32_t>& a, std::ptrdiff_t first, std::ptrdiff_t last, const T* x, T* y,
                         double scale, double* sums);
  void (*sparse_rows_64)(const CsrRows<T, std::int64_t>& a, std::ptrdiff_t first, std::ptrdiff_t last, const T* x, T* y,
                         double scale, double* sums);
  double (*residual)(const T* x, const T* y, double mu, std::ptrdiff_t first, std::ptrdiff_t last);
};

MMLFAST_KERNEL_TABLES(PowerIteration, power_iteration)

}  // namespace mmlfast
