// Between points in memory, a row of n numbers each, and slots, of which each has one number of eight points a vector.
// For kernel files only.
//
// Columns are taken in groups of G, at most half a native register where that has eight lanes: pieces of G numbers of
// several rows fill a register, and G registers are transposed in blocks of G by G. The last group overlaps the one
// before it; nothing outside of the rows is read or written. Pieces that are read are at most half a register, so that
// loads put them together, and pieces that are written are taken apart by stores: a third less to shuffle.
#pragma once

#include "kernels/tape.hpp"
#include "simd/narrow.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_points {

using Size = std::ptrdiff_t;
inline constexpr int width = native_lanes<double>;
inline constexpr int most_columns = width < 4 ? width : 4;
inline constexpr int loaded_columns = width < 4 ? width : width / 2;

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
template <int G, int Begin, class Register>
MMLFAST_INLINE typename piece_of<G>::type taken(const Register& x) {
#if defined(__AVX512F__)
  if constexpr (G == 2 && Begin > 0) return quarter<Begin / 2>(x);
#endif
  const Register copy = x;
  return reinterpret_cast<const typename piece_of<G>::unaligned*>(&copy)[Begin / G];
}
}  // namespace op

// Numbers from[k * step * stride ..] of G columns for k = 0 .. Count - 1, one after the other in a register.
template <int G, int Count>
MMLFAST_INLINE auto join_pieces(const double* from, Size stride) {
  if constexpr (Count == 1) {
    return static_cast<typename piece_of<G>::type>(*reinterpret_cast<const typename piece_of<G>::unaligned*>(from));
  } else {
    constexpr int half = Count / 2;
    return joined(join_pieces<G, half>(from, stride), join_pieces<G, half>(from + half * stride, stride));
  }
}
// In place: blocks of G by G, side by side in G registers. Neighbours first: what takes two registers and gives a third
// (unpck) then works on what is still needed, and permutations that overwrite one of theirs on what is not.
template <int G, int Distance = 1>
MMLFAST_INLINE void transpose_blocks(native<double>* x) {
  if constexpr (Distance < G) {
    _Pragma("GCC unroll 8") for (int r = 0; r < G; ++r) {
      if ((r & Distance) == 0)
        mmlfast::MMLFAST_LEVEL::op::exchange<double, Distance>(x[r], x[r + Distance],
                                                               std::make_integer_sequence<int, width>{});
    }
    transpose_blocks<G, 2 * Distance>(x);
  }
}

// G columns of as many points as a register has lanes.
template <int G>
MMLFAST_INLINE void load_group(const double* x, Size row_stride, double* slots, Size slot) {
  native<double> column[G];
  _Pragma("GCC unroll 8") for (int r = 0; r < G; ++r) column[r] =
      join_pieces<G, width / G>(x + r * row_stride, G * row_stride);
  transpose_blocks<G>(column);
  _Pragma("GCC unroll 8") for (int c = 0; c < G; ++c) store_part(slots + c * slot, column[c]);
}

// Of rows times eight points: groups of columns side by side and, if there is a tail, two more from tail_column on. Row
// by row: what comes in one line of the cache is taken at once.
template <int Groups, bool Tail>
MMLFAST_NOINLINE void load_columns(const double* x, Size row_stride, Size tail_column, Size rows, double* slots,
                                   Size slot) {
  for (Size row = 0; row < rows; ++row, x += tape_lanes * row_stride, slots += tape_lanes) {
    MMLFAST_EACH_PART {
      const double* points = x + p * width * row_stride;
      double* to = slots + p * width;
      if constexpr (Tail) load_group<2>(points + tail_column, row_stride, to + tail_column * slot, slot);
      _Pragma("GCC unroll 4") for (int g = 0; g < Groups; ++g) {
        _Pragma("GCC unroll 2") for (int c = 0; c < most_columns; c += loaded_columns)
            load_group<loaded_columns>(points + c, row_stride, to + c * slot, slot);
        points += most_columns;
        to += most_columns * slot;
        // From one group to the next: multiples of the strides would need more registers than there are.
        __asm__("" : "+r"(points), "+r"(to));
      }
    }
  }
}

// G slots from the list `from`, of as many points as a register has lanes, turned into pieces of rows: that of row r is
// number r / G of register r % G.
template <int G, int... C>
MMLFAST_INLINE void turn_columns(const double* slots, Size slot, const std::int32_t* from, native<double>* pieces,
                                 std::integer_sequence<int, C...>) {
  ((pieces[C] = load_part<double>(slots + from[C] * slot)), ...);
  transpose_blocks<G>(pieces);
}
template <int G, int Row>
MMLFAST_INLINE void store_piece(const native<double>* pieces, double* to) {
  *reinterpret_cast<typename piece_of<G>::unaligned*>(to) = op::taken<G, Row / G * G>(pieces[Row % G]);
}
template <int Groups, bool Tail, int Row = 0>
MMLFAST_INLINE void store_rows(const native<double> (*pieces)[most_columns], const native<double>* tail, double* to,
                               Size tail_column, Size row_stride) {
  _Pragma("GCC unroll 4") for (int g = 0; g < Groups; ++g)
      store_piece<most_columns, Row>(pieces[g], to + g * most_columns);
  if constexpr (Tail) store_piece<2, Row>(tail, to + tail_column);
  if constexpr (Row + 1 < width) {
    to += row_stride;
    // From one row to the next: multiples of the stride would need more registers than there are.
    __asm__("" : "+r"(to));
    store_rows<Groups, Tail, Row + 1>(pieces, tail, to, tail_column, row_stride);
  }
}

// The other way.
template <int Groups, bool Tail>
MMLFAST_NOINLINE void store_columns(const double* slots, Size slot, const std::int32_t* from, Size tail_column,
                                    Size rows, double* to, Size row_stride) {
  constexpr auto all = std::make_integer_sequence<int, most_columns>{};
  for (Size row = 0; row < rows; ++row, slots += tape_lanes, to += tape_lanes * row_stride) {
    MMLFAST_EACH_PART {
      native<double> pieces[Groups + 1][most_columns], tail[2];
      _Pragma("GCC unroll 4") for (int g = 0; g < Groups; ++g)
          turn_columns<most_columns>(slots + p * width, slot, from + g * most_columns, pieces[g], all);
      if constexpr (Tail)
        turn_columns<2>(slots + p * width, slot, from + tail_column, tail, std::make_integer_sequence<int, 2>{});
      store_rows<Groups, Tail>(pieces, tail, to + p * width * row_stride, tail_column, row_stride);
    }
  }
}

// Rows of eight points of which n columns leave room in the first cache: as many are transposed column by column.
MMLFAST_INLINE Size rows_at_once(Size n) {
  constexpr Size numbers = 2048;
  return numbers / tape_lanes / (n < 1 ? 1 : n < numbers / tape_lanes ? n : numbers / tape_lanes);
}

// body(constant whether there is a tail, groups, first column, column of the tail beside it) for what covers n > 1
// columns.
template <class Body>
MMLFAST_INLINE void each_stretch(Size n, Body&& body) {
  constexpr Size most = most_columns, most_groups = 3;
  for (Size c = 0; c < n;) {
    const Size groups = (n - c) / most < most_groups ? (n - c) / most : most_groups, left = n - c - groups * most;
    if (groups == 0 && left == 3 && n > 3) {
      c = n - most;  // once more what the group before it had
      continue;
    }
    const bool two_of_three = groups == 0 && left == 3, tail = left == 1 || left == 2 || two_of_three;
    if (tail)
      body(std::true_type{}, groups, c, two_of_three ? 0 : n - 2 - c);
    else
      body(std::false_type{}, groups, c, Size{0});
    c += groups * most + (two_of_three ? 1 : tail ? left : 0);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_points
