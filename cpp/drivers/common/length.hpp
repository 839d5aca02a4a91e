// The length of a vector of two numbers, with the same bits on every machine.
#pragma once

#include <algorithm>
#include <cmath>

namespace mmlfast::drivers {

// sqrt(a^2 + b^2) without over- and underflow on the way. std::hypot has other last bits on other processors.
inline double length_of(double a, double b) noexcept {
  const double largest = std::max(std::fabs(a), std::fabs(b));
  if ((largest > 1e-140 && largest < 1e140) || !(largest > 0 && std::isfinite(largest)))
    return std::sqrt(a * a + b * b);
  int exponent;
  std::frexp(largest, &exponent);
  const double x = std::ldexp(a, -exponent), y = std::ldexp(b, -exponent);
  return std::ldexp(std::sqrt(x * x + y * y), exponent);
}

}  // namespace mmlfast::drivers
