// Elementary functions of rows of numbers, for the tests of simd/math.hpp. In the calling thread.
#pragma once

#include "drivers/common/batch.hpp"
#include "kernels/simd_math.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// x, y and result: items of n x 1.
template <class T>
Outcome map_rows(typename SimdMath<T>::Unary function, Size n_items, const Batch<const T>& x,
                 const Batch<T>& result) noexcept;
template <class T>
Outcome map_rows(typename SimdMath<T>::Binary function, Size n_items, const Batch<const T>& x, const Batch<const T>& y,
                 const Batch<T>& result) noexcept;

}  // namespace mmlfast::drivers
