#include "drivers/tape_quotients.hpp"

#include <algorithm>
#include <limits>

namespace mmlfast::drivers {
namespace {

bool is_sum(TapeOp op) noexcept { return op == TapeOp::add || op == TapeOp::subtract; }

// The operation that gives y'; that of exp is y itself.
TapeOp slope_of(TapeOp op) noexcept {
  return op == TapeOp::cosh ? TapeOp::sinh : op == TapeOp::sinh ? TapeOp::cosh : TapeOp::exp;
}

}  // namespace

bool tape_overflows(TapeOp op) noexcept {
  return op == TapeOp::exp || op == TapeOp::expm1 || op == TapeOp::cosh || op == TapeOp::sinh;
}

TapeQuotients::Part TapeQuotients::part_of(TapeId y, TapeId divisor) const {
  if (y == divisor) return Part::same;
  const TapeOp op = g_.run_of(divisor).op;
  if (!is_sum(op)) return Part::none;
  if (g_.operand_of(divisor, 0) == y) return Part::plus;
  if (g_.operand_of(divisor, 1) != y) return Part::none;
  return op == TapeOp::add ? Part::plus : Part::minus;
}

// One more element. False if it is not as those before.
bool TapeQuotients::take(Grown& grown, TapeId y, TapeId divisor) const {
  const Part part = part_of(y, divisor);
  const TapeOp op = g_.run_of(y).op;
  const bool is_first = grown.y.empty();
  if (is_first) grown.part = part;
  if (part == Part::none || !tape_overflows(op) || part != grown.part) return false;
  if (!is_first && op != g_.run_of(grown.y[0]).op) return false;
  grown.y.push_back(y);
  grown.divisor.push_back(divisor);
  if (part != Part::same) grown.other.push_back(g_.operand_of(divisor, g_.operand_of(divisor, 0) == y ? 1 : 0));
  return true;
}

TapeIds TapeQuotients::relative_slope_of(TapeOp op, const TapeIds& x) {
  if (op == TapeOp::exp) return number(1);
  if (op == TapeOp::expm1) return emit(TapeOp::divide, number(-1), emit(TapeOp::expm1, emit(TapeOp::negative, x)));
  const TapeIds tanh = emit(TapeOp::tanh, x);
  return op == TapeOp::cosh ? tanh : emit(TapeOp::divide, number(1), tanh);
}

// y' over the divisor. Where y is infinite, and the rest of the divisor is not: y' / y.
TapeIds TapeQuotients::share(const Grown& grown) {
  const TapeOp op = g_.run_of(grown.y[0]).op;
  TapeIds x;
  for (TapeId id : grown.y) x.push_back(g_.operand_of(id, 0));
  const TapeIds relative = relative_slope_of(op, x);
  if (grown.part == Part::same) return relative;
  const TapeIds infinity = number(std::numeric_limits<double>::infinity());
  const TapeIds swallowed = emit(TapeOp::logical_and, emit(TapeOp::equal, emit(TapeOp::absolute, grown.y), infinity),
                                 emit(TapeOp::less, emit(TapeOp::absolute, grown.other), infinity));
  const TapeIds slope = op == TapeOp::exp ? grown.y : emit(slope_of(op), x);
  return g_.emit(TapeOp::select, swallowed, negative_if(grown.part == Part::minus, relative),
                 emit(TapeOp::divide, slope, grown.divisor), 0, count_);
}

// The product of share() and what `factor` takes of each element without its sign: all of them have the same. factor(i,
// id, grown) -> TapeId, -1 if that is none.
template <class Factor>
TapeIds TapeQuotients::times_share(TapeView t, Factor&& factor) {
  Grown grown;
  TapeIds top;
  std::size_t n_negative = 0;
  for (std::size_t i = 0; i < t.size(); ++i) {
    const bool is_negative = g_.run_of(t[i]).op == TapeOp::negative;
    n_negative += is_negative ? 1 : 0;
    top.push_back(factor(i, is_negative ? g_.operand_of(t[i], 0) : t[i], grown));
    if (top.back() < 0) return {};
  }
  if (n_negative != 0 && n_negative != t.size()) return {};
  return negative_if(n_negative != 0, emit(TapeOp::multiply, top, share(grown)));
}

TapeIds TapeQuotients::backwards(TapeOp op, TapeView y, TapeView t) {
  if (!tape_overflows(op)) return {};
  return times_share(t, [&](std::size_t i, TapeId id, Grown& grown) -> TapeId {
    const bool fits = g_.run_of(id).op == TapeOp::divide && take(grown, y[i], g_.operand_of(id, 1));
    return fits ? g_.operand_of(id, 0) : -1;
  });
}

bool TapeQuotients::is_slope(TapeId y, TapeId id) const {
  const TapeOp op = g_.run_of(y).op;
  if (op == TapeOp::exp) return id == y;
  return tape_overflows(op) && g_.run_of(id).op == slope_of(op) && g_.operand_of(id, 0) == g_.operand_of(y, 0);
}

// The function in a divisor whose slope is `slope`, or a factor of that; -1 if there is none. rest: the other factor,
// -1 for 1.
TapeId TapeQuotients::grown_of(TapeId divisor, TapeId slope, TapeId& rest) const {
  const bool sum = is_sum(g_.run_of(divisor).op);
  for (int k = 0; k < (sum ? 2 : 1); ++k) {
    const TapeId y = sum ? g_.operand_of(divisor, k) : divisor;
    rest = -1;
    if (is_slope(y, slope)) return y;
    if (g_.run_of(slope).op != TapeOp::multiply) continue;
    for (int factor = 0; factor < 2; ++factor) {
      rest = g_.operand_of(slope, 1 - factor);
      if (is_slope(y, g_.operand_of(slope, factor))) return y;
    }
  }
  return -1;
}

TapeIds TapeQuotients::forwards(TapeView t, TapeView divisor, int levels) {
  if (!may_overflow(divisor)) return {};
  // Of a sum, each part by itself, if there is such a function in one of them.
  const TapeOp op = g_.run_of(t[0]).op;
  const auto is_op = [&](TapeId id) { return g_.run_of(id).op == op; };
  if (levels > 0 && is_sum(op) && std::all_of(t.begin(), t.end(), is_op)) {
    TapeIds parts[2], quotients[2];
    for (int k = 0; k < 2; ++k) {
      for (TapeId id : t) parts[k].push_back(g_.operand_of(id, k));
      quotients[k] = forwards(parts[k], divisor, levels - 1);
    }
    if (quotients[0].empty() && quotients[1].empty()) return {};
    for (int k = 0; k < 2; ++k)
      if (quotients[k].empty()) quotients[k] = emit(TapeOp::divide, parts[k], {divisor.begin(), divisor.end()});
    return emit(op, quotients[0], quotients[1]);
  }
  return times_share(t, [&](std::size_t i, TapeId id, Grown& grown) -> TapeId {
    const TapeId by = divisor.size() == 1 ? divisor[0] : divisor[i];
    TapeId rest = -1;
    const TapeId y = grown_of(by, id, rest);
    if (y < 0 || !take(grown, y, by)) return -1;
    return rest < 0 ? g_.constant(1) : rest;
  });
}

bool TapeQuotients::may_overflow(TapeView divisor) const {
  return std::all_of(divisor.begin(), divisor.end(), [&](TapeId id) {
    const TapeOp op = g_.run_of(id).op;
    if (!is_sum(op)) return tape_overflows(op);
    return tape_overflows(g_.run_of(g_.operand_of(id, 0)).op) || tape_overflows(g_.run_of(g_.operand_of(id, 1)).op);
  });
}

}  // namespace mmlfast::drivers
