// Operations of numbers that are known while a function is traced.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/tape_ops.hpp"

namespace mmlfast::drivers {

// Can it?
constexpr bool tape_can_fold(TapeOp op) noexcept {
  return tape_operands(op) > 0 && op != TapeOp::identity && op != TapeOp::callback;
}

// The `count` results of an operation, with the bits that an evaluation has. numbers: the sizes[0] of the first
// operand, then those of the others; of elementwise operations as many as results.
std::vector<double> tape_fold(TapeOp op, std::int32_t aux, std::int32_t count, std::vector<double> numbers,
                              const std::int32_t (&sizes)[3]);

}  // namespace mmlfast::drivers
