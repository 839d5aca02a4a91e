// log |Gamma| and its derivatives in series: their Taylor coefficients at a_0, put together with a(t) - a_0.
#pragma once

#include "kernels/tape_polygamma.hpp"
#include "kernels/tape_taylor_series.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

// B_2k / (2k)!, k = 1 .. 12
inline constexpr double bernoulli_over_factorial[] = {
    8.3333333333333333e-02, -1.3888888888888889e-03, 3.3068783068783069e-05, -8.2671957671957672e-07,
    2.0876756987868099e-08, -5.2841901386874932e-10, 1.3382536530684679e-11, -3.3896802963225829e-13,
    8.5860620562778446e-15, -2.1748686985580619e-16, 5.5090028283602295e-18, -1.3954464685812523e-19};
inline constexpr double most_negative = -4096;  // below, the sums would take too long

// digamma(x) to z_1 where s is 1, and zeta(s, x) = sum of (x + i)^-s to each z_s with 2 <= s <= most_s. z_s is
// coefficient s - first_s of z.
//
// The sum is taken until x + i is large against s, the rest by Euler and Maclaurin's formula.
MMLFAST_NOINLINE inline void zeta(V x, int first_s, const Out& z) {
  const int most_s = first_s + z.last;
  const V one = number(1), large = number(16 + most_s), nil = zero<double>();
  for (int k = 0; k <= z.last; ++k) z.set(k, nil);
  const mask<double> refused = ~(x > number(most_negative));
  const V digamma = first_s == 1 ? polygamma::of(0, x) : nil;
  x = select(refused, large, x);
  // Terms as long as x is small. Where it is large already, they are not taken.
  for (mask<double> small = x < large; any(small); small = x < large) {
    const V r = one / x;
    V p = select(small, r, nil);
    for (int s = 1; s < first_s; ++s) p = p * r;
    for (int k = 0; k <= z.last; ++k, p = p * r) z.set(k, z[k].hi + p);
    x = select(small, x + one, x);
  }
  const V r = one / x, square = r * r;
  V p = one;  // x^(1 - s)
  for (int s = 1; s < first_s; ++s) p = p * r;
  for (int k = 0; k <= z.last; ++k, p = p * r) {
    const int s = first_s + k;
    if (s == 1) {
      z.set(k, digamma);
      continue;
    }
    V tail = nil;
    // s (s + 1) ... (s + 2 i) by Horner's rule from the last term.
    for (int i = 11; i >= 1; --i)
      tail = (tail + number(bernoulli_over_factorial[i])) * square * number((s + 2.0 * i - 1) * (s + 2.0 * i));
    tail = (tail + number(bernoulli_over_factorial[0])) * number(s) * r;
    z.set(k, z[k].hi + p * (one / number(s - 1) + r * (number(0.5) + tail)));
  }
  if (any(refused))
    for (int k = 0; k <= z.last; ++k) z.set(k, select(refused, not_a_number<double>(), z[k].hi));
}

// y := f_0 + f_1 h + f_2 h^2 + ..., h = a - a_0.
inline void compose(const In& f, const In& a, const Out& y, Scratch& scratch) {
  const Out h = scratch.series(a.last), t = scratch.series(y.last);
  for (int k = 0; k <= a.last; ++k) h.set(k, k == 0 ? of(0.0) : a[k]);
  const int n = y.last;
  for (int k = 0; k <= n; ++k) y.set(k, zero<double>());
  y.set(0, f.get(n));
  for (int i = n - 1; i >= 0; --i) {
    // y has n - 1 - i coefficients that count so far, after multiplication by h one more.
    const In short_y{y.rows, least(n, n - 1 - i)};
    for (int k = 1; k <= n - i; ++k) t.set(k, products(h, short_y, k, most(1, k - short_y.last), least(k, h.last)));
    for (int k = 1; k <= n - i; ++k) y.set(k, t[k]);
    y.set(0, f[i]);
  }
}

// gammaln where order < 0, else polygamma of this order.
inline void gamma_function(int order, const In& a, const Out& y, Scratch& scratch) {
  const int n = y.last, first_s = order < 0 ? 0 : order + 1;
  const Out f = scratch.series(n);
  if (order < 0) {
    if (n > 0) {
      const Out from_1{f.rows + 2 * row, n - 1};
      zeta(a[0].hi, 1, from_1);
    }
    f.set(0, lgamma(a[0].hi));
    for (int k = 2; k <= n; ++k) f.set(k, f[k] / (k % 2 != 0 ? -k : k));
  } else {
    zeta(a[0].hi, first_s, f);
    double factor = first_s % 2 != 0 ? -1 : 1;  // (-1)^(order + 1) (order + k)! / k!
    for (int k = 1; k <= order; ++k) factor *= k;
    for (int k = 0; k <= n; ++k) {
      if (k > 0) factor *= -static_cast<double>(order + k) / k;
      if (first_s + k > 1) f.set(k, f[k] * number(factor));
    }
  }
  // At the poles, 0, -1, -2, ...: infinite as it is.
  compose(f, a, y, scratch);
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
