#include "kernels/simd_math.hpp"

#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

template <class T, class F>
MMLFAST_INLINE void map(std::ptrdiff_t n, const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride, F&& f) {
  for (std::ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const int count = static_cast<int>(n - i < lanes<T> ? n - i : lanes<T>);
    const bool whole = count == lanes<T>;
    alignas(vec_bytes) T buffer[lanes<T>] = {};
    if (!whole || x_stride != 1)
      for (int l = 0; l < count; ++l) buffer[l] = x[(i + l) * x_stride];
    const vec<T> result = f(load(whole && x_stride == 1 ? x + i : buffer));
    if (whole && y_stride == 1) {
      store(y + i, result);
    } else {
      store(buffer, result);
      for (int l = 0; l < count; ++l) y[(i + l) * y_stride] = buffer[l];
    }
  }
}

#define MMLFAST_MAP(function)                                                                                 \
  template <class T>                                                                                          \
  void map_##function(std::ptrdiff_t n, const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride) { \
    map(n, x, x_stride, y, y_stride, [](const vec<T>& v) { return function(v); });                            \
  }
MMLFAST_MAP(exp)
MMLFAST_MAP(log)
MMLFAST_MAP(tanh)
MMLFAST_MAP(logistic)
#undef MMLFAST_MAP

}  // namespace

MMLFAST_DEFINE_TABLES(SimdMath, simd_math, map_exp<T>, map_log<T>, map_tanh<T>, map_logistic<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
