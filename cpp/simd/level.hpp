// The SIMD levels that the kernels are compiled for, and the one in use in this process.
//
// A kernel file is compiled once per level into the namespace of that level and offers there one
// constant table of functions, most of them for float64 and for float32. The header declares these
// tables, and kernel_of finds the one to use:
//
//     template <class T> struct Elimination { ... function pointers ... };
//     MMLFAST_KERNEL_TABLES(Elimination, elimination)                             // in the header
//     MMLFAST_DEFINE_TABLES(Elimination, elimination, solve<T>, inverse<T>, ...)  // in the kernel file
//     ...
//     kernel_of<Elimination<T>>().solve(...);                                     // in the driver
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

namespace mmlfast {

// The table of this type for the level in use.
template <class Table>
const Table& kernel_of();

}  // namespace mmlfast

#if (defined(__x86_64__) || defined(_M_X64)) && !defined(MMLFAST_ONE_LEVEL)
#define MMLFAST_X86_LEVELS 1
#define MMLFAST_KERNEL_TABLE(Table, name)  \
  namespace baseline {                     \
  extern const Table name;                 \
  }                                        \
  namespace avx2 {                         \
  extern const Table name;                 \
  }                                        \
  namespace avx512 {                       \
  extern const Table name;                 \
  }                                        \
  template <>                              \
  inline const Table& kernel_of<Table>() { \
    switch (::mmlfast::simd::current()) {  \
      case ::mmlfast::simd::Level::avx512: \
        return avx512::name;               \
      case ::mmlfast::simd::Level::avx2:   \
        return avx2::name;                 \
      default:                             \
        return baseline::name;             \
    }                                      \
  }
#else
#define MMLFAST_X86_LEVELS 0
#define MMLFAST_KERNEL_TABLE(Table, name)  \
  namespace baseline {                     \
  extern const Table name;                 \
  }                                        \
  template <>                              \
  inline const Table& kernel_of<Table>() { \
    return baseline::name;                 \
  }
#endif

#define MMLFAST_KERNEL_TABLES(Table, name) \
  MMLFAST_KERNEL_TABLE(Table<double>, name##_f64) MMLFAST_KERNEL_TABLE(Table<float>, name##_f32)
// The table of the level that is compiled, at the end of a kernel file. A level may have several namespaces
// (cpp/kernels/CMakeLists.txt); its tables are in one.
#define MMLFAST_DEFINE_TABLE(Table, name, ...) \
  }                                            \
  namespace mmlfast::MMLFAST_TABLE_LEVEL {     \
  using namespace mmlfast::MMLFAST_LEVEL;      \
  const Table name = {__VA_ARGS__};            \
  }                                            \
  namespace mmlfast::MMLFAST_LEVEL {
// The same for tables of each type of elements, with the functions for elements of type T.
#define MMLFAST_DEFINE_TABLES(Table, name, ...)                         \
  template <class T>                                                    \
  static constexpr Table<T> name##_table = {__VA_ARGS__};               \
  MMLFAST_DEFINE_TABLE(Table<double>, name##_f64, name##_table<double>) \
  MMLFAST_DEFINE_TABLE(Table<float>, name##_f32, name##_table<float>)
