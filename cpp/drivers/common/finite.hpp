// Whether numbers are finite.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// None of n numbers is NaN or infinite: without a branch, so that it runs in vectors.
template <class T>
bool all_finite(const T* x, Size n) noexcept {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  // One more in the exponent carries into the sign if all of its bits are set; every vector unit can add and combine.
  constexpr Bits sign = Bits{1} << (8 * sizeof(T) - 1), one = Bits{1} << (sizeof(T) == 8 ? 52 : 23);
  Bits carried = 0;
  for (Size i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof(T));
    carried |= static_cast<Bits>((bits & ~sign) + one);
  }
  return (carried & sign) == 0;
}

// A value and its gradient.
inline bool all_finite(double value, const double* gradient, Size n) noexcept {
  return all_finite(&value, 1) && all_finite(gradient, n);
}

}  // namespace mmlfast::drivers
