// Sizes are as wide as pointers, as NumPy's npy_intp and the ptrdiff_t of kernels are (an int64_t is another type on
// macOS, and twice as wide on wasm32), and every product that becomes a byte count is checked here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace mmlfast {

using Size = std::ptrdiff_t;

// No memory has more; the sum of two numbers below it still fits.
inline constexpr Size most_memory = std::numeric_limits<Size>::max() / 2 + 1;

// a * b, or -1 if either is negative or the product does not fit.
inline Size checked_product(Size a, Size b) noexcept {
  Size r;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r)) return -1;
  return r;
}

template <class... More>
inline Size checked_product(Size a, Size b, More... more) noexcept {
  return checked_product(checked_product(a, b), static_cast<Size>(more)...);
}

inline Size ceil_div(Size a, Size b) noexcept { return (a + b - 1) / b; }
inline Size round_up(Size n, Size to) noexcept { return ceil_div(n, to) * to; }

inline bool fits_blas_int(Size n) noexcept { return n <= std::numeric_limits<std::int32_t>::max(); }

}  // namespace mmlfast
