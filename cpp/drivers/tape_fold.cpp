#include "drivers/tape_fold.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmlfast::drivers {
namespace {

double integer_power(double a, std::int32_t k) noexcept {
  double power = 1, base = k < 0 ? 1 / a : a;
  for (std::uint32_t left = k < 0 ? 0u - static_cast<std::uint32_t>(k) : static_cast<std::uint32_t>(k); left != 0;
       left >>= 1) {
    if ((left & 1u) != 0) power *= base;
    base *= base;
  }
  return power;
}

double sign(double a) noexcept { return a > 0 ? 1 : a < 0 ? -1 : a; }

double maximum(double a, double b) noexcept { return std::isnan(a) || a > b ? a : b; }
double minimum(double a, double b) noexcept { return std::isnan(a) || a < b ? a : b; }

double expit(double a) noexcept { return a >= 0 ? 1 / (1 + std::exp(-a)) : std::exp(a) / (1 + std::exp(a)); }
double softplus(double a) noexcept { return std::max(a, 0.0) + std::log1p(std::exp(-std::fabs(a))); }
double logaddexp(double a, double b) noexcept {
  return a == b ? a + std::log(2.0) : maximum(a, b) + std::log1p(std::exp(-std::fabs(a - b)));
}

double norm(const double* x, std::int32_t n) noexcept {
  double largest = 0, sum = 0;
  for (std::int32_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return x[i];
    largest = std::max(largest, std::fabs(x[i]));
  }
  if (largest == 0 || std::isinf(largest)) return largest;
  const int exponent = std::ilogb(largest);
  for (std::int32_t i = 0; i < n; ++i) {
    const double scaled = std::scalbn(x[i], -exponent);
    sum += scaled * scaled;
  }
  return std::scalbn(std::sqrt(sum), exponent);
}

double reduction(TapeOp op, const double* x, std::int32_t n) noexcept {
  if (op == TapeOp::norm) return norm(x, n);
  double sum = 0;
  for (std::int32_t i = 0; i < n; ++i) sum += op == TapeOp::dot ? x[i] * x[n + i] : x[i];
  return sum;
}

double of_two(TapeOp op, double a, double b) noexcept {
  switch (op) {
    case TapeOp::add:
      return a + b;
    case TapeOp::subtract:
      return a - b;
    case TapeOp::multiply:
      return a * b;
    case TapeOp::divide:
      return a / b;
    case TapeOp::divide_or_zero:
      return a == 0 && b == 0 ? 0 : a / b;
    case TapeOp::power:
      return std::pow(a, b);
    case TapeOp::arctan2:
      return std::atan2(a, b);
    case TapeOp::maximum:
      return maximum(a, b);
    case TapeOp::minimum:
      return minimum(a, b);
    case TapeOp::logaddexp:
      return logaddexp(a, b);
    case TapeOp::fmod:
      return std::fmod(a, b);
    case TapeOp::copysign:
      return std::copysign(a, b);
    case TapeOp::less:
      return a < b;
    case TapeOp::less_equal:
      return a <= b;
    case TapeOp::equal:
      return a == b;
    case TapeOp::not_equal:
      return a != b;
    case TapeOp::logical_and:
      return a != 0 && b != 0;
    case TapeOp::logical_or:
      return a != 0 || b != 0;
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

double of_one(TapeOp op, double a, std::int32_t aux) noexcept {
  switch (op) {
    case TapeOp::negative:
      return -a;
    case TapeOp::absolute:
      return std::fabs(a);
    case TapeOp::sign:
      return sign(a);
    case TapeOp::sqrt:
      return std::sqrt(a);
    case TapeOp::cbrt:
      return std::cbrt(a);
    case TapeOp::exp:
      return std::exp(a);
    case TapeOp::exp2:
      return std::exp2(a);
    case TapeOp::expm1:
      return std::expm1(a);
    case TapeOp::log:
      return std::log(a);
    case TapeOp::log2:
      return std::log2(a);
    case TapeOp::log10:
      return std::log10(a);
    case TapeOp::log1p:
      return std::log1p(a);
    case TapeOp::sin:
      return std::sin(a);
    case TapeOp::cos:
      return std::cos(a);
    case TapeOp::tan:
      return std::tan(a);
    case TapeOp::arcsin:
      return std::asin(a);
    case TapeOp::arccos:
      return std::acos(a);
    case TapeOp::arctan:
      return std::atan(a);
    case TapeOp::sinh:
      return std::sinh(a);
    case TapeOp::cosh:
      return std::cosh(a);
    case TapeOp::tanh:
      return std::tanh(a);
    case TapeOp::arcsinh:
      return std::asinh(a);
    case TapeOp::arccosh:
      return std::acosh(a);
    case TapeOp::arctanh:
      return std::atanh(a);
    case TapeOp::erf:
      return std::erf(a);
    case TapeOp::erfc:
      return std::erfc(a);
    case TapeOp::gammaln:
      return std::lgamma(a);
    case TapeOp::expit:
      return expit(a);
    case TapeOp::softplus:
      return softplus(a);
    case TapeOp::floor:
      return std::floor(a);
    case TapeOp::ceil:
      return std::ceil(a);
    case TapeOp::trunc:
      return std::trunc(a);
    case TapeOp::rint:
      return std::nearbyint(a);
    case TapeOp::logical_not:
      return a == 0;
    case TapeOp::integer_power:
      return integer_power(a, aux);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace

double tape_fold(TapeOp op, const double* operands, std::int32_t aux) noexcept {
  if (op == TapeOp::sum || op == TapeOp::dot || op == TapeOp::norm) return reduction(op, operands, aux);
  if (op == TapeOp::select) return operands[0] != 0 ? operands[1] : operands[2];
  if (op == TapeOp::multiply_add) return std::fma(operands[0], operands[1], operands[2]);
  return tape_operands(op) == 2 ? of_two(op, operands[0], operands[1]) : of_one(op, operands[0], aux);
}

}  // namespace mmlfast::drivers
