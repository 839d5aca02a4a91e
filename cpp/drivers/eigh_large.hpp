// The part of the eigh driver for matrices that do not go into SIMD lanes, one after another or one to each thread.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Of the lower triangles of n_items symmetric matrices, n >= 2: eigenvalues, and eigenvectors unless nullptr. Those of
// a matrix without an answer are NaN.
template <class T>
Outcome large_eigh(Size n_items, const Batch<const T>& a, const Batch<T>& values, const Batch<T>* vectors) noexcept;

}  // namespace mmlfast::drivers
