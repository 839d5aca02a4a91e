// Values at t = 0 which no operation of a tape gives by itself.
#pragma once

#include "kernels/tape_functions.hpp"
#include "kernels/tape_taylor_series.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

inline constexpr double two_over_root_pi = 1.12837916709551257390;

// sqrt(x^2 + y^2) where the squares may be out of range.
MMLFAST_INLINE V hypotenuse(const V& x, const V& y) {
  const V a = max(abs(x), abs(y)), b = min(abs(x), abs(y)), ratio = select(a == zero<double>(), b, b / a);
  const V h = a * sqrt(fma(ratio, ratio, number(1)));
  return select(a == infinity<double>(), a, h);
}

// e^(-x^2), with what rounding the square left.
MMLFAST_INLINE V exp_of_minus_square(const V& x) {
  V low;
  const V square = exact_product(x, x, low), e = exp(-square);
  return select(abs(x) < number(30), fnma(e, low, e), e);
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
