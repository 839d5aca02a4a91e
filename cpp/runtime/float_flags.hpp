// The processor's floating-point status flags. Lanes compute with what they hold, padding and singular items too: the
// flags that a kernel raises mean nothing, and NumPy would turn them into warnings.
#pragma once

#if !defined(__SSE2__)
#include <cfenv>
#endif

namespace mmlfast {

inline void clear_float_flags() noexcept {
#if defined(__SSE2__)
  // Kernels use no x87 instruction, and clearing its flags as std::feclearexcept does would cost as much as a small
  // solve. So does writing the flags of SSE, which nearly always say that a result was rounded: nobody asks for that.
  constexpr unsigned int all_flags = 0x3f, inexact = 0x20;
  const unsigned int state = __builtin_ia32_stmxcsr();
  if ((state & (all_flags & ~inexact)) != 0) __builtin_ia32_ldmxcsr(state & ~all_flags);
#else
  std::feclearexcept(FE_ALL_EXCEPT);
#endif
}

}  // namespace mmlfast
