// The derivatives of the elementwise operations: one table for forward and reverse.
//
// Each is written so that no intermediate is 0/0, 0 * inf, an overflow or an underflow where the derivative itself is
// an ordinary number. At kinks: absolute 0, maximum and minimum half for each of two equals, copysign the sign.
#pragma once

#include <cstdint>
#include <vector>

#include "drivers/tape_graph.hpp"

namespace mmlfast::drivers {

// Some elements of a run: y[i] = op(operands[0][i], ...).
struct TapeElements {
  TapeOp op;
  std::int32_t aux;
  TapeIds y, operands[3];
};

// Does operand k have a derivative that is not 0 everywhere?
bool tape_differentiable(TapeOp op, int k) noexcept;

// Is the derivative of element i of the run with respect to operand k the constant 0?
bool tape_vanishes(const TapeGraph& graph, const TapeRun& run, int k, std::int32_t i) noexcept;

// Which values change with `wrt`: a byte for each value. Nothing lies behind one of wrt.
std::vector<std::uint8_t> tape_dependence(const TapeGraph& graph, TapeView wrt);
// The same for the values of one run, from those of its operands.
void tape_spread_dependence(const TapeGraph& graph, const TapeRun& run, std::vector<std::uint8_t>& depends);

// t[i] times the derivative of y[i] with respect to operand k. Not of select, maximum, minimum and multiply.
// plain: it is t times a finite constant, so 0 where t is 0.
TapeIds tape_rule(TapeGraph& graph, const TapeElements& elements, int k, TapeView t, bool& plain);

// Is the run norm(x) ** k, k > 2? It is smooth where the norm is not: its derivatives are taken past the norm, unless
// that is a leaf (a byte for each value).
bool tape_is_norm_power(const TapeGraph& graph, const TapeRun& run, const std::vector<std::uint8_t>& leaf) noexcept;
// For element i of such a run, which[n] = i: the numbers x of the norm, and what t is multiplied by for each of them,
// k norm ** (k - 2) x. Those of one element stand next to each other, as many as terms[n].
struct TapeNormPower {
  TapeIds x, slope;
  std::vector<std::int32_t> terms;

  // call(n, x, slope) for each of them.
  template <class Call>
  void each(Call&& call) const {
    std::size_t at = 0;
    for (std::size_t n = 0; n < terms.size(); ++n)
      for (std::int32_t j = 0; j < terms[n]; ++j, ++at) call(n, x[at], slope[at]);
  }
};
TapeNormPower tape_norm_power(TapeGraph& graph, const TapeRun& run, const std::vector<std::int32_t>& which);

// Of a determinant: what each element of the matrix is multiplied by in it, det(A) inv(A)'.
TapeIds tape_cofactors(TapeGraph& graph, const TapeRun& run);

// Of maximum and minimum: where operand k is the answer, alone or with the other.
TapeIds tape_chosen(TapeGraph& graph, const TapeElements& elements, int k);

}  // namespace mmlfast::drivers
