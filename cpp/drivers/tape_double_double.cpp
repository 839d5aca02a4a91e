#include "drivers/tape_double_double.hpp"

#include <algorithm>
#include <limits>

#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

namespace dd = double_double;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool has_precision(TapeOp op) noexcept {
  switch (op) {
    case TapeOp::erfc:
    case TapeOp::gammaln:
    case TapeOp::polygamma:
    case TapeOp::solve:
    case TapeOp::determinant:
    case TapeOp::callback:
      return false;
    default:
      return true;
  }
}

Double2 truth(bool x) noexcept { return x ? 1.0 : 0.0; }
Double2 absolute(const Double2& x) noexcept { return x.high < 0 ? -x : x; }
Double2 truncated(const Double2& x) noexcept { return x.high < 0 ? -dd::floor(-x) : dd::floor(x); }

Double2 of_angle(TapeOp op, const Double2& x) noexcept {
  Double2 s, c;
  dd::sincos(x, s, c);
  return op == TapeOp::sin ? s : op == TapeOp::cos ? c : s / c;
}

Double2 of_one(TapeOp op, const Double2& x, std::int32_t aux) noexcept {
  switch (op) {
    case TapeOp::identity:
      return x;
    case TapeOp::negative:
      return -x;
    case TapeOp::absolute:
      return absolute(x);
    case TapeOp::sign:
      return x.high > 0 ? 1.0 : x.high < 0 ? -1.0 : x.high;
    case TapeOp::sqrt:
      return dd::sqrt(x);
    case TapeOp::cbrt:
      return dd::cbrt(x);
    case TapeOp::exp:
      return dd::exp(x);
    case TapeOp::exp2:
      return dd::exp(x * dd::ln_2);
    case TapeOp::expm1:
      return dd::expm1(x);
    case TapeOp::log:
      return dd::log(x);
    case TapeOp::log2:
      return dd::log(x) / dd::ln_2;
    case TapeOp::log10:
      return dd::log(x) / dd::ln_10;
    case TapeOp::log1p:
      return dd::log1p(x);
    case TapeOp::sin:
    case TapeOp::cos:
    case TapeOp::tan:
      return of_angle(op, x);
    case TapeOp::arcsin:
      return dd::arctan2(x, dd::sqrt((Double2(1.0) - x) * (x + 1.0)));
    case TapeOp::arccos:
      return dd::arctan2(dd::sqrt((Double2(1.0) - x) * (x + 1.0)), x);
    case TapeOp::arctan:
      return dd::arctan2(x, 1.0);
    case TapeOp::sinh:
      return dd::sinh(x);
    case TapeOp::cosh:
      return dd::cosh(x);
    case TapeOp::tanh:
      return dd::tanh(x);
    case TapeOp::arcsinh:
      return dd::arcsinh(x);
    case TapeOp::arccosh:
      return dd::arccosh(x);
    case TapeOp::arctanh:
      return dd::arctanh(x);
    case TapeOp::erf:
      return dd::erf(x);
    case TapeOp::expit:
      return Double2(1.0) / (dd::exp(-x) + 1.0);
    case TapeOp::softplus:
      return x.high > 0 ? x + dd::log1p(dd::exp(-x)) : dd::log1p(dd::exp(x));
    case TapeOp::floor:
      return dd::floor(x);
    case TapeOp::ceil:
      return -dd::floor(-x);
    case TapeOp::trunc:
      return truncated(x);
    case TapeOp::rint:
      return std::nearbyint(x.high);
    case TapeOp::logical_not:
      return truth(x.high == 0);
    case TapeOp::integer_power:
      return dd::power(x, aux);
    default:
      return nan;
  }
}

Double2 of_two(TapeOp op, const Double2& x, const Double2& y) noexcept {
  switch (op) {
    case TapeOp::add:
      return x + y;
    case TapeOp::subtract:
      return x - y;
    case TapeOp::multiply:
      return x * y;
    case TapeOp::divide:
      return x / y;
    case TapeOp::divide_or_zero:
      return x.high == 0 && y.high == 0 ? Double2(0.0) : x / y;
    case TapeOp::power:
      return dd::power(x, y);
    case TapeOp::arctan2:
      return dd::arctan2(x, y);
    case TapeOp::maximum:
      return is_nan(x) || y < x ? x : y;
    case TapeOp::minimum:
      return is_nan(x) || x < y ? x : y;
    case TapeOp::logaddexp:
      return y < x ? x + dd::log1p(dd::exp(y - x)) : y + dd::log1p(dd::exp(x - y));
    case TapeOp::fmod:
      return x - truncated(x / y) * y;
    case TapeOp::copysign:
      return std::signbit(y.high) ? -absolute(x) : absolute(x);
    case TapeOp::less:
      return truth(x < y);
    case TapeOp::less_equal:
      return truth(x < y || x == y);
    case TapeOp::equal:
      return truth(x == y);
    case TapeOp::not_equal:
      return truth(!(x == y));
    case TapeOp::logical_and:
      return truth(x.high != 0 && y.high != 0);
    case TapeOp::logical_or:
      return truth(x.high != 0 || y.high != 0);
    default:
      return nan;
  }
}

Double2 of_terms(const TapeRun& run, std::int32_t i, const Double2* values) noexcept {
  Double2 sum = 0.0;
  for (std::int32_t j = i * run.aux; j < (i + 1) * run.aux; ++j) {
    const Double2& x = values[run.operand[0][j]];
    sum = sum + (run.op == TapeOp::sum ? x : x * (run.op == TapeOp::dot ? values[run.operand[1][j]] : x));
  }
  return run.op == TapeOp::norm ? dd::sqrt(sum) : sum;
}

Double2 element(const TapeRun& run, std::int32_t i, const Double2* values) noexcept {
  const auto value = [&](int k) -> const Double2& { return values[run.operand[k][i]]; };
  switch (run.op) {
    case TapeOp::select:
      return value(0).high != 0 ? value(1) : value(2);
    case TapeOp::multiply_add:
      return value(0) * value(1) + value(2);
    case TapeOp::sum:
    case TapeOp::dot:
    case TapeOp::norm:
      return of_terms(run, i, values);
    default:
      return run.n_operands() == 1 ? of_one(run.op, value(0), run.aux) : of_two(run.op, value(0), value(1));
  }
}

}  // namespace

TapeDoubleDouble::TapeDoubleDouble(const TapeGraph& graph, TapeView outputs)
    : outputs_(outputs.begin(), outputs.end()), input_groups_(graph.input_groups()) {
  const std::vector<std::uint8_t> needed = graph.needed(outputs);
  for (std::size_t r = 0; r < needed.size(); ++r) {
    if (needed[r] == 0) continue;
    TapeRun run = graph.runs()[r];
    possible_ = possible_ && has_precision(run.op);
    n_values_ = run.first + run.count;
    if (run.op == TapeOp::constant) {
      run.aux = static_cast<std::int32_t>(constants_.size());
      for (std::int32_t i = 0; i < run.count; ++i) constants_.push_back(graph.constant_value(run.first + i));
    } else if (run.n_operands() > 0) {
      n_operations_ += run.operand[0].size;
    }
    runs_.push_back(run);
  }
}

bool TapeDoubleDouble::evaluate(const double* const* groups, Double2* results) const noexcept {
  const AlignedBuffer<Double2> memory(std::max(n_values_, 1));
  if (!memory) return false;
  Double2* values = memory.data();
  for (const TapeRun& run : runs_) {
    Double2* to = values + run.first;
    if (run.op == TapeOp::input)
      std::copy_n(groups[run.aux], run.count, to);
    else if (run.op == TapeOp::constant)
      std::copy_n(constants_.data() + run.aux, run.count, to);
    else
      for (std::int32_t i = 0; i < run.count; ++i) to[i] = element(run, i, values);
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) results[i] = outputs_[i] < 0 ? Double2(0.0) : values[outputs_[i]];
  return true;
}

}  // namespace mmlfast::drivers
