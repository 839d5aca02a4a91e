// Sums of two doubles: about 106 bits. Without fma(), which not every processor has.
//
// Source: Dekker, Numerische Mathematik 18 (1971); Ogita, Rump and Oishi, Accurate sum and dot product, SIAM J. Sci.
// Comput. 26(6), 2005.
#pragma once

namespace mmlfast::drivers {

struct DoubleDouble {
  double high = 0, low = 0;

  // The same number with high next to it.
  static DoubleDouble of_ordered(double large, double small) noexcept {
    const double sum = large + small;
    return {sum, small - (sum - large)};
  }
  static DoubleDouble of_sum(double a, double b) noexcept {
    const double sum = a + b, from_b = sum - a;
    return {sum, (a - (sum - from_b)) + (b - from_b)};
  }
  DoubleDouble operator+(double x) const noexcept {
    const DoubleDouble sum = of_sum(high, x);
    return of_ordered(sum.high, sum.low + low);
  }
};

// A factor, split into halves of 26 bits once for many products. Not beyond 2^990.
struct Factor {
  double value, upper, lower;

  explicit Factor(double x) noexcept : value(x) {
    const double shifted = 0x1p27 * x + x;
    upper = shifted - (shifted - x);
    lower = x - upper;
  }
};

inline DoubleDouble product(const Factor& a, const Factor& b) noexcept {
  const double p = a.value * b.value;
  return {p, a.lower * b.lower - (((p - a.upper * b.upper) - a.lower * b.upper) - a.upper * b.lower)};
}

}  // namespace mmlfast::drivers
