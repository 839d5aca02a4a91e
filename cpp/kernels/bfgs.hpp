// The matrix of the BFGS method: an approximation of the inverse of the Hessian.
//
//   b   IN, OUT  n rows of `stride` numbers, a multiple of 8; numbers behind the n-th of a row are 0
//   multiply:  y = b x, vectors of `stride` numbers, 0 behind the n-th
//     x   IN
//     y   OUT
//   update:    b += (1 + y'q / s'y) s s' / s'y - (q s' + s q') / s'y with q = b y: the matrix that takes y to s
//     s, q  IN   the last step, and b times the change of the gradient, as x
//     rho   IN   1 / s'y;  c  IN  (1 + y'q rho) rho
//   diagonal:  b becomes the diagonal matrix of d
//     d   IN
//
// Flops: 2 n^2 and 4 n^2; bytes: the matrix once. Sums have eight parts, part j of the terms j, j + 8, ...
// Accuracy: n / 8 + 3 roundings for sums, three for an entry of an update. Failure: none; NaN stays NaN.
//
// Source: Nocedal and Wright, Numerical Optimization, 2nd ed., chapter 6.
//
//     b = b + c * numpy.outer(s, s) - rho * (numpy.outer(q, s) + numpy.outer(s, q))
#pragma once

#include <cstddef>

#include "simd/level.hpp"

namespace mmlfast {

struct Bfgs {
  void (*diagonal)(double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* d);
  void (*multiply)(const double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* x, double* y);
  void (*update)(double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* s, const double* q, double rho,
                 double c);
};

MMLFAST_KERNEL_TABLE(Bfgs, bfgs)

}  // namespace mmlfast
