#include "drivers/simd_math.hpp"

namespace mmlfast::drivers {

template <class T>
Outcome map_rows(typename SimdMath<T>::Function function, Size n_items, const Batch<const T>& x,
                 const Batch<T>& y) noexcept {
  for (Size i = 0; i < n_items; ++i)
    function(x.layout.rows, x.item(i), x.layout.row_stride, y.item(i), y.layout.row_stride);
  return {};
}

template Outcome map_rows<double>(SimdMath<double>::Function, Size, const Batch<const double>&,
                                  const Batch<double>&) noexcept;
template Outcome map_rows<float>(SimdMath<float>::Function, Size, const Batch<const float>&,
                                 const Batch<float>&) noexcept;

}  // namespace mmlfast::drivers
