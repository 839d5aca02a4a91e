#include "drivers/common/double_double.hpp"

#include <limits>

namespace mmlfast::drivers::double_double {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double tiny = 1e-34;

bool is_special(const Double2& x) noexcept { return x.high == 0 || !std::isfinite(x.high); }

// exp(x) - 1 for |x| <= ln 2 / 2: the series at x / 512, doubled nine times by e^2x - 1 = (e^x - 1)(e^x + 1).
Double2 small_expm1(const Double2& x) noexcept {
  const Double2 r = times_power_of_two(x, -9);
  Double2 term = r, sum = r;
  for (int k = 2; k < 12; ++k) {
    term = term * r / Double2(k);
    sum = sum + term;
    if (std::abs(term.high) <= tiny * std::abs(sum.high)) break;
  }
  for (int k = 0; k < 9; ++k) sum = times_power_of_two(sum, 1) + sum * sum;
  return sum;
}

// How many quarters of a turn x is, and the rest.
int quarters(const Double2& x, Double2& rest) noexcept {
  const double k = std::nearbyint(x.high / half_pi.high);
  rest = x - Double2::product(k, half_pi.high) - Double2::product(k, half_pi.low) - Double2(k * half_pi_third);
  return static_cast<int>(std::fmod(k, 4)) & 3;
}

}  // namespace

Double2 sqrt(const Double2& x) noexcept {
  const double s = std::sqrt(x.high);
  if (is_special(s) || is_special(x)) return s;
  return Double2(s) + (x - Double2::product(s, s)) / Double2(2 * s);
}

Double2 cbrt(const Double2& x) noexcept {
  const double s = std::cbrt(x.high);
  if (is_special(s) || is_special(x)) return s;
  const Double2 square = Double2::product(s, s);
  return Double2(s) + (x - square * s) / (square * 3.0);
}

Double2 exp(const Double2& x) noexcept {
  if (!(std::abs(x.high) < 700)) return std::exp(x.high);
  const double k = std::nearbyint(x.high / ln_2.high);
  const Double2 rest = x - Double2::product(k, ln_2.high) - Double2::product(k, ln_2.low);
  return times_power_of_two(small_expm1(rest) + 1.0, static_cast<int>(k));
}

Double2 expm1(const Double2& x) noexcept { return std::abs(x.high) < 0.34 ? small_expm1(x) : exp(x) - 1.0; }

Double2 log(const Double2& x) noexcept {
  const double y = std::log(x.high);
  if (!std::isfinite(y)) return y;
  // One step of Newton for e^y = x; x near 1 has a y near 0, and its error is relative to that.
  return Double2(y) + (x - exp(y)) / exp(y);
}

Double2 log1p(const Double2& x) noexcept {
  if (!(std::abs(x.high) < 0.5)) return log(x + 1.0);
  const double y = std::log1p(x.high);
  const Double2 e = expm1(y);
  return Double2(y) + (x - e) / (e + 1.0);
}

void sincos(const Double2& x, Double2& sine, Double2& cosine) noexcept {
  if (!(std::abs(x.high) < 1e9)) {
    sine = cosine = nan;
    return;
  }
  Double2 r;
  const int quarter = quarters(x, r);
  const Double2 minus_square = -(r * r);
  Double2 s = r, c = 1.0, term_s = r, term_c = 1.0;
  for (int k = 1; k < 30; ++k) {
    term_c = term_c * minus_square / Double2((2.0 * k - 1) * (2.0 * k));
    term_s = term_s * minus_square / Double2((2.0 * k) * (2.0 * k + 1));
    c = c + term_c;
    s = s + term_s;
    if (std::abs(term_c.high) < tiny) break;
  }
  sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
  cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
}

Double2 arctan2(const Double2& y, const Double2& x) noexcept {
  const double angle = std::atan2(y.high, x.high);
  if (!std::isfinite(angle) || angle == 0 || !std::isfinite(y.high) || !std::isfinite(x.high)) return angle;
  // The rest by the tangent of a difference.
  Double2 s, c;
  sincos(angle, s, c);
  return Double2(angle) + (y * c - x * s) / (x * c + y * s);
}

Double2 sinh(const Double2& x) noexcept {
  if (std::abs(x.high) > 690) return std::sinh(x.high);
  const Double2 e = expm1(x);
  return times_power_of_two(e + e / (e + 1.0), -1);
}

Double2 cosh(const Double2& x) noexcept {
  if (std::abs(x.high) > 690) return std::cosh(x.high);
  const Double2 e = exp(x);
  return times_power_of_two(e + Double2(1.0) / e, -1);
}

Double2 tanh(const Double2& x) noexcept {
  if (std::abs(x.high) > 40) return std::tanh(x.high);
  const Double2 e = expm1(times_power_of_two(x, 1));
  return e / (e + 2.0);
}

Double2 arcsinh(const Double2& x) noexcept {
  if (is_special(x)) return x.high;
  const Double2 a = x.high < 0 ? -x : x, square = a * a;
  const Double2 y = log1p(a + square / (sqrt(square + 1.0) + 1.0));
  return x.high < 0 ? -y : y;
}

Double2 arccosh(const Double2& x) noexcept {
  const Double2 t = x - 1.0;
  return log1p(t + sqrt(t * (t + 2.0)));
}

Double2 arctanh(const Double2& x) noexcept {
  return times_power_of_two(log1p(times_power_of_two(x, 1) / (Double2(1.0) - x)), -1);
}

// exp(-x^2) times a series of positive terms (Abramowitz and Stegun 7.1.6).
Double2 erf(const Double2& x) noexcept {
  if (std::abs(x.high) > 8) return std::erf(x.high);
  const Double2 square = x * x;
  Double2 term = x, sum = x;
  for (int k = 1; k < 400; ++k) {
    term = term * times_power_of_two(square, 1) / Double2(2.0 * k + 1);
    sum = sum + term;
    if (std::abs(term.high) <= tiny * std::abs(sum.high)) break;
  }
  return times_power_of_two(exp(-square) * sum, 1) / sqrt(times_power_of_two(half_pi, 1));
}

Double2 floor(const Double2& x) noexcept {
  const double high = std::floor(x.high);
  return high == x.high ? Double2::normal(high, std::floor(x.low)) : Double2(high);
}

Double2 power(const Double2& x, int n) noexcept {
  Double2 square = n < 0 ? Double2(1.0) / x : x, result = 1.0;
  for (unsigned left = n < 0 ? 0u - static_cast<unsigned>(n) : static_cast<unsigned>(n); left > 0; left >>= 1) {
    if ((left & 1) != 0) result = result * square;
    if (left > 1) square = square * square;
  }
  return result;
}

Double2 power(const Double2& x, const Double2& y) noexcept {
  const double rounded = std::pow(x.high, y.high);
  if (y.low == 0 && y.high == std::nearbyint(y.high) && std::abs(y.high) <= 1024)
    return power(x, static_cast<int>(y.high));
  if (is_special(x) || is_special(y) || is_special(rounded)) return rounded;
  return x.high > 0 ? exp(y * log(x)) : Double2(nan);
}

}  // namespace mmlfast::drivers::double_double
