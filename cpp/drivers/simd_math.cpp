#include "drivers/simd_math.hpp"

namespace mmlfast::drivers {

template <class T>
Outcome map_rows(typename SimdMath<T>::Unary function, Size n_items, const Batch<const T>& x,
                 const Batch<T>& result) noexcept {
  for (Size i = 0; i < n_items; ++i)
    function(x.layout.rows, x.item(i), x.layout.row_stride, result.item(i), result.layout.row_stride);
  return {};
}

template <class T>
Outcome map_rows(typename SimdMath<T>::Binary function, Size n_items, const Batch<const T>& x, const Batch<const T>& y,
                 const Batch<T>& result) noexcept {
  for (Size i = 0; i < n_items; ++i)
    function(x.layout.rows, x.item(i), x.layout.row_stride, y.item(i), y.layout.row_stride, result.item(i),
             result.layout.row_stride);
  return {};
}

#define MMLFAST_MAP_ROWS(T)                                                                                \
  template Outcome map_rows<T>(SimdMath<T>::Unary, Size, const Batch<const T>&, const Batch<T>&) noexcept; \
  template Outcome map_rows<T>(SimdMath<T>::Binary, Size, const Batch<const T>&, const Batch<const T>&,    \
                               const Batch<T>&) noexcept;
MMLFAST_MAP_ROWS(double)
MMLFAST_MAP_ROWS(float)
#undef MMLFAST_MAP_ROWS

}  // namespace mmlfast::drivers
