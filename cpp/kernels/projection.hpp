// Orthogonal projection onto the span of the columns of B (d x m) with the inner product <x, y> = x' M y, M = L L'.
//
// Never through (B'MB)^-1. With W = L'B and an orthonormal Q of the span of W (gram_schmidt), the projection of x is
// E (F'x) with E = L'^-1 Q and F = L Q, and its coordinates in B are T'x with T = F R'^-1, R = Q'W. Without a metric
// E = F = Q. Zero columns of Q (dependent columns of B) add nothing to the projection.
//
// A step works on a group of items, one per SIMD lane, or on one item. Operands by step, matrices unless said
// otherwise:
//   to_metric      B (d x m), L (d x d lower, or d x 1: a diagonal)            -> W (d x m)
//   from_metric    Q (d x m), L                                                -> E (d x m), F (d x m)
//   dual           Q (d x m), W (d x m), F (d x m)                             -> T (d x m)
//   apply          x (d), F (d x m), E (d x m)                                 -> y (d)
//   coordinates    x (d), T (d x m)                                            -> c (m)
//   matrix         E (d x m), F (d x m)                                        -> P (d x d)
// in IN, out OUT (any strides, no overlap), scratch SCRATCH: scratch_elements(step, d, m) elements per item, 64-byte
// aligned. Flops per item: to_metric, from_metric d^2 m and 2 d^2 m, dual 3 d m^2, apply 4 d m, coordinates 2 d m,
// matrix 2 d^2 m. Accumulation in T, each element one chain of fused multiply-adds in the order of the sum. NaN and
// infinity propagate within their item. A column of Q that is zero makes all of T NaN.
//
// points(): apply or coordinates for many points with the same factors, with points in lanes; the same bits.
//   x         IN       points x d (a point per row), any strides
//   first     IN       F or T transposed, m x d, row-major and contiguous
//   second    IN       E, d x m, row-major and contiguous; nullptr for coordinates
//   y         OUT      points x d, or points x m
//   scratch   SCRATCH  (2 d + m) * round_up(points, 16) elements, 64-byte aligned
//
// Accuracy: the error of a projection is a small multiple of u |x| for the dot product, times the square root of the
// condition of M for a metric; nearly dependent columns of B change only what their span is.
//
// Source: Golub and Van Loan, Matrix Computations, 4th ed., sections 2.5.1 and 5.3.
//
//     q = numpy.linalg.qr(numpy.linalg.cholesky(M).T @ B)[0]                 # independent columns
//     y = x @ (L @ q) @ numpy.linalg.solve(L.T, q).T
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

enum class ProjectionStep : int { to_metric, from_metric, dual, apply, coordinates, matrix };

inline constexpr int most_projection_inputs = 3, most_projection_outputs = 2;

template <class T>
struct Projection {
  std::ptrdiff_t (*scratch_elements)(ProjectionStep step, std::ptrdiff_t d, std::ptrdiff_t m);
  // in[k][l] is operand k of the item in lane l; layouts per operand.
  void (*lanes)(ProjectionStep step, const T* const* const* in, const Layout* in_layout, T* const* const* out,
                const Layout* out_layout, void* scratch);
  // in[k] is operand k.
  void (*one)(ProjectionStep step, const T* const* in, const Layout* in_layout, T* const* out, const Layout* out_layout,
              void* scratch);
  void (*points)(const T* x, const Layout& x_layout, const T* first, const T* second, std::ptrdiff_t m, T* y,
                 const Layout& y_layout, void* scratch);
};

MMLFAST_KERNEL_TABLES(Projection, projection)

}  // namespace mmlfast
