// The SIMD levels that the kernels are compiled for, and the one in use in this process.
//
// A kernel file is compiled once per level into the namespace of that level and offers there one
// constant table of functions. MMLFAST_KERNEL_TABLE declares these tables and a function that
// returns the one to use:
//
//     template <class T> struct Elimination { ... function pointers ... };
//     MMLFAST_KERNEL_TABLE(Elimination<double>, elimination_f64)
//     ...
//     const Elimination<double>& kernel = elimination_f64();   // once per public call
#pragma once

namespace mmlfast::simd {

enum class Level : int { baseline = 0, avx2 = 1, avx512 = 2 };

constexpr int n_levels = 3;

const char* name(Level level) noexcept;

// Compiled into this build?
bool compiled(Level level) noexcept;

// The best level that this processor and operating system can run.
Level detected() noexcept;

// The level in use: the best one detected, or a lower one named by the environment variable
// MMLFAST_SIMD. Read once, at the first call.
Level current() noexcept;

// What MMLFAST_SIMD names if it is not to be had (unknown name, or not available here), else
// nullptr.
const char* refused_request() noexcept;

}  // namespace mmlfast::simd

#if defined(__x86_64__) || defined(_M_X64)
#define MMLFAST_X86_LEVELS 1
#define MMLFAST_KERNEL_TABLE(Table, function) \
  namespace baseline {                        \
  extern const Table function;                \
  }                                           \
  namespace avx2 {                            \
  extern const Table function;                \
  }                                           \
  namespace avx512 {                          \
  extern const Table function;                \
  }                                           \
  inline const Table& function() {            \
    switch (::mmlfast::simd::current()) {     \
      case ::mmlfast::simd::Level::avx512:    \
        return avx512::function;              \
      case ::mmlfast::simd::Level::avx2:      \
        return avx2::function;                \
      default:                                \
        return baseline::function;            \
    }                                         \
  }
#else
#define MMLFAST_X86_LEVELS 0
#define MMLFAST_KERNEL_TABLE(Table, function) \
  namespace baseline {                        \
  extern const Table function;                \
  }                                           \
  inline const Table& function() { return baseline::function; }
#endif
