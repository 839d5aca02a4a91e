// Products of many small matrices, matrices and vectors, pairs of vectors.
//
// A batch is not interleaved into lanes here: measured for n = 2 .. 8, a product of one item with a row of C in one
// register (masked where the row is shorter) is 1.4 to 3 times as fast as eight items in lanes, because there is
// nothing to transpose. The elements of A are broadcast, so A may lie in any way; a B (or C) whose rows are not
// contiguous is copied once per item, or once for all if all items share it.
//
// products: c = a b for `count` items
//   a        IN       m x k, any strides
//   b        IN       k x n, any strides
//   c        OUT      m x n, any strides; must not overlap a or b
//   scratch  SCRATCH  scratch_elements(count, m, k, n) elements, 64-byte aligned; as much is enough for fewer items, or
//   rows
// dots: y = a x for `count` items
//   a        IN       m x k, rows contiguous (col_stride 1)
//   x        IN       k x 1, any stride
//   y        OUT      m x 1, any stride; must not overlap a or x
//   scratch  SCRATCH  scratch_elements(count, m, k, 1) elements
// striped: the same for any strides of a, summed in stripes
//   scratch  SCRATCH  striped_scratch(k) elements
// numbers: c = a b for 1 x 1 items
// inner: the sum of x[i] y[i] over i for `count` items
//   x, y     IN       k x 1, any strides
//   sum      OUT      one number per item, `stride` apart
//   scratch  SCRATCH  inner_scratch_elements elements
//
// products and dots: every element of the result is one chain of fused multiply-adds in the order of k, starting
// from +0, whatever the way taken: strides, tiles and neighbours do not change a bit, and a x has the bits of
// a (x as a column). striped: one chain per lane of a vector, added by halves. inner: one such chain for k < 8; else 4
// x 8 (float32: 4 x 16) chains over every 32nd (64th) element, added by halves. All in T. Accuracy: |error| <= k u |a|
// |b|, elementwise. NaN and infinity go where the formula takes them.
//
// Flops: 2 m k n per item. Bytes: each operand once per item; copies of B or C once more. For n <= 8 memory is the
// limit outside of L2; above, a tile of up to 8 x 3 or 6 x 4 vectors of C stays in registers over all of k.
//
// Source: Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008), section 4.
//
//     c = numpy.matmul(a, b); y = numpy.matvec(a, x); s = numpy.vecdot(x, y)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Item i starts at data + i * stride.
template <class T>
struct MatrixStack {
  T* data;
  std::ptrdiff_t stride;
  Layout layout;
};

template <class T>
struct Matmul {
  std::ptrdiff_t (*scratch_elements)(std::ptrdiff_t count, std::ptrdiff_t m, std::ptrdiff_t k, std::ptrdiff_t n);
  void (*products)(std::ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b,
                   const MatrixStack<T>& c, T* scratch);
  void (*dots)(std::ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x,
               const MatrixStack<T>& y, T* scratch);
  std::ptrdiff_t (*striped_scratch)(std::ptrdiff_t k);
  void (*striped)(std::ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x,
                  const MatrixStack<T>& y, T* scratch);
  void (*inner)(std::ptrdiff_t count, const MatrixStack<const T>& x, const MatrixStack<const T>& y,
                const MatrixStack<T>& sum, T* scratch);
  void (*numbers)(std::ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b,
                  const MatrixStack<T>& c);
};

// What inner needs for operands that are not contiguous.
inline constexpr std::ptrdiff_t inner_block = 512, inner_scratch_elements = 2 * inner_block;

MMLFAST_KERNEL_TABLES(Matmul, matmul)

}  // namespace mmlfast
