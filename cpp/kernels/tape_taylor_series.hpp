// Series in lanes: sums of products of their coefficients, and the recurrences that all functions are made of.
#pragma once

#include "kernels/tape_taylor.hpp"
#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

using V = vec<double>;
inline constexpr std::ptrdiff_t row = lanes<double>;
static_assert(row == taylor_lanes);

MMLFAST_INLINE V number(double x) { return broadcast<double>(x); }
MMLFAST_INLINE int least(int a, int b) { return a < b ? a : b; }
MMLFAST_INLINE int most(int a, int b) { return a > b ? a : b; }

// Where a vector is four registers, a function for each operation: it would be a large part of the code of all others.
#if defined(__AVX__)
#define MMLFAST_TAYLOR_INLINE MMLFAST_INLINE
#else
#define MMLFAST_TAYLOR_INLINE MMLFAST_NOINLINE inline
#endif

// ---- coefficients: sums of two numbers, of which the first is the rounded sum ----

struct C {
  V hi, lo;
};

MMLFAST_INLINE C of(const V& x) { return {x, zero<double>()}; }
MMLFAST_INLINE C of(double hi, double lo = 0) { return {number(hi), number(lo)}; }

// a + b, |b| being small against |a|. What is not finite stays as it is; so does 1 / infinity, whose rest is NaN.
MMLFAST_INLINE C rounded(const V& a, const V& b) {
  const mask<double> finite = (abs(a) < infinity<double>()) & (b == b);
  const V sum = select(finite, a + b, a);
  return {sum, select(finite, b - (sum - a), zero<double>())};
}
MMLFAST_INLINE C operator-(const C& a) { return {-a.hi, -a.lo}; }
MMLFAST_TAYLOR_INLINE C operator+(const C& a, const C& b) {
  V low;
  const V sum = exact_sum(a.hi, b.hi, low);
  return rounded(sum, low + (a.lo + b.lo));
}
MMLFAST_INLINE C operator-(const C& a, const C& b) { return a + -b; }
MMLFAST_TAYLOR_INLINE C operator*(const C& a, const C& b) {
  V low;
  const V product = exact_product(a.hi, b.hi, low);
  return rounded(product, fma(a.hi, b.lo, fma(a.lo, b.hi, low)));
}
MMLFAST_TAYLOR_INLINE C operator*(const C& a, const V& b) {
  V low;
  const V product = exact_product(a.hi, b, low);
  return rounded(product, fma(a.lo, b, low));
}
MMLFAST_TAYLOR_INLINE C operator/(const C& a, const C& b) {
  const V q = a.hi / b.hi;
  const V left = residual(a.hi, q, b.hi) + fnma(q, b.lo, a.lo);
  return rounded(q, left / b.hi);
}
MMLFAST_TAYLOR_INLINE C operator/(const C& a, int k) {
  const V d = number(k), inverse = number(1.0 / k), q = a.hi * inverse;
  return rounded(q, (residual(a.hi, q, d) + a.lo) * inverse);
}
MMLFAST_INLINE C select(const mask<double>& m, const C& a, const C& b) {
  return {select(m, a.hi, b.hi), select(m, a.lo, b.lo)};
}
MMLFAST_TAYLOR_INLINE C sqrt(const C& a) {
  const V y = mmlfast::MMLFAST_LEVEL::sqrt(a.hi);
  const V left = (residual(a.hi, y, y) + a.lo) / (y + y);
  return rounded(y, select(y == zero<double>(), y, left));
}

// What many coefficients are divided by.
class Divisor {
 public:
  explicit Divisor(const C& d) : d_(d), inverse_(number(1) / d.hi) {
    const V size = abs(d.hi);
    careful_ = any((size < number(0x1p-1000)) | (size > number(0x1p1000)));
  }
  MMLFAST_TAYLOR_INLINE C under(const C& a) const {
    if (careful_) [[unlikely]]
      return a / d_;
    const V q = a.hi * inverse_;
    return rounded(q, (residual(a.hi, q, d_.hi) + fnma(q, d_.lo, a.lo)) * inverse_);
  }

 private:
  C d_;
  V inverse_;
  bool careful_;
};

// ---- series ----

// A series that is read.
struct In {
  const double* rows;
  int last;

  MMLFAST_INLINE V degree() const { return load(rows); }
  MMLFAST_INLINE const double* at(int k) const { return rows + row * (2 * k + 1); }
  MMLFAST_INLINE C operator[](int k) const { return {load(at(k)), load(at(k) + row)}; }
  MMLFAST_INLINE C get(int k) const { return k <= last ? (*this)[k] : of(zero<double>()); }
  // Of one lane.
  double at(int k, int lane) const { return k <= last ? at(k)[lane] : 0; }
  double degree_at(int lane) const { return rows[lane]; }
};

// A series that is written.
struct Out {
  double* rows;
  int last;

  MMLFAST_INLINE operator In() const { return {rows, last}; }
  MMLFAST_INLINE C operator[](int k) const { return In(*this)[k]; }
  MMLFAST_INLINE double* at(int k) const { return rows + row * (2 * k + 1); }
  MMLFAST_INLINE void set(int k, const C& x) const {
    store(at(k), x.hi);
    store(at(k) + row, x.lo);
  }
  MMLFAST_INLINE void set(int k, const V& x) const { set(k, of(x)); }
  MMLFAST_INLINE void set_degree(const V& x) const { store(rows, x); }
  void put(int k, int lane, double hi, double lo = 0) const {
    at(k)[lane] = hi;
    at(k)[row + lane] = lo;
  }
  // Coefficient j of a, or 0 if there is none.
  void put_from(int k, int lane, const In& a, int j) const {
    if (j <= a.last)
      put(k, lane, a.at(j)[lane], a.at(j)[row + lane]);
    else
      put(k, lane, 0);
  }
  void put_degree(int lane, double x) const { rows[lane] = x; }
};

class Scratch {
 public:
  explicit Scratch(double* at) : at_(at) {}
  Out series(int last) {
    const Out taken{at_, last};
    at_ += taylor_size(last);
    return taken;
  }
  double* numbers(std::ptrdiff_t rows) {
    double* taken = at_;
    at_ += rows * row;
    return taken;
  }

 private:
  double* at_;
};

// sum + a b, and what rounding left of it, added to `rest`.
MMLFAST_INLINE void add_product(const C& a, const C& b, V& sum, V& rest) {
  V low, lost;
  const V product = exact_product(a.hi, b.hi, low);
  sum = exact_sum(sum, product, lost);
  rest = rest + (fma(a.hi, b.lo, low) + fma(a.lo, b.hi, lost));
}

// The sum of a_j b_(k - j) over from <= j <= to, which are coefficients that there are. One after the other:
// coefficients that are zero at either end change nothing.
MMLFAST_NOINLINE inline C products(In a, In b, int k, int from, int to) {
  V sum = zero<double>(), rest = sum;
  const double *x = a.at(from), *y = b.at(k - from);
  for (int j = from; j <= to; ++j, x += 2 * row, y -= 2 * row)
    add_product({load(x), load(x + row)}, {load(y), load(y + row)}, sum, rest);
  return rounded(sum, rest);
}

// Coefficient k of a b; of a_from t^from + ... instead of a.
MMLFAST_INLINE C product_at(const In& a, const In& b, int k, int from = 0) {
  return products(a, b, k, most(from, k - b.last), least(k, a.last));
}

// Coefficient k of a^2, without its first and last term if from = 1 (and k >= 1): each product of two once.
MMLFAST_TAYLOR_INLINE C square_at(const In& a, int k, int from = 0) {
  const C once = products(a, a, k, most(from, k - a.last), (k + 1) / 2 - 1);
  const C twice{once.hi + once.hi, once.lo + once.lo};
  if (k % 2 != 0 || k / 2 > a.last) return twice;
  return twice + a[k / 2] * a[k / 2];
}

MMLFAST_INLINE void copy(const In& a, const Out& y) {
  for (int k = 0; k <= y.last; ++k) y.set(k, a.get(k));
}

// t a'(t)
MMLFAST_INLINE Out slopes(const In& a, Scratch& scratch) {
  const Out d = scratch.series(a.last);
  for (int k = 0; k <= a.last; ++k) d.set(k, a[k] * number(k));
  return d;
}
MMLFAST_INLINE void scale(const Out& a, const C& factor) {
  for (int k = 0; k <= a.last; ++k) a.set(k, a[k] * factor);
}

// Coefficient k >= 1 of the integral of g a', d being the slopes of a: needs g to k - 1.
MMLFAST_INLINE C integral_at(const In& d, const In& g, int k) {
  return products(d, g, k, most(1, k - g.last), least(k, d.last)) / k;
}

// y := y_0 + the integral of a' / g, d being the slopes of a and g_0 given apart. Writes the slopes of y to `work`.
inline void integrate_quotient(const In& d, const In& g, const C& g_0, const Out& y, const Out& work) {
  const Divisor divisor(g_0);
  for (int k = 1; k <= y.last; ++k) {
    const C slope = divisor.under(d.get(k) - products(work, g, k, most(1, k - g.last), k - 1));
    work.set(k, slope);
    y.set(k, slope / k);
  }
}

// y := a b
inline void multiply(const In& a, const In& b, const Out& y) {
  y.set(0, a[0] * b[0]);
  for (int k = 1; k <= y.last; ++k) y.set(k, product_at(a, b, k));
}
inline void square(const In& a, const Out& y) {
  y.set(0, a[0] * a[0]);
  for (int k = 1; k <= y.last; ++k) y.set(k, square_at(a, k));
}

// y := a / b, b_0 not zero.
inline void divide(const In& a, const In& b, const Out& y) {
  const Divisor divisor(b[0]);
  y.set(0, a[0] / b[0]);
  for (int k = 1; k <= y.last; ++k) y.set(k, divisor.under(a.get(k) - product_at(b, y, k, 1)));
}

// y := sqrt(a), a_0 not zero.
inline void square_root(const In& a, const Out& y) {
  const C y_0 = sqrt(a[0]);
  const Divisor divisor({y_0.hi + y_0.hi, y_0.lo + y_0.lo});
  y.set(0, y_0);
  for (int k = 1; k <= y.last; ++k) y.set(k, divisor.under(a.get(k) - square_at(y, k, 1)));
}

// y := a^p, a_0 not zero, y_0 given: a y' = p y a'. p may differ from lane to lane.
inline void power(const In& a, const C& p, const Out& y, Scratch& scratch) {
  const Out d = slopes(a, scratch), work = scratch.series(y.last);
  const Divisor divisor(a[0]);
  for (int k = 1; k <= y.last; ++k) {
    const C grown = p * products(d, y, k, 1, least(k, d.last));
    const C slope = divisor.under(grown - products(work, a, k, most(1, k - a.last), k - 1));
    work.set(k, slope);
    y.set(k, slope / k);
  }
}

// Lanes in which a is constant: there y is, too, and exactly so.
MMLFAST_INLINE void keep_constant(const mask<double>& lanes_of_it, const Out& y) {
  const V nil = zero<double>();
  y.set_degree(select(lanes_of_it, nil, infinity<double>()));
  if (!any(lanes_of_it)) return;
  for (int k = 1; k <= y.last; ++k) y.set(k, select(lanes_of_it, of(nil), y[k]));
}
// By its degree, or because a polynomial has only zeros after c_0 (t - t).
inline mask<double> is_constant(const In& a) {
  const V nil = zero<double>(), degree = a.degree();
  mask<double> open = (degree > nil) & (degree <= number(a.last));
  for (int k = 1; k <= a.last && any(open); ++k) open = open & (a[k].hi == nil);
  return (degree == nil) | open;
}

// Lanes where a_0 is zero and something may follow.
MMLFAST_INLINE mask<double> starts_with_zero(const In& a) { return (a[0].hi == zero<double>()) & ~is_constant(a); }

// body(lane) for each lane of the mask.
template <class Body>
MMLFAST_INLINE void for_lanes(const mask<double>& m, Body&& body) {
  for (std::uint32_t left = to_bitmask(m); left != 0; left &= left - 1) body(__builtin_ctz(left));
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
