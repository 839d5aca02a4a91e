// Inner products, lengths, distances and angles of batches of vectors, in blocks of items.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/inner_product.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// x and y are columns of d components; y is not looked at for InnerStep::norm.
template <class T>
Outcome inner_product(InnerStep step, Size n_items, const Batch<const T>& x, const Batch<const T>& y,
                      const Batch<T>& out) noexcept;

}  // namespace mmlfast::drivers
