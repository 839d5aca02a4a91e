// The operations of a tape: what one instruction computes of each element of its run.
//
// MMLFAST_TAPE_OPS(X) lists them as X(name, operands). The numbers are part of saved functions: append, never reorder.
#pragma once

#include <cstdint>

// clang-format off
#define MMLFAST_TAPE_OPS(X)                                                                            \
  /* where values begin */                                                                             \
  X(input, 0) X(constant, 0)                                                                           \
  X(identity, 1)          /* a value under a new number: what to differentiate by, inside a graph */   \
  /* one operand */                                                                                    \
  X(negative, 1) X(absolute, 1) X(sign, 1) X(sqrt, 1) X(cbrt, 1) X(exp, 1) X(exp2, 1) X(expm1, 1)      \
  X(log, 1) X(log2, 1) X(log10, 1) X(log1p, 1) X(sin, 1) X(cos, 1) X(tan, 1) X(arcsin, 1) X(arccos, 1) \
  X(arctan, 1) X(sinh, 1) X(cosh, 1) X(tanh, 1) X(arcsinh, 1) X(arccosh, 1) X(arctanh, 1)              \
  X(erf, 1) X(erfc, 1) X(gammaln, 1) X(polygamma, 1) /* aux = order */                                 \
  X(expit, 1) X(softplus, 1) /* log(1 + exp(x)) */                                                     \
  X(floor, 1) X(ceil, 1) X(trunc, 1) X(rint, 1) X(logical_not, 1)                                      \
  X(integer_power, 1)     /* a ** aux by repeated multiplication; aux < 0: of 1 / a */                 \
  /* two operands */                                                                                   \
  X(add, 2) X(subtract, 2) X(multiply, 2) X(divide, 2)                                                 \
  X(divide_or_zero, 2)    /* a / b, but 0 where a = b = 0 */                                           \
  X(power, 2) X(arctan2, 2) X(maximum, 2) X(minimum, 2) X(logaddexp, 2) X(fmod, 2) X(copysign, 2)      \
  X(less, 2) X(less_equal, 2) X(equal, 2) X(not_equal, 2) X(logical_and, 2) X(logical_or, 2)           \
  /* three operands */                                                                                 \
  X(select, 3)            /* b where a != 0, else c */                                                 \
  X(multiply_add, 3)      /* a b + c, rounded once */                                                  \
  /* reductions: element i takes aux terms, a[i aux .. (i+1) aux) */                                   \
  X(sum, 1) X(dot, 2) X(norm, 1) /* norm: sqrt(sum of squares), without overflow or underflow */       \
  /* whole runs: count and shapes are those of one matrix */                                           \
  X(solve, 2)             /* aux = n: a is n x n, b and the result are n x (count / n), row by row */  \
  X(determinant, 1)       /* aux = n: count = 1 */                                                     \
  X(callback, 1)          /* aux = index of a Python function: count results of all of a */
// clang-format on

namespace mmlfast {

enum class TapeOp : std::uint16_t {
#define MMLFAST_TAPE_NAME(name, operands) name,
  MMLFAST_TAPE_OPS(MMLFAST_TAPE_NAME)
#undef MMLFAST_TAPE_NAME
};

constexpr int tape_op_count = 0
#define MMLFAST_TAPE_ONE(name, operands) +1
    MMLFAST_TAPE_OPS(MMLFAST_TAPE_ONE)
#undef MMLFAST_TAPE_ONE
    ;

inline constexpr std::uint8_t tape_operand_counts[] = {
#define MMLFAST_TAPE_OPERANDS(name, operands) operands,
    MMLFAST_TAPE_OPS(MMLFAST_TAPE_OPERANDS)
#undef MMLFAST_TAPE_OPERANDS
};
constexpr int tape_operands(TapeOp op) { return tape_operand_counts[static_cast<int>(op)]; }

inline constexpr const char* tape_names[] = {
#define MMLFAST_TAPE_STRING(name, operands) #name,
    MMLFAST_TAPE_OPS(MMLFAST_TAPE_STRING)
#undef MMLFAST_TAPE_STRING
};
constexpr const char* tape_name(TapeOp op) { return tape_names[static_cast<int>(op)]; }

}  // namespace mmlfast
