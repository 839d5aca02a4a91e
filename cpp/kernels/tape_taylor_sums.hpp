// Sums, dot products and norms of many terms.
#pragma once

#include "kernels/tape_taylor_values.hpp"
#include "kernels/tape_taylor_zeros.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

inline constexpr int partial_sums = 8;

// Partial sums of series: term after term to one after the other, each with the lanes of a vector, or terms in lanes.
class Sums {
 public:
  Sums(int last, bool across, Scratch& scratch) : last_(last), across_(across) {
    for (Out& one : sum_) one = scratch.series(last);
  }

  // add(k) is coefficient k of the next term.
  template <class Add>
  MMLFAST_INLINE void add(const V& degree, Add&& term) {
    const Out& to = sum_[across_ ? 0 : n_ % partial_sums];
    const bool first = across_ ? n_ == 0 : n_ < partial_sums;
    ++n_;
    to.set_degree(first ? degree : max(In(to).degree(), degree));
    for (int k = 0; k <= last_; ++k) to.set(k, first ? term(k) : to[k] + term(k));
  }

  void finish(const Out& y) {
    if (n_ == 0) {
      y.set_degree(zero<double>());
      for (int k = 0; k <= last_; ++k) y.set(k, zero<double>());
    } else if (across_) {
      y.set_degree(number(reduce_max(In(sum_[0]).degree())));
      for (int k = 0; k <= last_; ++k) y.set(k, across(sum_[0][k]));
    } else {
      join(y);
    }
  }

 private:
  // All lanes added up in the order in which join adds series.
  static C across(const C& x) {
    alignas(vec_bytes) double hi[partial_sums], lo[partial_sums];
    store(hi, x.hi), store(lo, x.lo);
    C sum = x;
    for (int half = partial_sums / 2; half > 0; half /= 2) {
      alignas(vec_bytes) double moved_hi[partial_sums] = {}, moved_lo[partial_sums] = {};
      for (int i = 0; i < half; ++i) moved_hi[i] = hi[i + half], moved_lo[i] = lo[i + half];
      sum = sum + C{load(moved_hi), load(moved_lo)};
      store(hi, sum.hi), store(lo, sum.lo);
    }
    return of(hi[0], lo[0]);
  }

  void join(const Out& y) {
    const int count = least(n_, partial_sums);
    for (int half = partial_sums / 2; half > 0; half /= 2) {
      for (int i = 0; i < half && i + half < count; ++i) {
        const Out &to = sum_[i], &from = sum_[i + half];
        to.set_degree(max(In(to).degree(), In(from).degree()));
        for (int k = 0; k <= last_; ++k) to.set(k, to[k] + from[k]);
      }
    }
    y.set_degree(In(sum_[0]).degree());
    copy(sum_[0], y);
  }

  int last_, n_ = 0;
  bool across_;
  Out sum_[partial_sums];
};

// Terms of one of the eight results, or of the only one.
struct Terms {
  const TaylorOperand* a;
  int count;
  bool across;

  int vectors() const { return across ? (count + taylor_lanes - 1) / taylor_lanes : count; }
  MMLFAST_INLINE In operator[](int j) const { return {a[j].rows, a[j].last}; }
};

// The square of u = a / |a|, summed, is g = 1 + g_1 t + ...; y := |a(0)| sqrt(g). Where all terms begin with zero, u is
// a divided by the largest of all coefficients, and y the root of a series that begins with t^2m: smooth if m is even;
// a kink if it is odd, whose two sides have the average 0.
inline void norm(const Terms& terms, const Out& y, Scratch& scratch) {
  const V nil = zero<double>(), one = number(1);
  V largest_0 = nil, largest = nil;
  for (int j = 0; j < terms.vectors(); ++j) {
    const In a = terms[j];
    largest_0 = max(abs(a[0].hi), largest_0);
    for (int k = 1; k <= a.last; ++k) largest = max(abs(a[k].hi), largest);
  }
  if (terms.across) {
    largest_0 = number(reduce_max(largest_0));
    largest = number(reduce_max(largest));
  }
  const mask<double> at_zero = largest_0 == nil;
  const V size = select(at_zero, largest, largest_0);
  const C divisor = of(select(size == nil, one, size));
  const Out u = scratch.series(y.last), g = scratch.series(y.last), root = scratch.series(y.last);
  Sums squares(y.last, terms.across, scratch);
  for (int j = 0; j < terms.vectors(); ++j) {
    const In a = terms[j];
    const In unit{u.rows, a.last};
    for (int k = 0; k <= a.last; ++k) u.set(k, a[k] / divisor);
    squares.add(a.degree() + a.degree(), [&](int k) { return square_at(unit, k); });
  }
  squares.finish(g);
  square_root(g, root);
  const mask<double> constant = is_constant(g);
  keep_constant(constant, root);
  if (any(at_zero & ~constant)) {
    power_at_zero(g, of(0.5), false, at_zero & ~constant, root, scratch);
    for_lanes(at_zero & ~constant, [&](int lane) {
      if (leading(g, lane) / 2 % 2 == 0) return;
      for (int k = 1; k <= y.last; ++k) root.put(k, lane, 0);
      root.put_degree(lane, __builtin_inf());
    });
  }
  y.set_degree(In(root).degree());
  for (int k = 0; k <= y.last; ++k) y.set(k, root[k] * divisor);
  const mask<double> infinite = largest_0 == infinity<double>();
  if (any(infinite)) y.set(0, select(infinite, of(largest_0), y[0]));
}

inline void sum_of(const Terms& terms, const Out& y, Scratch& scratch) {
  Sums sums(y.last, terms.across, scratch);
  for (int j = 0; j < terms.vectors(); ++j) {
    const In a = terms[j];
    sums.add(a.degree(), [&](int k) { return a.get(k); });
  }
  sums.finish(y);
}

inline void dot_of(const Terms& terms, const TaylorOperand* others, const Out& y, Scratch& scratch) {
  Sums sums(y.last, terms.across, scratch);
  for (int j = 0; j < terms.vectors(); ++j) {
    const In a = terms[j], b{others[j].rows, others[j].last};
    if (a.rows == b.rows)
      sums.add(a.degree() + b.degree(), [&](int k) { return square_at(a, k); });
    else
      sums.add(a.degree() + b.degree(), [&](int k) { return k == 0 ? a[0] * b[0] : product_at(a, b, k); });
  }
  sums.finish(y);
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
