// Between points in memory, a row of n numbers each, and slots, of which each has one number of eight points a vector.
// For kernel files only.
//
// Columns are taken in groups of G, at most half a native register where that has eight lanes: pieces of G numbers of
// several rows fill a register, and G registers are transposed in blocks of G by G. The last group overlaps the one
// before it; nothing outside of the rows is read or written.
#pragma once

#include "kernels/tape.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_points {

using Size = std::ptrdiff_t;
inline constexpr int width = native_lanes<double>;

template <int G>
struct piece_of {
  typedef double type __attribute__((vector_size(8 * G)));
  typedef double unaligned __attribute__((vector_size(8 * G), aligned(8), may_alias));
};
template <>
struct piece_of<1> {
  typedef double type __attribute__((vector_size(8)));
  typedef double unaligned __attribute__((vector_size(8), aligned(8), may_alias));
};

namespace op {
template <class Piece, int... I>
MMLFAST_INLINE auto joined(const Piece& a, const Piece& b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, I...);
}
template <int G, int Begin, class Register, int... I>
MMLFAST_INLINE typename piece_of<G>::type taken(const Register& x, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(x, x, (Begin + I)...);
}
}  // namespace op

// Numbers from[k * step * stride ..] of G columns for k = 0 .. Count - 1, one after the other in a register.
template <int G, int Count>
MMLFAST_INLINE auto join_pieces(const double* from, Size stride) {
  if constexpr (Count == 1) {
    return static_cast<typename piece_of<G>::type>(*reinterpret_cast<const typename piece_of<G>::unaligned*>(from));
  } else {
    constexpr int half = Count / 2;
    return op::joined(join_pieces<G, half>(from, stride), join_pieces<G, half>(from + half * stride, stride),
                      std::make_integer_sequence<int, G * Count>{});
  }
}
template <int G, int Begin = 0>
MMLFAST_INLINE void store_pieces(double* to, Size stride, const native<double>& x) {
  *reinterpret_cast<typename piece_of<G>::unaligned*>(to) =
      op::taken<G, Begin>(x, std::make_integer_sequence<int, G>{});
  if constexpr (Begin + G < width) store_pieces<G, Begin + G>(to + stride, stride, x);
}

// In place: blocks of G by G, side by side in G registers.
template <int G>
MMLFAST_INLINE void transpose_blocks(native<double>* x) {
  if constexpr (G >= 2) {
    constexpr int half = G / 2;
    _Pragma("GCC unroll 8") for (int r = 0; r < G; ++r) {
      if ((r & half) == 0)
        mmlfast::MMLFAST_LEVEL::op::exchange<double, half>(x[r], x[r + half], std::make_integer_sequence<int, width>{});
    }
    if constexpr (half >= 2) {
      _Pragma("GCC unroll 2") for (int r = 0; r < G; r += half) transpose_blocks<half>(x + r);
    }
  }
}

// G columns of eight rows.
template <int G>
MMLFAST_INLINE void load_columns(const double* x, Size row_stride, double* slots, Size slot) {
  MMLFAST_EACH_PART {
    native<double> column[G];
    const double* rows = x + p * width * row_stride;
    _Pragma("GCC unroll 8") for (int r = 0; r < G; ++r) column[r] =
        join_pieces<G, width / G>(rows + r * row_stride, G * row_stride);
    transpose_blocks<G>(column);
    _Pragma("GCC unroll 8") for (int c = 0; c < G; ++c) store_part(slots + c * slot + p * width, column[c]);
  }
}
template <int G>
MMLFAST_INLINE void store_columns(const double* slots, Size slot, double* to, Size row_stride) {
  MMLFAST_EACH_PART {
    native<double> row[G];
    double* rows = to + p * width * row_stride;
    _Pragma("GCC unroll 8") for (int c = 0; c < G; ++c) row[c] = load_part<double>(slots + c * slot + p * width);
    transpose_blocks<G>(row);
    _Pragma("GCC unroll 8") for (int r = 0; r < G; ++r) store_pieces<G>(rows + r * row_stride, G * row_stride, row[r]);
  }
}

// body(constant G, first column) for groups that cover n columns.
template <class Body>
MMLFAST_INLINE void each_group(Size n, Body&& body) {
  constexpr int most = width < 4 ? width : 4;
  using Most = std::integral_constant<int, most>;
  using Two = std::integral_constant<int, 2>;
  Size c = 0;
  for (; c + most <= n; c += most) body(Most{}, c);
  const Size left = n - c;
  if (left == 0) return;
  if (n == 1) return body(std::integral_constant<int, 1>{}, c);
  if (left == 3 && n < 4) body(Two{}, c);
  if (left == 3 && n >= 4)
    body(Most{}, n - most);
  else
    body(Two{}, n - 2);
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_points
