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
// points(): apply or coordinates for many points with the same factors; the same bits.
//   x         IN       points x d (a point per row), any strides
//   factors   IN       see below
//   y         OUT      points x d, or points x m
//   scratch   SCRATCH  points * (m_row + d_row) elements, 64-byte aligned
// Points of 2, 3 or 4 numbers without gaps go through registers with points in lanes, from memory to memory; others are
// a product with the factors' rows in lanes, which needs no transposing.
//
// residual(): the length of x less its projection onto the span of Q, in float64. The factors are Q and -Q. What is
// left of the span in r = x - Q (Q'x) is rounding of x. Where r is longer than 2^-36 x, or d^2 2^-58 x if that is more,
// that does not count; else the square is |r|^2 - |Q'r|^2, and where that would cancel or leaves the range of float64,
// r - Q (Q'r) is computed.
//   x         IN       points x d, any strides
//   squares   OUT      the squares of the lengths; those that leave the range of float64 do so here
//   r         OUT      points x d_row: in rows whose square is not normal, or is below 2^-900, d numbers of that length
//   scratch   SCRATCH  as for points(), of float64; at least 16 points
// Flops: 4 d m a point, 2 d m more where r is short, and 2 d m more where it is computed again. Up to 8 directions and
// 256 components: points in lanes, each residual made and used at once; more: products with the factors' rows in lanes.
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

// F or T, and the transpose of E or -E, in rows that are whole vectors: zeros behind the last number.
template <class T>
struct PointFactors {
  std::ptrdiff_t m, m_row, d_row;  // columns of F, and what their numbers and those of d are rounded up to
  const T* first;                  // d x m_row
  const T* second;                 // m x d_row; nullptr for coordinates
};

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
  void (*points)(const T* x, const Layout& x_layout, const PointFactors<T>& factors, T* y, const Layout& y_layout,
                 void* scratch);
  void (*residual)(const T* x, const Layout& layout, const PointFactors<double>& factors, double* r, double* squares,
                   void* scratch);
};

MMLFAST_KERNEL_TABLES(Projection, projection)

}  // namespace mmlfast
