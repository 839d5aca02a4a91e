// Householder QR for batches of any size: lanes for small matrices, panels of reflections for large ones.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: m x n. q: m x p, where p is min(m, n) or m; q.data is null if it is not wanted. r: p x n (min(m, n) x n if q is
// not wanted).
template <class T>
Outcome qr(Size n_items, const Batch<const T>& a, const Batch<T>& q, const Batch<T>& r) noexcept;

// h: m x n, tau: min(m, n), as LAPACK's geqrf leaves them.
template <class T>
Outcome qr_raw(Size n_items, const Batch<const T>& a, const Batch<T>& h, const Batch<T>& tau) noexcept;

}  // namespace mmlfast::drivers
