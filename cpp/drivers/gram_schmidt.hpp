// Gram-Schmidt for batches of any size: lanes for small matrices; for others one matrix at a time, its rows in blocks.
#pragma once

#include <cmath>

#include "drivers/batch.hpp"
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
