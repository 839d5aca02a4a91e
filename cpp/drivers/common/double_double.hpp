// Numbers of twice the precision of float64 as sums of two of them, about 32 digits, with the elementary functions. For
// few numbers: each function takes some hundreds of ns.
//
// Sources: Dekker, Numerische Mathematik 18 (1971); Hida, Li and Bailey, Algorithms for quad-double precision floating
// point arithmetic, ARITH-15 (2001), for the algorithms of sqrt, exp and log.
#pragma once

#include <cmath>

namespace mmlfast::drivers {

struct Double2 {
  double high = 0, low = 0;

  constexpr Double2() noexcept = default;
  constexpr Double2(double x) noexcept : high(x) {}  // NOLINT: numbers are numbers
  constexpr Double2(double h, double l) noexcept : high(h), low(l) {}

  // The same number with high next to it; of infinities and NaN high alone.
  static Double2 normal(double h, double l) noexcept {
    const double sum = h + l;
    if (!std::isfinite(sum)) return {sum, 0};
    return {sum, l - (sum - h)};
  }
  static Double2 sum(double a, double b) noexcept {
    const double s = a + b, from_b = s - a;
    return {s, (a - (s - from_b)) + (b - from_b)};
  }
  static Double2 product(double a, double b) noexcept {
    const double p = a * b;
    return {p, std::fma(a, b, -p)};
  }
};

inline Double2 operator-(const Double2& a) noexcept { return {-a.high, -a.low}; }
inline Double2 operator+(const Double2& a, const Double2& b) noexcept {
  const Double2 high = Double2::sum(a.high, b.high), low = Double2::sum(a.low, b.low);
  const Double2 once = Double2::normal(high.high, high.low + low.high);
  return Double2::normal(once.high, once.low + low.low);
}
inline Double2 operator-(const Double2& a, const Double2& b) noexcept { return a + -b; }
inline Double2 operator*(const Double2& a, const Double2& b) noexcept {
  const Double2 p = Double2::product(a.high, b.high);
  return Double2::normal(p.high, p.low + (a.high * b.low + a.low * b.high));
}
inline Double2 operator/(const Double2& a, const Double2& b) noexcept {
  const double first = a.high / b.high;
  if (!std::isfinite(first) || !std::isfinite(b.high)) return {first, 0};
  Double2 left = a - b * first;
  const double second = left.high / b.high;
  left = left - b * second;
  return Double2::normal(first, second) + Double2(left.high / b.high);
}
inline bool operator<(const Double2& a, const Double2& b) noexcept {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}
inline bool operator==(const Double2& a, const Double2& b) noexcept { return a.high == b.high && a.low == b.low; }
inline bool is_nan(const Double2& a) noexcept { return std::isnan(a.high); }

inline Double2 times_power_of_two(const Double2& a, int k) noexcept {
  return {std::ldexp(a.high, k), std::ldexp(a.low, k)};
}

namespace double_double {

inline constexpr Double2 ln_2{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
inline constexpr Double2 ln_10{0x1.26bb1bbb55516p+1, -0x1.f48ad494ea3e9p-53};
inline constexpr Double2 half_pi{0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};
inline constexpr double half_pi_third = -0x1.f1976b7ed8fbcp-110;

Double2 sqrt(const Double2& x) noexcept;
Double2 cbrt(const Double2& x) noexcept;
Double2 exp(const Double2& x) noexcept;
Double2 expm1(const Double2& x) noexcept;
Double2 log(const Double2& x) noexcept;
Double2 log1p(const Double2& x) noexcept;
void sincos(const Double2& x, Double2& sine, Double2& cosine) noexcept;
Double2 arctan2(const Double2& y, const Double2& x) noexcept;
Double2 sinh(const Double2& x) noexcept;
Double2 cosh(const Double2& x) noexcept;
Double2 tanh(const Double2& x) noexcept;
Double2 arcsinh(const Double2& x) noexcept;
Double2 arccosh(const Double2& x) noexcept;
Double2 arctanh(const Double2& x) noexcept;
Double2 erf(const Double2& x) noexcept;
// Largest whole number that is not above x.
Double2 floor(const Double2& x) noexcept;
// By repeated multiplication.
Double2 power(const Double2& x, int n) noexcept;
Double2 power(const Double2& x, const Double2& y) noexcept;

}  // namespace double_double
}  // namespace mmlfast::drivers
