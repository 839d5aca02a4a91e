// One operation of numbers that are known while a function is traced.
#pragma once

#include <cstdint>

#include "kernels/tape_ops.hpp"

namespace mmlfast::drivers {

// Of an elementwise operation: operands[0..2]. Of sum and norm: operands[0 .. aux); of dot: operands[0 .. 2 aux), a
// then b. Not of solve, determinant, callback, nor of what has no operands.
double tape_fold(TapeOp op, const double* operands, std::int32_t aux) noexcept;

// Can it?
constexpr bool tape_can_fold(TapeOp op) noexcept {
  return tape_operands(op) > 0 && op != TapeOp::identity && op != TapeOp::solve && op != TapeOp::determinant &&
         op != TapeOp::callback && op != TapeOp::polygamma;
}

}  // namespace mmlfast::drivers
