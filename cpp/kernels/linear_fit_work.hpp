// The rows of 8 fits in lanes, and the arithmetic of pairs: numbers with twice the digits, as the sum of two.
#pragma once

#include "kernels/common/lanes.hpp"
#include "kernels/linear_fit.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL::linear_fits {

using std::int64_t;
using std::ptrdiff_t;
using Vec = vec<double>;
using Mask = mask<double>;

MMLFAST_INLINE Vec number(double x) { return broadcast<double>(x); }

struct Pair {
  Vec high, low;
};

MMLFAST_INLINE Pair operator+(const Pair& a, const Pair& b) {
  Vec low;
  const Vec high = exact_sum(a.high, b.high, low);
  Pair r;
  r.high = ordered_sum(high, low + (a.low + b.low), r.low);
  return r;
}
MMLFAST_INLINE Pair operator*(const Pair& a, const Vec& b) {
  Vec low;
  const Vec high = exact_product(a.high, b, low);
  Pair r;
  r.high = ordered_sum(high, fma(a.low, b, low), r.low);
  return r;
}
MMLFAST_INLINE Pair operator*(const Pair& a, const Pair& b) {
  Vec low;
  const Vec high = exact_product(a.high, b.high, low);
  Pair r;
  r.high = ordered_sum(high, low + fma(a.low, b.high, a.high * b.low), r.low);
  return r;
}
MMLFAST_INLINE Pair operator-(const Pair& a) { return {-a.high, -a.low}; }

// sum += a b, for sums of many terms: low collects, and is added to high at the end.
MMLFAST_INLINE void add_product(Pair& sum, const Vec& a, const Vec& b) {
  Vec product_low, sum_low;
  const Vec product = exact_product(a, b, product_low);
  sum.high = exact_sum(sum.high, product, sum_low);
  sum.low = sum.low + (sum_low + product_low);
}

// Rows are added up four at a time, whatever their number: zeros at the end change nothing.
inline constexpr ptrdiff_t row_block = 4;

struct Work {
  ptrdiff_t n;     // rows in scratch, a multiple of row_block
  ptrdiff_t p, k;  // columns besides the ones, coefficients
  bool intercept;
  // Vectors of n, one after the other: pairs of p columns and of y, the roots of weights (0 where a row is not there),
  // k orthogonal columns, the residual and what is to be solved for.
  Vec *high, *low, *y_high, *y_low, *root_weight, *q, *residual, *f;
  // k x k: R, its inverse. k each: coefficients as pairs, steps, right-hand sides, lengths of the columns of A,
  // what rounding may have done to them. p each: where columns are centred, and the exponents of their units.
  Vec *r, *inverse, *c_high, *c_low, *step, *g, *d, *length, *rounding, *centre, *exponent;
  Vec count, rank, y_centre, y_exponent, weight_exponent, weight_sum, total_square, last_step;
  Mask not_finite, dependent;

  // Column j of A, unless it is the ones.
  MMLFAST_INLINE const Vec* column(ptrdiff_t j) const { return high + (j - (intercept ? 1 : 0)) * n; }
  MMLFAST_INLINE const Vec* column_low(ptrdiff_t j) const { return low + (j - (intercept ? 1 : 0)) * n; }
  MMLFAST_INLINE bool is_ones(ptrdiff_t j) const { return intercept && j == 0; }
};

inline ptrdiff_t vectors_per_row(const FitShape& s) {
  return 2 * s.terms + s.coefficients() + 5 + (s.terms == 0 ? 2 : 0);
}

inline ptrdiff_t padded(ptrdiff_t rows) { return (rows + row_block - 1) / row_block * row_block; }

inline ptrdiff_t scratch_vectors(ptrdiff_t rows, const FitShape& s) {
  const ptrdiff_t k = s.coefficients();
  return padded(rows) * vectors_per_row(s) + 2 * k * k + 7 * k + 2 * (s.terms + 1) + fit_record_length(s);
}

inline Work in_scratch(ptrdiff_t rows, const FitShape& s, void* scratch) {
  Work w;
  w.n = padded(rows);
  w.p = s.terms;
  w.k = s.coefficients();
  w.intercept = s.intercept;
  Vec* next = static_cast<Vec*>(scratch);
  const auto take = [&](ptrdiff_t vectors) {
    Vec* const from = next;
    next += vectors;
    return from;
  };
  const ptrdiff_t stored = w.p == 0 ? 1 : w.p;  // a polynomial of degree 0 reads its x all the same
  w.high = take(stored * w.n);
  w.low = take(stored * w.n);
  w.y_high = take(w.n);
  w.y_low = take(w.n);
  w.root_weight = take(w.n);
  w.q = take(w.k * w.n);
  w.residual = take(w.n);
  w.f = take(w.n);
  w.r = take(w.k * w.k);
  w.inverse = take(w.k * w.k);
  for (Vec** each : {&w.c_high, &w.c_low, &w.step, &w.g, &w.d, &w.length, &w.rounding}) *each = take(w.k);
  w.centre = take(stored);
  w.exponent = take(stored);
  return w;
}

MMLFAST_INLINE void set_lane(Vec& x, int lane, double value) {
  __builtin_memcpy(reinterpret_cast<char*>(&x) + 8 * lane, &value, 8);
}

}  // namespace mmlfast::MMLFAST_LEVEL::linear_fits
