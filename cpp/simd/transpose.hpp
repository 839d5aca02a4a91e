// The transposition of a square of native registers.
#pragma once

#include <utility>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace op {
// One stage of the butterfly on rows r and r + half: exchanges the off-diagonal blocks of `half`
// columns.
template <class T, int Half, int... I>
MMLFAST_INLINE void exchange(native<T>& a, native<T>& b, std::integer_sequence<int, I...>) {
  constexpr int n = native_lanes<T>;
  const native<T> low = __builtin_shufflevector(a, b, ((I & Half) ? (I - Half) + n : I)...);
  const native<T> high = __builtin_shufflevector(a, b, ((I & Half) ? I + n : I + Half)...);
  a = low;
  b = high;
}

template <class T, int Half>
MMLFAST_INLINE void transpose_stage(native<T>* row) {
  constexpr int n = native_lanes<T>;
  _Pragma("GCC unroll 16") for (int r = 0; r < n; ++r) {
    if ((r & Half) == 0) exchange<T, Half>(row[r], row[r + Half], std::make_integer_sequence<int, n>{});
  }
  if constexpr (Half > 1) transpose_stage<T, Half / 2>(row);
}
}  // namespace op

// In place: element j of row i becomes element i of row j, for native_lanes<T> rows.
template <class T>
MMLFAST_INLINE void transpose_native(native<T>* row) {
  op::transpose_stage<T, native_lanes<T> / 2>(row);
}

}  // namespace mmlfast::MMLFAST_LEVEL
