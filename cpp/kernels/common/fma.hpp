// One number with the rounding that vec.hpp gives to a lane.
#pragma once

#include <type_traits>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
  requires std::is_floating_point_v<T>
MMLFAST_INLINE T fma(T a, T b, T c) {
#if defined(__FMA__) || defined(__aarch64__)
  if constexpr (sizeof(T) == 8)
    return __builtin_fma(a, b, c);
  else
    return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
template <class T>
  requires std::is_floating_point_v<T>
MMLFAST_INLINE T fnma(T a, T b, T c) {
  return fma(-a, b, c);
}

}  // namespace mmlfast::MMLFAST_LEVEL
