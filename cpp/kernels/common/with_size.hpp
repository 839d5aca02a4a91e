// A small size that is known only at run time, as a constant for the compiler.
#pragma once

#include <cstddef>
#include <type_traits>

namespace mmlfast {

// run(constant N) with N = n from First to Last, else run(constant 0).
template <int First, int Last, class Run>
inline __attribute__((always_inline)) auto with_size(std::ptrdiff_t n, Run&& run) {
  static_assert(First >= 1 && Last <= 8);
#define MMLFAST_SIZE(N)                             \
  case N:                                           \
    if constexpr (First <= N && N <= Last)          \
      return run(std::integral_constant<int, N>{}); \
    else                                            \
      break;
  switch (n) {
    MMLFAST_SIZE(1)
    MMLFAST_SIZE(2)
    MMLFAST_SIZE(3)
    MMLFAST_SIZE(4)
    MMLFAST_SIZE(5)
    MMLFAST_SIZE(6)
    MMLFAST_SIZE(7)
    MMLFAST_SIZE(8)
    default:
      break;
  }
#undef MMLFAST_SIZE
  return run(std::integral_constant<int, 0>{});
}

}  // namespace mmlfast
