// Whether the processor has, beyond the level in use, an instruction that adds products of 16-bit integers to sums
// (AVX-512 VNNI). What is several times as fast by it is compiled once more, into the namespace avx512_vnni
// (cpp/kernels/CMakeLists.txt); the answers are the same, since integers are exact.
#pragma once

#include "simd/level.hpp"

namespace mmlfast::simd {

// Not if MMLFAST_SIMD names a level: nothing else is used then.
bool dot_products() noexcept;

}  // namespace mmlfast::simd
