// Scaling by powers of two: exact, and without a call of the library where the power is a normal number.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

inline double times_power(double x, int exponent) noexcept {
  if (exponent < -1000 || exponent > 1000) return std::ldexp(x, exponent);
  return x * std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

inline void scale_by_power(double* x, Size n, int exponent) noexcept {
  if (exponent < -1000 || exponent > 1000) {
    for (Size i = 0; i < n; ++i) x[i] = std::ldexp(x[i], exponent);
    return;
  }
  const double factor = times_power(1.0, exponent);
  for (Size i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace mmlfast::drivers
