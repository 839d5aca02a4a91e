// Elementary functions of rows of numbers, for the tests of simd/math.hpp. In the calling thread.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/simd_math.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// x and y: items of n x 1.
template <class T>
Outcome map_rows(typename SimdMath<T>::Function function, Size n_items, const Batch<const T>& x,
                 const Batch<T>& y) noexcept;

}  // namespace mmlfast::drivers
