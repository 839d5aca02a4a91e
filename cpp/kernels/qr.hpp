// Householder QR of 8 (float64) or 16 (float32) matrices at once, one per SIMD lane, with LAPACK's signs.
//
// Reflection k maps what is left of column k, from row k down, to a multiple of the first unit vector, with the sign
// opposite to that of its first element (no cancellation). A column that is zero below row k is left alone, as LAPACK
// does: the reflection is the identity. Reflections are applied two at a time, a strip of columns at a time.
//
// The first try trusts that no square leaves the range of T. Where one did, or a column was zero below its diagonal,
// or there is NaN or infinity, the group is done once more with care: in the lanes where that was, each column at a
// size of about one, and each reflection at its own. Powers of two all; the other lanes get the same bits again.
//
//   a            IN       m x n item per lane, any strides
//   q            OUT      m x p item per lane, any strides, p = min(m, n) (reduced) or m (complete); item pointers are
//                         null if q is not wanted; must not overlap a
//   r            OUT      p x n item per lane, upper triangular (trapezoidal); must not overlap a
//   h, tau       OUT      raw(): h is m x n with R on and above the diagonal and v_k below it (v_k[k] = 1 is not
//                         stored), Q = H_0 H_1 ..., H_k = 1 - tau_k v_k v_k'; tau has min(m, n) numbers
//   scratch      SCRATCH  scratch_vectors(m, n, p) vectors of 64 bytes, 64-byte aligned; p = 0 where q is not wanted
//
// For one matrix of any size, whose lanes lie along rows and columns, Q = P_0 P_1 ... with P = 1 + V M V' for panels
// of n <= most_in_panel reflections (M is minus the T of the compact WY form):
//   copy_in, copy_out     between an item of any layout and rows `ld` apart that have room for a last whole vector;
//                         copy_in gives the largest absolute value of each column, infinity for NaN (OUT)
//   gather                columns `ld` apart, of a multiple of lanes<T> rows, out of such rows
//   panel    v            IN, OUT  rows x n, such columns, rows >= n: what is to be reduced; V
//            r, t         OUT      n x n, row-major, upper triangular, zeros below: R and M
//   join     t            OUT      n x n: M of n reflections v (IN), of which tau is known (IN)
//   apply    c            IN, OUT  rows x cols, rows c_row apart, cols a multiple of lanes<T>: becomes P c, or P' c;
//                         the rows up to `first` of c are known to be zero
//            scratch      SCRATCH  2 n (cols + lanes<T>) elements
//
// Flops per item: 2 n^2 (m - n / 3) for R and as much again for Q (m >= n); bytes: each item is read and written once.
// Accumulation in T with fused multiply-add. Accuracy: norm(Q'Q - I) and norm(A - QR) / norm(A) are below 10 n u for
// every condition and scale (tests hold it). No item fails: one with NaN or infinity gets NaN in all of Q and on and
// above the diagonal of R. Lanes do not disturb each other.
//
// Sources: Golub and Van Loan, Matrix Computations, 4th ed., algorithms 5.1.1 and 5.2.1; for pairs of reflections
// and panels Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989).
//
//     q, r = numpy.linalg.qr(a, mode); h, tau = numpy.linalg.qr(a, "raw")
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

inline constexpr std::ptrdiff_t most_in_panel = 64;

template <class T>
struct Qr {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t p);
  // Q (if q[0] is not null) and R.
  void (*factor)(const T* const* a, const Layout& a_layout, T* const* q, const Layout& q_layout, T* const* r,
                 const Layout& r_layout, void* scratch);
  void (*raw)(const T* const* a, const Layout& a_layout, T* const* h, const Layout& h_layout, T* const* tau,
              const Layout& tau_layout, void* scratch);

  void (*copy_in)(const T* a, const Layout& layout, T* to, std::ptrdiff_t ld, T* largest);
  void (*copy_out)(const T* from, std::ptrdiff_t ld, T* a, const Layout& layout);
  void (*gather)(const T* a, const Layout& layout, T* to, std::ptrdiff_t ld);
  void (*panel)(T* v, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, T* r, T* t);
  void (*join)(const T* v, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, const T* tau, T* t);
  void (*apply)(const T* v, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, const T* t, bool transposed, T* c,
                std::ptrdiff_t c_row, std::ptrdiff_t cols, std::ptrdiff_t first, T* scratch);
};

MMLFAST_KERNEL_TABLES(Qr, qr)

}  // namespace mmlfast
