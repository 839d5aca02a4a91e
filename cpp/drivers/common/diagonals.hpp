// The numbers on the diagonal of a matrix and beside it.
#pragma once

#include <algorithm>
#include <cmath>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Divides both, d (n numbers) and e (n - 1), by a power of two that brings the largest number to between 1 and 2, and
// returns it: 0 if all are zero, infinity or NaN if they are not finite; then nothing is divided.
template <class T>
T divide_by_unit(T* d, T* e, Size n) noexcept {
  T size = 0;
  for (Size i = 0; i < n; ++i) size = std::max({size, std::fabs(d[i]), i < n - 1 ? std::fabs(e[i]) : T{0}});
  if (!(size > 0 && std::isfinite(size))) return size;
  const T unit = std::ldexp(T{1}, std::ilogb(size));
  for (Size i = 0; i < n; ++i) d[i] /= unit;
  for (Size i = 0; i < n - 1; ++i) e[i] /= unit;
  return unit;
}

}  // namespace mmlfast::drivers
