// emit(): what is known is not computed, and what a simpler operation gives, to the bit, is that operation. The
// exceptions to "to the bit" are powers (x ** 2.0 is x * x, x ** .5 is sqrt(x)), which users would write themselves,
// and what has good derivatives under another name: the square of a norm is the sum of squares, which is smooth at 0;
// 1 / (1 + exp(-x)) and log(1 + exp(x)) are the logistic function and its integral, and the logarithm of a sum of a few
// exponentials is logaddexp: their slopes are not 0 * inf or 0 / 0 where exp overflows or vanishes.
//
// x * 0 is not simplified (x may be inf or NaN), nor x + 0 (x may be -0).
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "drivers/tape_fold.hpp"
#include "drivers/tape_graph.hpp"
#include "drivers/tape_quotients.hpp"

namespace mmlfast::drivers {
namespace {

using Result = std::optional<TapeIds>;

// What was asked for. A view of one id stands for as many of it as are needed.
struct Request {
  TapeOp op;
  TapeView a, b, c;
  std::int32_t aux, count;
};

TapeId at(TapeView ids, std::size_t i) { return ids.size() == 1 ? ids[0] : ids[i]; }

TapeIds spread(TapeView ids, std::int32_t count) {
  if (ids.size() == 1) return TapeIds(static_cast<std::size_t>(count), ids[0]);
  return {ids.begin(), ids.end()};
}

bool same_ids(TapeView a, TapeView b) {
  if (a.data() == b.data() && a.size() == b.size()) return true;
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    if (at(a, i) != at(b, i)) return false;
  return true;
}

class Simplifier {
 public:
  Simplifier(TapeGraph& graph, const Request& request) : g_(graph), r_(request) {}

  Result simplified() {
    if (tape_can_fold(r_.op) && all_constant(r_.a) && all_constant(r_.b) && all_constant(r_.c)) return folded();
    switch (r_.op) {
      case TapeOp::add:
      case TapeOp::subtract:
        return of_sum();
      case TapeOp::multiply:
        return of_product();
      case TapeOp::divide:
        return of_quotient();
      case TapeOp::power:
        return of_power();
      case TapeOp::integer_power:
        return of_integer_power();
      case TapeOp::select:
        return of_select();
      case TapeOp::log:
      case TapeOp::log1p:
        return of_logarithm();
      case TapeOp::sum:
      case TapeOp::dot:
      case TapeOp::norm:
        return of_reduction();
      case TapeOp::maximum:
      case TapeOp::minimum:
        return same_ids(r_.a, r_.b) ? Result(spread(r_.a, r_.count)) : Result();
      case TapeOp::logical_and:
      case TapeOp::logical_or:
        return of_logical();
      case TapeOp::negative:
      case TapeOp::absolute:
      case TapeOp::logical_not:
        return of_sign();
      default:
        return {};
    }
  }

 private:
  bool all_constant(TapeView ids) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return g_.is_constant(id); });
  }
  bool all(TapeView ids, double value) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return g_.is_constant(id, value); });
  }
  bool all(TapeView ids, TapeOp op) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return g_.run_of(id).op == op; });
  }
  // What they are computed from, if `op` computes all of them.
  TapeIds operands_of(TapeView ids, int k) const {
    TapeIds operands(ids.size());
    std::transform(ids.begin(), ids.end(), operands.begin(), [&](TapeId id) { return g_.operand_of(id, k); });
    return operands;
  }
  TapeIds spread_a() const { return spread(r_.a, r_.count); }
  TapeIds emit(TapeOp op, TapeView a, TapeView b = {}, std::int32_t aux = 0) const {
    return g_.emit(op, a, b, {}, aux, r_.count);
  }

  TapeIds folded() const {
    const std::int32_t n = tape_reduces(r_.op) ? r_.aux * r_.count : r_.count;
    std::vector<double> numbers;
    std::int32_t sizes[3] = {}, k = 0;
    for (TapeView ids : {r_.a, r_.b, r_.c}) {
      if (ids.empty()) break;
      const bool as_given = tape_is_whole(r_.op);
      sizes[k] = as_given ? static_cast<std::int32_t>(ids.size()) : n;
      for (std::size_t i = 0; i < static_cast<std::size_t>(sizes[k]); ++i)
        numbers.push_back(g_.constant_value(as_given ? ids[i] : at(ids, i)));
      ++k;
    }
    return g_.constants(tape_fold(r_.op, r_.aux, r_.count, std::move(numbers), sizes));
  }

  Result of_sum() const {
    const TapeOp other = r_.op == TapeOp::add ? TapeOp::subtract : TapeOp::add;
    const auto is_zero = [&](TapeView ids, bool minus) {
      return all(ids, 0.0) && std::all_of(ids.begin(), ids.end(),
                                          [&](TapeId id) { return std::signbit(g_.constant_value(id)) == minus; });
    };
    if (is_zero(r_.b, r_.op == TapeOp::add)) return spread_a();
    if (r_.op == TapeOp::add && is_zero(r_.a, true)) return spread(r_.b, r_.count);
    if (r_.op == TapeOp::subtract && all(r_.a, 1.0) && all(r_.b, TapeOp::expit) && !g_.is_as_written())
      return emit(TapeOp::expit, emit(TapeOp::negative, operands_of(r_.b, 0)));
    if (all(r_.b, TapeOp::negative)) return emit(other, r_.a, operands_of(r_.b, 0));
    if (r_.op == TapeOp::add && all(r_.a, TapeOp::negative)) return emit(other, r_.b, operands_of(r_.a, 0));
    return {};
  }

  Result of_product() const {
    if (all(r_.b, 1.0)) return spread_a();
    if (all(r_.a, 1.0)) return spread(r_.b, r_.count);
    if (all(r_.b, -1.0)) return emit(TapeOp::negative, r_.a);
    if (all(r_.a, -1.0)) return emit(TapeOp::negative, r_.b);
    if (same_ids(r_.a, r_.b)) return emit(TapeOp::integer_power, r_.a, {}, 2);
    if (all(r_.a, TapeOp::negative) && all(r_.b, TapeOp::negative))
      return emit(TapeOp::multiply, operands_of(r_.a, 0), operands_of(r_.b, 0));
    for (const auto& [ids, other] : {std::pair{r_.a, r_.b}, std::pair{r_.b, r_.a}})
      if (all_constant(ids) && all(other, TapeOp::negative))
        return emit(TapeOp::multiply, negated(ids), operands_of(other, 0));
    return {};
  }
  TapeIds negated(TapeView constants) const {
    std::vector<double> values(constants.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = -g_.constant_value(constants[i]);
    return g_.constants(values);
  }

  // x of the exponentials in 1 + exp(x), if that is what the ids are.
  Result exponent_beside_one(TapeView ids) const {
    if (g_.is_as_written() || !all(ids, TapeOp::add)) return {};
    for (int k : {0, 1}) {
      const TapeIds power = operands_of(ids, k);
      if (all(power, TapeOp::exp) && all(operands_of(ids, 1 - k), 1.0)) return operands_of(power, 0);
    }
    return {};
  }

  // Sums of so many exponentials have logarithms of their own: a mixture of a few, written out. Of more, as arrays have
  // them, a tree of logaddexp would take several times as long where nothing overflows.
  static constexpr int most_levels = 2;

  // Are these exp(L), with L that can be said, as a positive number, a positive multiple of another, a sum of others?
  bool has_exponent(TapeView ids, int levels = most_levels) const {
    const auto positive = [&](TapeId id) { return g_.is_constant(id) && g_.constant_value(id) > 0; };
    const auto are_positive = [&](const TapeIds& k) { return std::all_of(k.begin(), k.end(), positive); };
    if (all(ids, TapeOp::exp) || are_positive({ids.begin(), ids.end()})) return true;
    if (all(ids, TapeOp::multiply))
      return (are_positive(operands_of(ids, 0)) && all(operands_of(ids, 1), TapeOp::exp)) ||
             (are_positive(operands_of(ids, 1)) && all(operands_of(ids, 0), TapeOp::exp));
    if (all(ids, TapeOp::divide)) return are_positive(operands_of(ids, 1)) && all(operands_of(ids, 0), TapeOp::exp);
    return levels > 0 && all(ids, TapeOp::add) && has_exponent(operands_of(ids, 0), levels - 1) &&
           has_exponent(operands_of(ids, 1), levels - 1);
  }
  TapeIds exponent(TapeView ids) const {
    if (all_constant(ids)) return emit(TapeOp::log, ids);
    if (all(ids, TapeOp::exp)) return operands_of(ids, 0);
    const TapeIds a = exponent(operands_of(ids, 0)), b = exponent(operands_of(ids, 1));
    const TapeOp op = g_.run_of(ids[0]).op;
    return emit(op == TapeOp::multiply ? TapeOp::add
                : op == TapeOp::divide ? TapeOp::subtract
                                       : TapeOp::logaddexp,
                a, b);
  }

  // k of divisors cosh(x) ** k, or those of other functions that overflow: rules take powers of -k past infinities.
  std::int32_t power_that_overflows(TapeView ids) const {
    std::int32_t power = 0;
    for (TapeId id : ids) {
      const TapeRun& run = g_.run_of(id);
      if (run.op != TapeOp::integer_power || run.aux < 2 || (power != 0 && run.aux != power)) return 0;
      if (!tape_overflows(g_.run_of(run.operand[0][id - run.first]).op)) return 0;
      power = run.aux;
    }
    return power;
  }

  // By a power of two: the product with its reciprocal, which is a power of two as well.
  Result of_quotient() const {
    if (all(r_.b, 1.0)) return spread_a();
    if (all(r_.b, -1.0)) return emit(TapeOp::negative, r_.a);
    if (const Result x = exponent_beside_one(r_.b)) {
      if (all(r_.a, TapeOp::exp) && same_ids(operands_of(r_.a, 0), *x)) return emit(TapeOp::expit, *x);
      return emit(TapeOp::multiply, r_.a, emit(TapeOp::expit, emit(TapeOp::negative, *x)));
    }
    const auto is_power_of_two = [&](TapeId id) {
      if (!g_.is_constant(id)) return false;
      int exponent = 0;
      return std::fabs(std::frexp(g_.constant_value(id), &exponent)) == 0.5 && exponent > -1000 && exponent < 1000;
    };
    if (const std::int32_t power = power_that_overflows(r_.b); power > 0 && !g_.is_as_written())
      return emit(TapeOp::multiply, r_.a, emit(TapeOp::integer_power, operands_of(r_.b, 0), {}, -power));
    if (std::all_of(r_.b.begin(), r_.b.end(), is_power_of_two)) {
      std::vector<double> reciprocals(r_.b.size());
      for (std::size_t i = 0; i < reciprocals.size(); ++i) reciprocals[i] = 1 / g_.constant_value(r_.b[i]);
      return emit(TapeOp::multiply, r_.a, g_.constants(reciprocals));
    }
    return {};
  }

  Result of_logarithm() const {
    if (g_.is_as_written()) return {};
    if (r_.op == TapeOp::log1p) {
      if (all(r_.a, TapeOp::exp)) return emit(TapeOp::softplus, operands_of(r_.a, 0));
      if (all(r_.a, TapeOp::add) && has_exponent(r_.a)) return emit(TapeOp::softplus, exponent(r_.a));
      return {};
    }
    if (all(r_.a, TapeOp::expit)) {
      const TapeIds x = emit(TapeOp::negative, operands_of(r_.a, 0));
      return emit(TapeOp::negative, emit(TapeOp::softplus, x));
    }
    if (const Result x = exponent_beside_one(r_.a)) return emit(TapeOp::softplus, *x);
    if (all(r_.a, TapeOp::add) && has_exponent(r_.a)) return exponent(r_.a);
    return {};
  }

  // Constant exponents, each by what it is.
  Result of_power() const {
    if (!all_constant(r_.b)) return {};
    if (r_.b.size() == 1 || all(r_.b, g_.constant_value(r_.b[0])))
      return of_power(r_.a, g_.constant_value(r_.b[0]), r_.count);
    std::vector<std::size_t> order(r_.b.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto exponent = [&](std::size_t i) { return g_.constant_value(r_.b[i]); };
    const auto bits = [&](std::size_t i) { return std::bit_cast<std::uint64_t>(exponent(i)); };
    std::sort(order.begin(), order.end(),
              [&](std::size_t i, std::size_t j) { return std::pair(bits(i), i) < std::pair(bits(j), j); });
    TapeIds result(order.size());
    for (std::size_t from = 0, to = 0; from < order.size(); from = to) {
      TapeIds group;
      for (to = from; to < order.size() && bits(order[to]) == bits(order[from]); ++to)
        group.push_back(at(r_.a, order[to]));
      const TapeIds part = of_power(group, exponent(order[from]), static_cast<std::int32_t>(group.size()));
      for (std::size_t i = from; i < to; ++i) result[order[i]] = part[i - from];
    }
    return result;
  }
  TapeIds of_power(TapeView a, double exponent, std::int32_t count) const {
    if (exponent == 0.5) return g_.emit(TapeOp::sqrt, a, {}, {}, 0, count);
    if (exponent == std::floor(exponent) && std::fabs(exponent) <= 64)
      return g_.emit(TapeOp::integer_power, a, {}, {}, static_cast<std::int32_t>(exponent), count);
    return g_.append(TapeOp::power, {a, TapeIds{g_.constant(exponent)}}, 0, count);
  }

  Result of_integer_power() const {
    const std::int32_t k = r_.aux;
    if (k == 0) return TapeIds(static_cast<std::size_t>(r_.count), g_.constant(1));
    if (k == 1) return spread_a();
    if (k == -1) return emit(TapeOp::divide, TapeIds{g_.constant(1)}, r_.a);
    if (k % 2 != 0) return {};
    if (all(r_.a, TapeOp::negative) || all(r_.a, TapeOp::absolute))
      return emit(TapeOp::integer_power, operands_of(r_.a, 0), {}, k);
    if (k > 0 && all(r_.a, TapeOp::norm)) return square_of_norm();
    return {};
  }
  // norm(x) ** k with k even: dot(x, x) ** (k / 2).
  Result square_of_norm() const {
    const std::int32_t terms = g_.run_of(r_.a[0]).aux;
    TapeIds x;
    for (TapeId id : r_.a) {
      const TapeRun& run = g_.run_of(id);
      if (run.aux != terms) return {};
      for (std::int32_t j = 0; j < terms; ++j) x.push_back(run.operand[0][(id - run.first) * terms + j]);
    }
    const TapeIds squares = g_.emit(TapeOp::dot, x, x, {}, terms, static_cast<std::int32_t>(r_.a.size()));
    return emit(TapeOp::integer_power, squares, {}, r_.aux / 2);
  }

  Result of_select() const {
    if (same_ids(r_.b, r_.c)) return spread(r_.b, r_.count);
    const auto known = [&](TapeId id) { return g_.is_constant(id); };
    if (std::any_of(r_.a.begin(), r_.a.end(), known)) return of_known_select();
    if (const Result inner = inside(r_.b, 1)) return g_.emit(TapeOp::select, r_.a, *inner, r_.c, 0, r_.count);
    if (const Result inner = inside(r_.c, 2)) return g_.emit(TapeOp::select, r_.a, r_.b, *inner, 0, r_.count);
    return {};
  }
  // Where the condition is known, the answer is; the others remain.
  TapeIds of_known_select() const {
    TapeIds result(static_cast<std::size_t>(r_.count)), a, b, c;
    std::vector<std::size_t> rest;
    for (std::size_t i = 0; i < result.size(); ++i) {
      const TapeId condition = at(r_.a, i);
      if (g_.is_constant(condition)) {
        result[i] = at(g_.constant_value(condition) != 0 ? r_.b : r_.c, i);
        continue;
      }
      rest.push_back(i);
      a.push_back(condition);
      b.push_back(at(r_.b, i));
      c.push_back(at(r_.c, i));
    }
    if (rest.empty()) return result;
    const TapeIds part = g_.emit(TapeOp::select, a, b, c, 0, static_cast<std::int32_t>(rest.size()));
    for (std::size_t i = 0; i < rest.size(); ++i) result[rest[i]] = part[i];
    return result;
  }
  // Selects under the same condition: what they select then.
  Result inside(TapeView ids, int k) const {
    if (!all(ids, TapeOp::select)) return {};
    const std::size_t n = std::max(ids.size(), r_.a.size());
    TapeIds inner(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (g_.operand_of(at(ids, i), 0) != at(r_.a, i)) return {};
      inner[i] = g_.operand_of(at(ids, i), k);
    }
    return inner;
  }

  Result of_reduction() const {
    if (r_.op == TapeOp::dot && all(r_.b, 1.0)) return emit(TapeOp::sum, r_.a, {}, r_.aux);
    if (r_.op == TapeOp::dot && all(r_.a, 1.0)) return emit(TapeOp::sum, r_.b, {}, r_.aux);
    if (r_.aux > 1) return {};
    if (r_.op == TapeOp::sum) return spread_a();
    return r_.op == TapeOp::dot ? emit(TapeOp::multiply, r_.a, r_.b) : emit(TapeOp::absolute, r_.a);
  }

  bool conditions(TapeView ids) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return tape_is_condition(g_.run_of(id).op); });
  }
  Result of_logical() const {
    const bool is_and = r_.op == TapeOp::logical_and;
    for (const auto& [ids, other] : {std::pair{r_.a, r_.b}, std::pair{r_.b, r_.a}}) {
      if (same_ids(ids, other) && conditions(ids)) return spread(ids, r_.count);
      if (!all_constant(other)) continue;
      const auto truth = [&](TapeId id) { return g_.constant_value(id) != 0; };
      const bool all_true = std::all_of(other.begin(), other.end(), truth);
      const bool none_true = std::none_of(other.begin(), other.end(), truth);
      if (!all_true && !none_true) continue;
      if (all_true == is_and && conditions(ids)) return spread(ids, r_.count);
      if (all_true != is_and) return TapeIds(static_cast<std::size_t>(r_.count), g_.constant(is_and ? 0 : 1));
    }
    return {};
  }

  Result of_sign() const {
    switch (r_.op) {
      case TapeOp::negative:
        if (all(r_.a, TapeOp::negative)) return spread(operands_of(r_.a, 0), r_.count);
        if (all(r_.a, TapeOp::multiply)) {
          const TapeIds a = operands_of(r_.a, 0), b = operands_of(r_.a, 1);
          if (all_constant(a)) return emit(TapeOp::multiply, negated(a), b);
          if (all_constant(b)) return emit(TapeOp::multiply, a, negated(b));
        }
        return {};
      case TapeOp::absolute:
        if (all(r_.a, TapeOp::absolute)) return spread_a();
        if (all(r_.a, TapeOp::negative)) return emit(TapeOp::absolute, operands_of(r_.a, 0));
        return {};
      default: {  // logical_not
        if (all(r_.a, TapeOp::equal)) return emit(TapeOp::not_equal, operands_of(r_.a, 0), operands_of(r_.a, 1));
        if (all(r_.a, TapeOp::not_equal)) return emit(TapeOp::equal, operands_of(r_.a, 0), operands_of(r_.a, 1));
        if (!all(r_.a, TapeOp::logical_not)) return {};
        const TapeIds inner = operands_of(r_.a, 0);
        return conditions(inner) ? Result(spread(inner, r_.count)) : Result();
      }
    }
  }

  TapeGraph& g_;
  const Request& r_;
};

}  // namespace

TapeIds TapeGraph::emit(TapeOp op, TapeView a, TapeView b, TapeView c, std::int32_t aux, std::int32_t count) {
  if (count < 0) {
    count = static_cast<std::int32_t>(std::max({a.size(), b.size(), c.size()}));
    if (tape_reduces(op)) count = aux > 0 ? count / aux : 1;
  }
  if (count == 0) return {};
  if (tape_reduces(op) && aux == 0) return TapeIds(static_cast<std::size_t>(count), constant(0));
  const std::int64_t terms = tape_reduces(op) ? std::int64_t{count} * aux : count;
  if (terms > std::numeric_limits<std::int32_t>::max()) return append(op, {a, b, c}, aux, count);
  const Request request{op, a, b, c, aux, count};
  if (Result simpler = Simplifier(*this, request).simplified()) return *std::move(simpler);
  return append(op, {a, b, c}, aux, count);
}

}  // namespace mmlfast::drivers
