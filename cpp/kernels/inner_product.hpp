// Inner products, lengths, distances, angles and components in a direction of many vectors or pairs of them, in float64
// for both types.
//
//   x, y     IN       `count` vectors of d components, any strides; the step `norm` does not look at y
//   out      OUT      one number per item: sum x_i y_i; sqrt(sum x_i^2); sqrt(sum (x_i - y_i)^2); the angle in [0, pi];
//                     sum x_i u_i for u = y / |y|
//   scratch  SCRATCH  scratch_elements(d) elements, 64-byte aligned
//   returns whether some angle or direction does not exist: x or y is the zero vector. The result is NaN then
//
// Flops per item: 2 d, 2 d, 3 d; 13 d for an angle; 5 d. Bytes: each operand once, twice or three times for d > 64.
// Accumulation: up to d = 64 one chain of fused multiply-adds per item in the order of the components, in lanes of
// items; beyond, four times eight chains over every 32nd component, added by halves. Neither the batch, the layout nor
// the SIMD level changes a bit.
//
// Accuracy: relative error of a norm or distance at most (d / 2 + 2) u, whatever the range of the components: where
// the sum of squares over- or underflows it is summed again, scaled by a power of two. Inner products: d u |x|'|y|,
// also where terms or partial sums overflow; components in a direction: (d + 4) u |x|'|u|, whatever the range of y.
// Angles: a few u in absolute terms, for parallel and opposite vectors too. float32: all of this in float64, rounded
// once. NaN and infinity propagate within their item.
//
// Source: the angle is 2 atan2(|u - v|, |u + v|) of the unit vectors u and v (W. Kahan, How futile are mindless
// assessments of roundoff in floating-point computation?, 2006, section 12); atan by the rational function of the
// Cephes library.
//
//     inner = numpy.einsum("...i,...i", x, y); norm = numpy.linalg.norm(x, axis=-1)
//     u, v = x / numpy.linalg.norm(x, axis=-1, keepdims=True), y / numpy.linalg.norm(y, axis=-1, keepdims=True)
//     projection = numpy.einsum("...i,...i", x, v)
//     angle = 2 * numpy.arctan2(numpy.linalg.norm(u - v, axis=-1), numpy.linalg.norm(u + v, axis=-1))
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

enum class InnerStep : int { inner, norm, distance, angle, projection };

// Component k of vector i is data[i * next + k * step].
template <class T>
struct VectorStack {
  const T* data;
  std::ptrdiff_t next, step;
};

template <class T>
struct InnerProduct {
  std::ptrdiff_t (*scratch_elements)(std::ptrdiff_t d);
  bool (*items)(InnerStep step, std::ptrdiff_t count, std::ptrdiff_t d, const VectorStack<T>& x,
                const VectorStack<T>& y, T* out, std::ptrdiff_t out_next, T* scratch);
};

MMLFAST_KERNEL_TABLES(InnerProduct, inner_product)

}  // namespace mmlfast
