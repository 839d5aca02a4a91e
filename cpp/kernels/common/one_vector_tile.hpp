// Tiles whose rows take one vector of sums each: how many rows the registers hold beside one row of the other operand,
// a broadcast and a difference or product.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

#if defined(__AVX512F__)
inline constexpr int rows_of_tile = 12;
#elif defined(__AVX__) || defined(__aarch64__)
inline constexpr int rows_of_tile = 6;
#else
inline constexpr int rows_of_tile = 2;
#endif

}  // namespace mmlfast::MMLFAST_LEVEL
