// Operations of a tape on Taylor series: from the series of the operands to the series of the result, eight at a time.
//
// A series is y(t) = c_0 + c_1 t + ... + c_last t^last + O(t^(last + 1)). In memory it is rows of 8 numbers, a lane for
// each of eight series: first the degree (below), then c_0, what rounding left of c_0, c_1, what rounding left of c_1,
// ... An operand whose `last` is less than that of the result ends there: all its further coefficients are exactly
// zero.
//
// Every coefficient is a sum of two numbers: recurrences cancel (those of sin(t) / e^t by a factor of 1.7 with each
// order), so that order 30 would be left with half of the digits.
//
// The degree says what the coefficients cannot: the function is a polynomial of at most this degree in t, or anything
// (infinity). What was constant in a lane stays so exactly, whatever the slope of the operation is there (what
// `maximum` or `select` chose may be constant), and a series of zeros is zero only if its degree says that nothing
// follows.
//
// elementwise: y := op(a, b, c); op is none of those below.
//   abc      IN       the operands, as many as op has
//   y        OUT      degree and coefficients 0 .. y.last. No operand.
//   scratch  SCRATCH  taylor_scratch(y.last) numbers, aligned to 64 bytes
// reduce: op is sum, dot or norm of `terms` terms, in the order of one evaluation: 8 partial sums, the j-th term to
//   number j % 8, then halves. across = false: a[j] (and b[j]) is the j-th term of eight results. across = true: eight
//   terms of one result, a[j] holds terms 8 j .. 8 j + 7 and zeros behind the last; y is the same in all lanes.
//   scratch  SCRATCH  taylor_reduce_scratch(y.last)
// solve: x := a^-1 b, a n x n, b and x n x m, row by row. One factorisation of a(0), with partial pivoting.
// determinant: y := det a, by the trace of a^-1 a'; a(0) must not be singular, else y has no slope.
//   scratch  SCRATCH  taylor_matrix_scratch(n, m, last), m = n for the determinant
//
// Recurrences: each function f(a(t)) solves a differential equation y' = g(y, ...) a', whose coefficients follow one
// after the other [1]. order^2 / 2 fused multiply-adds for each of the one to three products of an operation;
// products of themselves half of that. gammaln and polygamma: order^3 / 2 (composition by Horner's rule).
// 64 (last + 2) bytes a series. Accumulation in four partial sums.
//
// Accuracy: c_0 as cpp/simd/math; each recurrence is backward stable in its leading terms, so coefficients have about
// order u relative error unless the function itself cancels (tan at 1.57: 1e-12).
// gammaln and polygamma: their derivatives have 53 bits, of which a composition may cancel some.
//
// Failure: where c_0 of a is 0, sqrt, powers, quotients and |a| depend on the first coefficient that is not: t^2m of an
// even power, a quotient of two zeros that is finite, are taken in series. What has no derivative from some order on
// (t^2.5, a pole) is NaN or infinite from there on. A kink of absolute, maximum, minimum and norm gives the average of
// its two sides. What the given order cannot decide (t^40 to order 30) is NaN: ask for a higher order.
//
// Source: [1] Griewank and Walther, Evaluating derivatives, 2nd ed., SIAM 2008, table 13.2;
// [2] Ogita, Rump and Oishi, Accurate sum and dot product, SIAM J. Sci. Comput. 2005.
//
//     mpmath.taylor(f, x0, order)
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/tape_ops.hpp"
#include "simd/level.hpp"

namespace mmlfast {

struct TaylorOperand {
  const double* rows;
  int last;
};

struct TaylorResult {
  double* rows;
  int last;
};

struct TapeTaylor {
  void (*elementwise)(TapeOp op, int aux, const TaylorOperand* abc, TaylorResult y, double* scratch);
  void (*reduce)(TapeOp op, int terms, bool across, const TaylorOperand* a, const TaylorOperand* b, TaylorResult y,
                 double* scratch);
  void (*solve)(int n, int m, const TaylorOperand* a, const TaylorOperand* b, const TaylorResult* x, double* scratch);
  void (*determinant)(int n, const TaylorOperand* a, TaylorResult y, double* scratch);
};

inline constexpr int taylor_lanes = 8;

constexpr int taylor_rows(int last) { return 2 * last + 3; }
constexpr std::ptrdiff_t taylor_size(int last) { return std::ptrdiff_t{taylor_lanes} * taylor_rows(last); }
constexpr std::ptrdiff_t taylor_scratch(int last) { return 8 * taylor_size(last); }
constexpr std::ptrdiff_t taylor_reduce_scratch(int last) { return 16 * taylor_size(last); }
constexpr std::ptrdiff_t taylor_matrix_scratch(int n, int m, int last) {
  return taylor_lanes * (2 * std::ptrdiff_t{n} * n + 2 * n) + std::ptrdiff_t{n} * (m + n + 2) * taylor_size(last);
}

MMLFAST_KERNEL_TABLE(TapeTaylor, tape_taylor)

}  // namespace mmlfast
