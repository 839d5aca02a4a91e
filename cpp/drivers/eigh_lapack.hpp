// Symmetric matrices that do not fit the lanes. LAPACK reduces them to tridiagonal form and solves that by divide and
// conquer; eigenvectors of matrices that are not too large are brought back by our own panels of reflections (qr.hpp),
// strip by strip, straight into rows.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Of the lower triangles. `vectors` may be nullptr.
template <class T>
Outcome eigh_by_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& values, const Batch<T>* vectors) noexcept;

}  // namespace mmlfast::drivers
