// The elementary functions of simd/math.hpp, applied to arrays. What they are used for happens inside other kernels;
// this one exists so that tests can measure their errors.
//
//   x  IN   n elements, x_stride apart
//   y  OUT  n elements, y_stride apart; may be x, must not overlap it otherwise
// Flops: some tens per element; bytes: each element is read and written once. Errors as simd/math.hpp says, at most 2
// units in the last place; NaN, infinities and the ends of the range as in the C library.
//
// Source: truncated power series after reduction of the range; simd/math.hpp.
//
//     y = numpy.exp(x); numpy.log(x); numpy.tanh(x); scipy.special.expit(x)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

template <class T>
struct SimdMath {
  using Function = void (*)(std::ptrdiff_t n, const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride);
  Function exp, log, tanh, logistic;
};

MMLFAST_KERNEL_TABLE(SimdMath<double>, simd_math_f64)
MMLFAST_KERNEL_TABLE(SimdMath<float>, simd_math_f32)

}  // namespace mmlfast
