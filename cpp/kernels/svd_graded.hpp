// One-sided Jacobi in lanes, see svd.hpp, for columns whose sizes are so far apart that no one scale holds the squares
// of all of them: column j is the numbers in memory times 2^exponent[j], its length in memory near one. The entries
// below `rows` (V) are what they are. Plain rotations, norms measured anew after each: it is for a few matrices.
#pragma once

#include "kernels/svd_jacobi.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// 2^-this is a power in the range of T, far below the rounding of a number near one and its square.
template <class T>
inline constexpr T farthest_exponent = sizeof(T) == 8 ? 1000 : 120;

// What is left of a column to length near one; below the square of rounding of what it was, to zero.
template <class T>
void measure_graded(const Columns<T>& c, vec<T>* exponent, const vec<T>* start, std::ptrdiff_t j,
                    const mask<T>& lanes) {
  vec<T>*x = c.column(j), mantissa, twice;
  const vec<T> norm = inner_product(x, x, c.rows);
  split_exponent(norm, mantissa, twice);
  const vec<T> shift = select(lanes, nearest(twice * broadcast<T>(static_cast<T>(0.5))), zero<T>());
  const vec<T> since = exponent[j] - start[j];
  const mask<T> vanished = lanes & (scale_by_power(norm, since + since) <= c.least[j]);
  const vec<T> factor = select(vanished, zero<T>(), power_of_two(-shift));
  for (std::ptrdiff_t i = 0; i < c.rows; ++i) x[i] = x[i] * factor;
  exponent[j] = exponent[j] + shift;
  c.norm[j] = select(lanes, norm * factor * factor, c.norm[j]);
}

// Makes columns p and q orthogonal in `lanes`; those that had to be turned are added to `turned`.
template <class T>
void turn_graded(const Columns<T>& c, vec<T>* exponent, const vec<T>* start, std::ptrdiff_t p, std::ptrdiff_t q,
                 const mask<T>& lanes, mask<T>& turned) {
  vec<T>*x = c.column(p), *y = c.column(q);
  const vec<T> tolerance = orthogonal_enough<T>(c.rows), one = broadcast<T>(1);
  const vec<T> dot = inner_product(static_cast<const vec<T>*>(x), static_cast<const vec<T>*>(y), c.rows);
  const mask<T> turns = (dot * dot > tolerance * tolerance * c.norm[p] * c.norm[q]) & lanes;
  if (!any(turns)) return;
  turned = turned | turns;
  // Of the two, the one with the larger exponent, times 2^-ratio, is of the scale of the other.
  const vec<T> apart = exponent[p] - exponent[q];
  const mask<T> first = apart >= zero<T>();
  const vec<T> ratio = power_of_two(-min(abs(apart), broadcast<T>(farthest_exponent<T>)));
  const vec<T> large = select(first, c.norm[p], c.norm[q]), small = select(first, c.norm[q], c.norm[p]);
  const vec<T> d = fma(small * ratio, ratio, -large), h = (dot + dot) * ratio;
  const vec<T> quotient = (dot + dot) / (d + copysign(sqrt(fma(h, h, d * d)), d));
  const vec<T> of_small = select(turns, quotient, zero<T>()), tangent = of_small * ratio, of_large = -(tangent * ratio);
  const vec<T> cosine = one / sqrt(fma(tangent, tangent, one));
  const vec<T> to_x = select(first, of_large, of_small), to_y = select(first, of_small, of_large);
  const vec<T> below = select(first, -tangent, tangent);
  for (std::ptrdiff_t i = 0; i < c.height; ++i) {
    const vec<T> a = x[i], b = y[i], f = i < c.rows ? to_x : below, g = i < c.rows ? to_y : -below;
    x[i] = cosine * fma(f, b, a);
    y[i] = cosine * fma(g, a, b);
  }
  measure_graded(c, exponent, start, p, turns);
  measure_graded(c, exponent, start, q, turns);
}

// Makes the columns orthogonal in the lanes of `wanted`; returns the lanes where that failed. c.weight is overwritten.
template <class T>
mask<T> orthogonalize_graded(const Columns<T>& c, vec<T>* exponent, const mask<T>& wanted) {
  const vec<T> noise = broadcast<T>(rounding_unit<T> * rounding_unit<T> * rounding_unit<T> * rounding_unit<T>);
  vec<T>* const start = c.weight;
  for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
    c.least[j] = zero<T>();
    start[j] = exponent[j];
    measure_graded(c, exponent, start, j, wanted);
    start[j] = exponent[j];
    c.least[j] = c.norm[j] * noise;
  }
  mask<T> turned = wanted;
  for (int k = 0; k < most_sweeps && any(turned); ++k) {
    const mask<T> active = turned;
    turned = no_lanes<T>();
    for (std::ptrdiff_t p = 0; p < c.cols; ++p)
      for (std::ptrdiff_t q = p + 1; q < c.cols; ++q) turn_graded(c, exponent, start, p, q, active, turned);
  }
  return turned;
}

// Norms that can be compared: of two, that with the larger exponent, else that with the larger mantissa, which comes
// back in norm. Zero is the least.
template <class T>
void make_comparable(vec<T>* norm, vec<T>* exponent, std::ptrdiff_t cols, const mask<T>& lanes) {
  for (std::ptrdiff_t j = 0; j < cols; ++j) {
    vec<T> mantissa, more;
    split_exponent(norm[j], mantissa, more);
    const vec<T> least = broadcast<T>(static_cast<T>(-8 * Format<T>::bias));
    exponent[j] = select(lanes, select(norm[j] > zero<T>(), exponent[j] + more, least), exponent[j]);
    norm[j] = select(lanes, mantissa, norm[j]);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
