// QR of one large matrix in panels of reflections. The matrix is worked on in rows, as it mostly comes, with no
// transposition: each panel is copied into columns, reduced by one thread, and applied by all of them to strips of the
// columns to its right.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/qr.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// As qr and qr_raw (qr.hpp).
template <class T>
Outcome large_qr(Size n_items, const Qr<T>& kernel, const Batch<const T>& a, const Batch<T>& q,
                 const Batch<T>& r) noexcept;
template <class T>
Outcome large_qr_raw(Size n_items, const Qr<T>& kernel, const Batch<const T>& a, const Batch<T>& h,
                     const Batch<T>& tau) noexcept;

}  // namespace mmlfast::drivers
