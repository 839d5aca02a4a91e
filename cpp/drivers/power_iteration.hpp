// The dominant eigenpair by power iteration: batches of small matrices in lanes, of medium ones one per thread, large
// ones and sparse ones by blocks of rows over threads. Which way is taken depends on n alone, and so do the bits.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

struct PowerStop {
  double tol;  // raised to 8 times the unit of rounding of T: what T can resolve
  Size max_iter;
};

// One number per item; vector: n x 1.
template <class T>
struct PowerPairs {
  Batch<T> value, vector, residual;
  Batch<std::int64_t> n_iter;
  Batch<bool> converged;
};

template <class T>
Outcome power_iteration(Size n_items, const Batch<const T>& a, const Batch<const T>& x0, const PowerStop& stop,
                        const PowerPairs<T>& pairs) noexcept;

// CSR with n rows and columns; starts has n + 1 entries.
template <class T, class Index>
struct CsrMatrix {
  Size n;
  const T* data;
  const Index* columns;
  const Index* starts;
  Size n_stored;  // length of data and of columns
};

// Whether starts ascends from 0 to at most n_stored and every column exists.
template <class T, class Index>
bool well_formed(const CsrMatrix<T, Index>& a) noexcept;

template <class T, class Index>
Outcome power_iteration(const CsrMatrix<T, Index>& a, const T* x0, const PowerStop& stop,
                        const PowerPairs<T>& pair) noexcept;

}  // namespace mmlfast::drivers
