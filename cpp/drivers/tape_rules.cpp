#include "drivers/tape_rules.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "drivers/tape_quotients.hpp"

namespace mmlfast::drivers {
namespace {

// t times a partial derivative, in the operations of the graph.
class Rule {
 public:
  Rule(TapeGraph& graph, const TapeElements& elements, TapeView t)
      : g_(graph), e_(elements), t_(t.begin(), t.end()), count_(static_cast<std::int32_t>(t.size())) {}

  TapeIds of(int k, bool& plain) {
    plain = false;
    switch (tape_operands(e_.op)) {
      case 1:
        return of_one(plain);
      case 2:
        return k == 0 ? of_first(plain) : of_second(plain);
      default:  // multiply_add
        plain = k == 2;
        return plain ? t_ : times(e_.operands[1 - k]);
    }
  }

 private:
  using Ids = TapeIds;

  Ids number(double value) { return {g_.constant(value)}; }
  Ids emit(TapeOp op, const Ids& x, std::int32_t aux = 0) { return g_.emit(op, x, {}, {}, aux, count_); }
  Ids emit(TapeOp op, const Ids& x, const Ids& y) { return g_.emit(op, x, y, {}, 0, count_); }
  Ids product(const Ids& x, const Ids& y) { return emit(TapeOp::multiply, x, y); }
  Ids quotient(const Ids& x, const Ids& y) { return emit(TapeOp::divide, x, y); }
  Ids negative(const Ids& x) { return emit(TapeOp::negative, x); }
  Ids select(const Ids& condition, const Ids& x, const Ids& y) {
    return g_.emit(TapeOp::select, condition, x, y, 0, count_);
  }
  Ids times(const Ids& partial) { return product(t_, partial); }
  // t * factor * partial: a factor joins what is known already, else the partial, which other derivatives share.
  Ids times(double factor, const Ids& partial) {
    if (known(t_)) return product(product(t_, number(factor)), partial);
    return times(product(number(factor), partial));
  }
  bool known(const Ids& ids) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return g_.is_constant(id); });
  }
  bool known(const Ids& ids, double value) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return g_.is_constant(id, value); });
  }
  // Is a value never 0, but for an underflow? No number of float64 has the cosine 0.
  bool never_zero(TapeId id, int depth) const {
    const TapeRun& run = g_.run_of(id);
    switch (run.op) {
      case TapeOp::constant:
        return g_.constant_value(id) > 0;
      case TapeOp::cos:
      case TapeOp::cosh:
      case TapeOp::exp:
      case TapeOp::expit:
      case TapeOp::softplus:
        return true;
      case TapeOp::multiply:
        return depth <= 16 && never_zero(run.operand[0][id - run.first], depth + 1) &&
               never_zero(run.operand[1][id - run.first], depth + 1);
      default:
        return false;
    }
  }
  // Is a value a sum of even powers, or a multiple of one? Where it is 0, so are its derivatives.
  bool sum_of_squares(TapeId id, int depth = 0) const {
    const TapeRun& run = g_.run_of(id);
    const std::int32_t i = id - run.first;
    const auto positive = [&](TapeId k) { return g_.is_constant(k) && g_.constant_value(k) > 0; };
    if (depth > 16) return false;
    const auto squares = [&](TapeId k) { return sum_of_squares(k, depth + 1); };
    switch (run.op) {
      case TapeOp::integer_power:
        return run.aux >= 2 && run.aux % 2 == 0;
      case TapeOp::add:
        return squares(run.operand[0][i]) && squares(run.operand[1][i]);
      case TapeOp::multiply:
        if (never_zero(run.operand[0][i], depth)) return squares(run.operand[1][i]);
        return never_zero(run.operand[1][i], depth) && squares(run.operand[0][i]);
      case TapeOp::maximum:  // with 0, against rounding: clip(a, 0, 1)
        return (g_.is_constant(run.operand[1][i], 0) && squares(run.operand[0][i])) ||
               (g_.is_constant(run.operand[0][i], 0) && squares(run.operand[1][i]));
      case TapeOp::minimum:
        return (positive(run.operand[1][i]) && squares(run.operand[0][i])) ||
               (positive(run.operand[0][i]) && squares(run.operand[1][i]));
      case TapeOp::divide:
        return positive(run.operand[1][i]) && squares(run.operand[0][i]);
      case TapeOp::dot:
        for (std::int32_t j = i * run.aux; j < (i + 1) * run.aux; ++j)
          if (run.operand[0][j] != run.operand[1][j]) return false;
        return true;
      case TapeOp::sum:
        for (std::int32_t j = i * run.aux; j < (i + 1) * run.aux; ++j)
          if (!squares(run.operand[0][j])) return false;
        return true;
      default:
        return false;
    }
  }
  // a, b and y of the elements
  const Ids& a() const { return e_.operands[0]; }
  const Ids& b() const { return e_.operands[1]; }
  const Ids& y() const { return e_.y; }
  Ids one_plus(const Ids& x) { return emit(TapeOp::add, number(1), x); }
  // Rounded once: good near 1, and so is its derivative near 0.
  Ids one_minus_square(const Ids& x) { return g_.emit(TapeOp::multiply_add, negative(x), x, number(1), 0, count_); }
  TapeQuotients quotients() { return {g_, count_}; }
  Ids square(const Ids& x) { return emit(TapeOp::integer_power, x, 2); }
  Ids norm(const Ids& x, const Ids& z) {
    Ids terms;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count_); ++i) {
      terms.push_back(x.size() == 1 ? x[0] : x[i]);
      terms.push_back(z.size() == 1 ? z[0] : z[i]);
    }
    return g_.emit(TapeOp::norm, terms, {}, {}, 2, count_);
  }

  Ids of_one(bool& plain) {
    if (Ids found = quotients().backwards(e_.op, y(), t_); !found.empty()) return found;
    switch (e_.op) {
      case TapeOp::identity:
        plain = true;
        return t_;
      case TapeOp::negative:
        plain = true;
        return negative(t_);
      case TapeOp::absolute:
        return times(emit(TapeOp::sign, a()));
      case TapeOp::integer_power:
        if (e_.aux < 0 && quotients().may_overflow(a())) {
          const Ids part = product(number(e_.aux), y()), forwards = quotients().forwards(t_, a());
          return forwards.empty() ? quotient(times(part), a()) : product(forwards, part);
        }
        return times(e_.aux, emit(TapeOp::integer_power, a(), e_.aux - 1));
      case TapeOp::sqrt: {
        // Of squares: a length, whose slope at 0 is 0 as that of a norm is, not 0 / 0.
        const bool is_length = std::all_of(a().begin(), a().end(), [&](TapeId id) { return sum_of_squares(id); });
        const Ids slope = known(t_) ? quotient(product(t_, number(0.5)), y()) : times(quotient(number(0.5), y()));
        return is_length ? select(emit(TapeOp::equal, y(), number(0)), number(0), slope) : slope;
      }
      case TapeOp::cbrt:
        return quotient(t_, product(number(3), square(y())));
      case TapeOp::exp:
        return times(y());
      case TapeOp::exp2:
        return times(std::numbers::ln2, y());
      case TapeOp::expm1:
        return times(emit(TapeOp::exp, a()));
      case TapeOp::log: {
        const Ids forwards = quotients().forwards(t_, a());
        return forwards.empty() ? quotient(t_, a()) : forwards;
      }
      case TapeOp::log2:
        return quotient(product(t_, number(std::numbers::log2e)), a());
      case TapeOp::log10:
        return quotient(product(t_, number(std::numbers::log10e)), a());
      case TapeOp::log1p:
        return quotient(t_, one_plus(a()));
      case TapeOp::gammaln:
        return times(emit(TapeOp::polygamma, a(), 0));
      case TapeOp::polygamma:
        return times(emit(TapeOp::polygamma, a(), e_.aux + 1));
      case TapeOp::erf:
      case TapeOp::erfc: {
        const double sign = e_.op == TapeOp::erf ? 1 : -1;
        return times(sign * 2 * std::numbers::inv_sqrtpi, emit(TapeOp::exp, negative(square(a()))));
      }
      case TapeOp::expit:
        return times(product(y(), emit(TapeOp::expit, negative(a()))));
      case TapeOp::softplus:
        return times(emit(TapeOp::expit, a()));
      default:
        return of_angle();
    }
  }

  Ids of_angle() {
    switch (e_.op) {
      case TapeOp::sin:
        return times(emit(TapeOp::cos, a()));
      case TapeOp::cos:
        return negative(times(emit(TapeOp::sin, a())));
      case TapeOp::tan:
        return times(one_plus(square(y())));
      case TapeOp::arcsin:
        return quotient(t_, emit(TapeOp::sqrt, one_minus_square(a())));
      case TapeOp::arccos:
        return negative(quotient(t_, emit(TapeOp::sqrt, one_minus_square(a()))));
      case TapeOp::arctan:
        return quotient(t_, one_plus(square(a())));
      case TapeOp::sinh:
        return times(emit(TapeOp::cosh, a()));
      case TapeOp::cosh:
        return times(emit(TapeOp::sinh, a()));
      case TapeOp::tanh:
        return times(square(quotient(number(1), emit(TapeOp::cosh, a()))));
      case TapeOp::arcsinh:
        return quotient(t_, norm(number(1), a()));
      case TapeOp::arccosh:
        return quotient(
            t_, product(emit(TapeOp::sqrt, emit(TapeOp::subtract, a(), number(1))), emit(TapeOp::sqrt, one_plus(a()))));
      default:  // arctanh
        return quotient(t_, one_minus_square(a()));
    }
  }

  Ids of_first(bool& plain) {
    switch (e_.op) {
      case TapeOp::add:
      case TapeOp::subtract:
      case TapeOp::fmod:
        plain = true;
        return t_;
      case TapeOp::divide:
        plain = known(b()) && std::none_of(b().begin(), b().end(), [&](TapeId id) {
                  return g_.constant_value(id) == 0 || std::isnan(g_.constant_value(id));
                });
        return quotient(t_, b());
      case TapeOp::divide_or_zero:
        return emit(TapeOp::divide_or_zero, t_, b());
      case TapeOp::power: {
        const Ids slope = product(b(), emit(TapeOp::power, a(), emit(TapeOp::subtract, b(), number(1))));
        if (known(b())) return times(slope);
        // 0 * 0 ** -1 is none. Of another base b a ** (b - 1) is right at b = 0 as well, and so are its own
        // derivatives.
        const Ids both =
            emit(TapeOp::logical_and, emit(TapeOp::equal, a(), number(0)), emit(TapeOp::equal, b(), number(0)));
        return times(select(both, number(0), slope));
      }
      case TapeOp::arctan2:
        return of_arctan2(b());
      case TapeOp::logaddexp:
        return of_logaddexp(a(), b());
      default:  // copysign
        return times(product(emit(TapeOp::copysign, number(1), a()), emit(TapeOp::copysign, number(1), b())));
    }
  }

  Ids of_second(bool& plain) {
    switch (e_.op) {
      case TapeOp::add:
        plain = true;
        return t_;
      case TapeOp::subtract:
        plain = true;
        return negative(t_);
      case TapeOp::divide:
        if (quotients().may_overflow(b())) {
          const Ids forwards = quotients().forwards(t_, b());
          return forwards.empty() ? quotient(negative(times(y())), b()) : negative(product(forwards, y()));
        }
        if (known(a(), 1)) return negative(times(square(y())));
        if (known(a())) return negative(times(quotient(y(), b())));
        return negative(product(quotient(t_, b()), y()));
      case TapeOp::divide_or_zero:
        return negative(emit(TapeOp::divide_or_zero, times(y()), b()));
      case TapeOp::power:
        return of_exponent();
      case TapeOp::arctan2:
        return negative(of_arctan2(a()));
      case TapeOp::logaddexp:
        return of_logaddexp(b(), a());
      default:  // fmod
        return negative(times(emit(TapeOp::trunc, quotient(a(), b()))));
    }
  }

  // t * (x / h) / h with h = norm(a, b), 0 at the origin.
  Ids of_arctan2(const Ids& x) {
    const Ids h = norm(a(), b());
    return emit(TapeOp::divide_or_zero, times(emit(TapeOp::divide_or_zero, x, h)), h);
  }

  // The share of x in log(exp(x) + exp(z)): half where both are the same infinity.
  Ids of_logaddexp(const Ids& x, const Ids& z) {
    const Ids difference = emit(TapeOp::subtract, x, z);
    const Ids same_infinity =
        emit(TapeOp::logical_and, emit(TapeOp::not_equal, difference, difference), emit(TapeOp::equal, x, z));
    return times(select(same_infinity, number(0.5), emit(TapeOp::expit, difference)));
  }

  // t * a ** b * log(a), 0 where a ** b is.
  Ids of_exponent() {
    const Ids logarithm = emit(TapeOp::log, a());
    const auto ordinary = [&](TapeId id) { return g_.is_constant(id) && std::isfinite(g_.constant_value(id)); };
    if (std::all_of(logarithm.begin(), logarithm.end(), ordinary)) return times(product(logarithm, y()));
    return select(emit(TapeOp::equal, y(), number(0)), number(0), times(product(y(), logarithm)));
  }

  TapeGraph& g_;
  const TapeElements& e_;
  const Ids t_;
  const std::int32_t count_;
};

}  // namespace

bool tape_differentiable(TapeOp op, int k) noexcept {
  switch (op) {
    case TapeOp::input:
    case TapeOp::constant:
    case TapeOp::sign:
    case TapeOp::floor:
    case TapeOp::ceil:
    case TapeOp::trunc:
    case TapeOp::rint:
      return false;
    case TapeOp::select:
      return k > 0;
    case TapeOp::copysign:
      return k == 0;
    default:
      return k < tape_operands(op) && !tape_is_condition(op);
  }
}

bool tape_vanishes(const TapeGraph& graph, const TapeRun& run, int k, std::int32_t i) noexcept {
  const bool product = run.op == TapeOp::multiply || run.op == TapeOp::dot;
  if (product || (run.op == TapeOp::multiply_add && k < 2)) return graph.is_constant(run.operand[1 - k][i], 0);
  return false;
}

std::vector<std::uint8_t> tape_dependence(const TapeGraph& graph, TapeView wrt) {
  std::vector<std::uint8_t> depends(static_cast<std::size_t>(graph.n_values()), 0);
  std::size_t first = graph.runs().size();
  for (TapeId id : wrt) {
    depends[static_cast<std::size_t>(id)] = 1;
    first = std::min(first, static_cast<std::size_t>(graph.run_number(id)));
  }
  for (std::size_t r = first; r < graph.runs().size(); ++r) tape_spread_dependence(graph, graph.runs()[r], depends);
  return depends;
}

void tape_spread_dependence(const TapeGraph& graph, const TapeRun& run, std::vector<std::uint8_t>& depends) {
  const std::int32_t terms = tape_reduces(run.op) ? run.aux : 1;
  for (int k = 0; k < run.n_operands(); ++k) {
    if (!tape_differentiable(run.op, k)) continue;
    for (std::int32_t i = 0; i < run.operand[k].size; ++i) {
      if (depends[static_cast<std::size_t>(run.operand[k][i])] == 0 || tape_vanishes(graph, run, k, i)) continue;
      const auto at = static_cast<std::size_t>(run.first);
      if (!tape_is_whole(run.op)) {
        depends[at + static_cast<std::size_t>(i / terms)] = 1;
        continue;
      }
      std::fill_n(depends.begin() + run.first, run.count, std::uint8_t{1});
      break;
    }
  }
}

TapeIds tape_rule(TapeGraph& graph, const TapeElements& elements, int k, TapeView t, bool& plain) {
  return Rule(graph, elements, t).of(k, plain);
}

TapeIds tape_chosen(TapeGraph& graph, const TapeElements& elements, int k) {
  const bool larger = (elements.op == TapeOp::maximum) == (k == 0);  // b <= a
  const TapeIds &low = elements.operands[larger ? 1 : 0], &high = elements.operands[larger ? 0 : 1];
  return graph.emit(TapeOp::less_equal, low, high, {}, 0, static_cast<std::int32_t>(elements.y.size()));
}

bool tape_is_norm_power(const TapeGraph& graph, const TapeRun& run, const std::vector<std::uint8_t>& leaf) noexcept {
  if (run.op != TapeOp::power && (run.op != TapeOp::integer_power || run.aux <= 2)) return false;
  for (std::int32_t i = 0; i < run.count; ++i) {
    const TapeId norm = run.operand[0][i];
    if (graph.run_of(norm).op != TapeOp::norm || leaf[static_cast<std::size_t>(norm)] != 0) return false;
    if (run.op == TapeOp::integer_power) continue;
    const TapeId exponent = run.operand[1][i];
    if (!graph.is_constant(exponent) || !(graph.constant_value(exponent) > 2)) return false;
  }
  return true;
}

TapeNormPower tape_norm_power(TapeGraph& graph, const TapeRun& run, const std::vector<std::int32_t>& which) {
  TapeNormPower found;
  TapeIds norms, slopes;
  std::vector<double> exponents;
  for (std::int32_t i : which) {
    norms.push_back(run.operand[0][i]);
    exponents.push_back(run.op == TapeOp::power ? graph.constant_value(run.operand[1][i]) : run.aux);
    const TapeRun& norm = graph.run_of(norms.back());
    found.terms.push_back(norm.aux);
    for (std::int32_t j = 0; j < norm.aux; ++j)
      found.x.push_back(norm.operand[0][(norms.back() - norm.first) * norm.aux + j]);
  }
  const TapeIds factors = graph.constants(exponents);
  for (double& exponent : exponents) exponent -= 2;
  const TapeIds lower = graph.emit(TapeOp::power, norms, graph.constants(exponents));
  const TapeIds outer = graph.emit(TapeOp::multiply, factors, lower);
  for (std::size_t n = 0; n < outer.size(); ++n)
    slopes.insert(slopes.end(), static_cast<std::size_t>(found.terms[n]), outer[n]);
  found.slope = graph.emit(TapeOp::multiply, slopes, found.x);
  return found;
}

TapeIds tape_cofactors(TapeGraph& graph, const TapeRun& run) {
  const std::int32_t n = run.aux;
  const TapeId zero = graph.constant(0), one = graph.constant(1);
  TapeIds a, unit;
  for (std::int32_t i = 0; i < n * n; ++i) {
    a.push_back(run.operand[0][i]);
    unit.push_back(i % (n + 1) == 0 ? one : zero);
  }
  const TapeIds inverse = graph.emit(TapeOp::solve, a, unit, {}, n, n * n);
  TapeIds transposed;
  for (std::int32_t i = 0; i < n * n; ++i) transposed.push_back(inverse[static_cast<std::size_t>(i % n * n + i / n)]);
  return graph.emit(TapeOp::multiply, transposed, TapeIds{run.first});
}

}  // namespace mmlfast::drivers
