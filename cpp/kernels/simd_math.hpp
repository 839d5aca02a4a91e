// The elementary functions of simd/math.hpp, applied to arrays. What they are used for happens inside other kernels;
// this one exists so that tests can measure their errors, and benchmarks their times.
//
//   x, y    IN   n elements, x_stride and y_stride apart
//   result  OUT  n elements, result_stride apart; may be x or y, must not overlap them otherwise
// Flops: 20 to 80 per element; bytes: each element is read and written once. Errors as simd/math.hpp says; NaN,
// infinities and the ends of the range as in the C library.
//
// Source: simd/math/*.hpp, each of which names its own.
//
//     result = numpy.exp(x); scipy.special.expit(x); numpy.arctan2(x, y); ...
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

// Functions of one argument and of two.
#define MMLFAST_UNARY_MATH(each)                                                                              \
  each(exp) each(expm1) each(log) each(log1p) each(sin) each(cos) each(tan) each(asin) each(acos) each(atan)  \
      each(sinh) each(cosh) each(tanh) each(sqrt) each(cbrt) each(erf) each(erfc) each(lgamma) each(logistic) \
          each(softplus)
#define MMLFAST_BINARY_MATH(each) each(pow) each(atan2)

namespace mmlfast {

template <class T>
struct SimdMath {
  using Unary = void (*)(std::ptrdiff_t n, const T* x, std::ptrdiff_t x_stride, T* result,
                         std::ptrdiff_t result_stride);
  using Binary = void (*)(std::ptrdiff_t n, const T* x, std::ptrdiff_t x_stride, const T* y, std::ptrdiff_t y_stride,
                          T* result, std::ptrdiff_t result_stride);
#define MMLFAST_MEMBER(name) Unary name;
  MMLFAST_UNARY_MATH(MMLFAST_MEMBER)
#undef MMLFAST_MEMBER
#define MMLFAST_MEMBER(name) Binary name;
  MMLFAST_BINARY_MATH(MMLFAST_MEMBER)
#undef MMLFAST_MEMBER
};

MMLFAST_KERNEL_TABLES(SimdMath, simd_math)

}  // namespace mmlfast
