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
  constexpr Bits exponent = sizeof(T) == 8 ? static_cast<Bits>(0x7ff0000000000000) : static_cast<Bits>(0x7f800000);
  Bits bad = 0;
  for (Size i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof(T));
    bad |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return bad == 0;
}

}  // namespace mmlfast::drivers
