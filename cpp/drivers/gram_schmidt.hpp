// Gram-Schmidt for batches of any size: lanes for small matrices; for others one matrix at a time, its rows in blocks.
#pragma once

#include <cmath>

#include "drivers/common/batch.hpp"
#include "kernels/gram_schmidt.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a, q: m x n. rtol: one number per item. rank, orthogonality: one number per item.
template <class T>
struct GramSchmidtCall {
  Orthogonalization method;
  Size n_items;
  Batch<const T> a, rtol;
  Batch<T> q;
  Batch<std::int64_t> rank;
  Batch<T> orthogonality;
};

template <class T>
Outcome gram_schmidt(const GramSchmidtCall<T>& call) noexcept;

// QR of one tall matrix (m >= 4 n, m >= 256): A = Q R with Q'Q = I to rounding level for every condition number up to
// 1e15, signs as Householder's reflections (LAPACK's geqrf) give them, and |A_j - Q R_j| <= c n u |A_j| for each column
// j. About one sixth of the time of LAPACK's geqrf and orgqr. `done` is left false, with nothing promised of q and r,
// if A is not finite or has columns that are dependent to the last bit: Q has then to be completed by reflections,
// which LAPACK's do.
//   a   IN   m x n, any strides
//   q   OUT  m x n, any strides, must not overlap a; nullptr: R alone, in one reading of A
//   r   OUT  n x n, any strides, zeros below the diagonal; nullptr: not wanted
// All threads work on the matrix; the bits do not depend on their number.
template <class T>
Outcome tall_qr(const T* a, const Layout& a_layout, T* q, const Layout& q_layout, T* r, const Layout& r_layout,
                bool& done) noexcept;

// What counts as nothing left of a column unless the caller says otherwise: above the rounding noise of the method.
// The second pass of cgs2 clears away what the length of the sums adds to it.
template <class T>
T default_rtol(Orthogonalization method, Size m, Size n) noexcept {
  constexpr T eps = sizeof(T) == 8 ? static_cast<T>(0x1p-52) : static_cast<T>(0x1p-23);
  const T columns = static_cast<T>(n < 4 ? 4 : n), rows = std::sqrt(static_cast<T>(m));
  switch (method) {
    case Orthogonalization::cgs2:
      return eps * columns;
    case Orthogonalization::householder:
      return eps * (columns + rows);
    default:
      return eps * 4 * (columns + rows);
  }
}

}  // namespace mmlfast::drivers
