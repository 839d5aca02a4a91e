// Derivatives of quotients whose divisor overflows long before they do: 1 / cosh(x), 1 / (exp(x) - 1), log(cosh(x)).
//
// There y is infinite, its slope too, and the quotient's is an ordinary number: the rules by themselves give 0 times
// infinity. What t / y and the slope of y make together is t times the relative slope y' / y, 1 for exp, tanh for cosh.
#pragma once

#include <cstdint>

#include "drivers/tape_graph.hpp"

namespace mmlfast::drivers {

// Functions that are infinite for numbers that are not large.
bool tape_overflows(TapeOp op) noexcept;

class TapeQuotients {
 public:
  // count: of the elements that a rule is asked for.
  TapeQuotients(TapeGraph& graph, std::int32_t count) noexcept : g_(graph), count_(count) {}

  // t times the slope of y, one of exp, expm1, cosh and sinh, where t is something divided by y, or by a sum with y in
  // it. Empty if it is something else.
  TapeIds backwards(TapeOp op, TapeView y, TapeView t);
  // t, the tangent of a divisor, over that divisor. Empty if it is none that may overflow. levels: of sums in t.
  TapeIds forwards(TapeView t, TapeView divisor, int levels = 2);
  // Is each of them one of these functions, or a sum with one?
  bool may_overflow(TapeView divisor) const;

 private:
  // What a divisor has of a function y: it is y, it is a sum with y, or something less y.
  enum class Part { none, same, plus, minus };
  struct Grown {
    Part part = Part::none;
    TapeIds y, other, divisor;
  };

  TapeIds emit(TapeOp op, const TapeIds& x) { return g_.emit(op, x, {}, {}, 0, count_); }
  TapeIds emit(TapeOp op, const TapeIds& x, const TapeIds& y) { return g_.emit(op, x, y, {}, 0, count_); }
  TapeIds number(double value) { return {g_.constant(value)}; }
  TapeIds negative_if(bool condition, const TapeIds& x) { return condition ? emit(TapeOp::negative, x) : x; }

  Part part_of(TapeId y, TapeId divisor) const;
  bool take(Grown& grown, TapeId y, TapeId divisor) const;
  bool is_slope(TapeId y, TapeId id) const;
  TapeId grown_of(TapeId divisor, TapeId slope, TapeId& rest) const;
  TapeIds relative_slope_of(TapeOp op, const TapeIds& x);
  TapeIds share(const Grown& grown);
  template <class Factor>
  TapeIds times_share(TapeView t, Factor&& factor);

  TapeGraph& g_;
  const std::int32_t count_;
};

}  // namespace mmlfast::drivers
