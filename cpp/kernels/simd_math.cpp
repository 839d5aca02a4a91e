#include "kernels/simd_math.hpp"

#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Size = std::ptrdiff_t;
constexpr Size block_vectors = 8;

// Whole vectors, one after the other: the processor works on several of them at a time by itself, and the constants
// stay in registers.
template <class T, class F>
MMLFAST_NOINLINE void map_vectors(Size n, const T* x, const T* y, T* result, F f) {
  for (Size i = 0; i < n; i += lanes<T>) store(result + i, f(load(x + i), load(y + i)));
}

// `count` elements into a buffer, the last one again up to a whole vector.
template <class T>
MMLFAST_INLINE void gather(Size count, Size padded, const T* from, Size stride, T* to) {
  for (Size i = 0; i < count; ++i) to[i] = from[i * stride];
  for (Size i = count; i < padded; ++i) to[i] = to[count - 1];
}

// f(x, y) where both are there; y is x for functions of one argument.
template <class T, class F>
MMLFAST_INLINE void map(Size n, const T* x, Size x_stride, const T* y, Size y_stride, T* result, Size result_stride,
                        F f) {
  const Size whole = x_stride == 1 && y_stride == 1 && result_stride == 1 ? n / lanes<T> * lanes<T> : 0;
  map_vectors(whole, x, y, result, f);
  alignas(vec_bytes) T x_buffer[block_vectors * lanes<T>], y_buffer[block_vectors * lanes<T>];
  for (Size i = whole; i < n; i += block_vectors * lanes<T>) {
    const Size count = n - i < block_vectors * lanes<T> ? n - i : block_vectors * lanes<T>;
    const Size padded = (count + lanes<T> - 1) / lanes<T> * lanes<T>;
    gather(count, padded, x + i * x_stride, x_stride, x_buffer);
    gather(count, padded, y + i * y_stride, y_stride, y_buffer);
    map_vectors(padded, x_buffer, y_buffer, x_buffer, f);
    for (Size j = 0; j < count; ++j) result[(i + j) * result_stride] = x_buffer[j];
  }
}

#define MMLFAST_MAP(name)                                                              \
  template <class T>                                                                   \
  void map_##name(Size n, const T* x, Size x_stride, T* result, Size result_stride) {  \
    map(n, x, x_stride, x, x_stride, result, result_stride,                            \
        [](const vec<T>& v, const vec<T>&) MMLFAST_INLINE_LAMBDA { return name(v); }); \
  }
MMLFAST_UNARY_MATH(MMLFAST_MAP)
#undef MMLFAST_MAP
#define MMLFAST_MAP(name)                                                                                        \
  template <class T>                                                                                             \
  void map_##name(Size n, const T* x, Size x_stride, const T* y, Size y_stride, T* result, Size result_stride) { \
    map(n, x, x_stride, y, y_stride, result, result_stride,                                                      \
        [](const vec<T>& v, const vec<T>& w) MMLFAST_INLINE_LAMBDA { return name(v, w); });                      \
  }
MMLFAST_BINARY_MATH(MMLFAST_MAP)
#undef MMLFAST_MAP

}  // namespace

#define MMLFAST_MEMBER(name) map_##name<T>,
MMLFAST_DEFINE_TABLES(SimdMath, simd_math, MMLFAST_UNARY_MATH(MMLFAST_MEMBER) MMLFAST_BINARY_MATH(MMLFAST_MEMBER))
#undef MMLFAST_MEMBER

}  // namespace mmlfast::MMLFAST_LEVEL
