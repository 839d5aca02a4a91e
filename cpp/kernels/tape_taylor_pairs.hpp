// Functions of two operands.
#pragma once

#include "kernels/tape_taylor_functions.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

// a / b; or_zero: 0 where both begin with 0, whatever follows.
inline void quotient(const In& a, const In& b, bool or_zero, const Out& y, Scratch& scratch) {
  divide(a, b, y);
  const V nil = zero<double>();
  const mask<double> b_constant = is_constant(b), both = is_constant(a) & b_constant;
  if (any(both)) keep_constant(both, y);
  y.set_degree(select(b_constant, a.degree(), infinity<double>()));
  const mask<double> b_zero = b[0].hi == nil;
  if (!any(b_zero)) return;
  const mask<double> a_zero = a[0].hi == nil, decided = or_zero ? a_zero : no_lanes<double>();
  const mask<double> open = b_zero & ~both & ~decided;
  if (any(open)) divide_at_zero(a, b, open, y, scratch);
  for_lanes(b_zero & decided, [&](int lane) {
    const bool constant = a.degree_at(lane) == 0 && b.degree_at(lane) == 0;
    set_constant(y, lane, 0);
    if (!constant) y.put_degree(lane, __builtin_inf());
  });
}

// a^b. In lanes where b is constant by its own recurrence, else as e^(b log a).
inline void general_power(const In& a, const In& b, const Out& y, Scratch& scratch) {
  const V nil = zero<double>(), y_0 = pow(a[0].hi, b[0].hi);
  const mask<double> constant_a = is_constant(a), constant_b = is_constant(b), both = constant_a & constant_b;
  y.set(0, y_0);
  if (!all(constant_b)) {
    Scratch work = scratch;
    const Out log_a = work.series(y.last), exponent = work.series(y.last);
    logarithm(a, a[0], log(a[0].hi), log_a, work);
    multiply(b, log_a, exponent);
    exponential(exponent, y, work);
  }
  if (any(constant_b)) {
    Scratch work = scratch;
    const Out by_constant = work.series(y.last);
    by_constant.set(0, y_0);
    power(a, b[0], by_constant, work);
    for (int k = 1; k <= y.last; ++k) y.set(k, select(constant_b, by_constant[k], y[k]));
  }
  keep_constant(both, y);
  const mask<double> zeros = (a[0].hi == nil) & ~both;
  if (!any(zeros)) return;
  if (any(zeros & constant_b)) power_at_zero(a, b[0], false, zeros & constant_b, y, scratch);
  for_lanes(zeros & ~constant_b & constant_a & (b[0].hi > nil), [&](int lane) { set_constant(y, lane, 0); });
}

// The angle of (x, y): angle' = (x y' - y x') / h^2, with both divided by h first.
inline void angle(const In& y, const In& x, const Out& r, Scratch& scratch) {
  const V nil = zero<double>(), h = hypotenuse(y[0].hi, x[0].hi);
  const mask<double> origin = h == nil;
  const C safe = of(select(origin, number(1), h));
  const Out u = scratch.series(y.last), v = scratch.series(x.last), g = scratch.series(r.last);
  for (int k = 0; k <= y.last; ++k) u.set(k, y[k] / safe);
  for (int k = 0; k <= x.last; ++k) v.set(k, x[k] / safe);
  for (int k = 0; k <= r.last; ++k) g.set(k, square_at(u, k) + square_at(v, k));
  const Out du = slopes(u, scratch), dv = slopes(v, scratch), work = scratch.series(r.last);
  const Divisor divisor(select(origin, of(1.0), g[0]));
  for (int k = 1; k <= r.last; ++k) {
    const C turned = products(du, v, k, most(1, k - v.last), least(k, du.last)) -
                     products(dv, u, k, most(1, k - u.last), least(k, dv.last));
    const C slope = divisor.under(turned - products(work, g, k, 1, k - 1));
    work.set(k, slope);
    r.set(k, slope / k);
  }
  r.set(0, atan2(y[0].hi, x[0].hi));
  const mask<double> both = is_constant(y) & is_constant(x);
  keep_constant(both | origin, r);
  r.set_degree(select(both, nil, infinity<double>()));
}

// log(e^a + e^b): its slope is the average of those of a and b, weighted by their shares.
inline void log_of_sum_series(const In& a, const In& b, const Out& y, Scratch& scratch) {
  const Out difference = scratch.series(y.last), share = scratch.series(y.last);
  const V a_0 = a[0].hi, b_0 = b[0].hi;
  for (int k = 1; k <= y.last; ++k) difference.set(k, a.get(k) - b.get(k));
  difference.set(0, select(a_0 == b_0, of(zero<double>()), a[0] - b[0]));
  Scratch rest = scratch;
  logistic_series(difference, share, rest);
  const Out da = slopes(a, scratch), db = slopes(b, scratch);
  const C other = of(logistic(-difference[0].hi));
  y.set(0, tape_functions::Logaddexp::of(a_0, b_0));
  for (int k = 1; k <= y.last; ++k) {
    // b' (1 - share), whose coefficients after the first are those of -share.
    const C of_a = products(da, share, k, 1, least(k, da.last)),
            of_b = products(db, share, k, 1, least(k - 1, db.last));
    const C first_b = k <= db.last ? db[k] * other : of(zero<double>());
    y.set(k, (of_a + (first_b - of_b)) / k);
  }
  keep_constant(is_constant(a) & is_constant(b), y);
}

// The larger, or the smaller; where both begin alike, what is so on both sides of t = 0, or the average.
inline void larger(const In& a, const In& b, bool smaller, const Out& y) {
  const V a_0 = a[0].hi, b_0 = b[0].hi;
  const mask<double> takes_a = (smaller ? a_0 < b_0 : a_0 > b_0) | (a_0 != a_0);
  for (int k = 0; k <= y.last; ++k) y.set(k, select(takes_a, a.get(k), b.get(k)));
  y.set_degree(select(takes_a, a.degree(), b.degree()));
  const mask<double> ties = a_0 == b_0;
  if (!any(ties)) return;
  for_lanes(ties, [&](int lane) {
    const int order = compare_ties(a, b, lane);
    const bool a_wins = order == (smaller ? -1 : 1);
    for (int k = 1; k <= y.last; ++k) {
      if (order == 0)
        y.put(k, lane, 0.5 * a.at(k, lane) + 0.5 * b.at(k, lane));
      else
        y.put_from(k, lane, a_wins ? a : b, k);
    }
    const double more = a.degree_at(lane) > b.degree_at(lane) ? a.degree_at(lane) : b.degree_at(lane);
    y.put_degree(lane, order == 0 ? __builtin_inf() : more);
  });
}

// a - n b, n = trunc(a / b), which does not change around t = 0.
inline void remainder(const In& a, const In& b, const Out& y) {
  const V a_0 = a[0].hi, r = tape_functions::Fmod::of(a_0, b[0].hi);
  const C n = of(-tape_functions::to_nearest((a_0 - r) / b[0].hi));
  y.set(0, r);
  for (int k = 1; k <= y.last; ++k) y.set(k, a.get(k) + n * b.get(k));
  y.set_degree(max(a.degree(), b.degree()));
}

// The piece that the value is on: a or -a.
inline void copy_sign(const In& a, const In& b, const Out& y) {
  const V one = number(1), a_0 = a[0].hi, b_0 = b[0].hi, sign = copysign(one, a_0) * copysign(one, b_0);
  y.set_degree(a.degree());
  for (int k = 1; k <= y.last; ++k) y.set(k, a.get(k) * sign);
  y.set(0, copysign(a_0, b_0));
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
