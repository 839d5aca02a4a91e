// Between rows of 2, 3 or 4 numbers that lie in memory without gaps and registers with the rows in lanes. Whole
// registers are read and written, of as many rows as a register has lanes; the numbers change lanes in between, which
// takes fewer instructions than a square per register would. For use inside other kernels.
#pragma once

#include <utility>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::gapless {

namespace detail {

// The register among the D of a group, and the lane in it, of number k of row r.
template <int D, int W>
constexpr int register_of(int k, int r) {
  return (r * D + k) / W;
}
template <int D, int W>
constexpr int lane_of(int k, int r) {
  return (r * D + k) % W;
}
// The row whose number k is in lane l of the group's registers, for D without a factor in common with W: the numbers k
// of all rows are then in different lanes.
template <int D, int W>
constexpr int row_in_lane(int k, int l) {
  for (int r = 0; r < W; ++r)
    if (lane_of<D, W>(k, r) == l) return r;
  return 0;
}

// Lanes of `b` where register Q has number K of a row, the others of `a`.
template <class T, int D, int K, int Q, int... L>
MMLFAST_INLINE native<T> take(const native<T>& a, const native<T>& b, std::integer_sequence<int, L...>) {
  constexpr int w = native_lanes<T>;
  return __builtin_shufflevector(a, b, (register_of<D, w>(K, row_in_lane<D, w>(K, L)) == Q ? w + L : L)...);
}
template <class T, int D, int K, int... L>
MMLFAST_INLINE native<T> in_order_of_rows(const native<T>& x, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(x, x, lane_of<D, native_lanes<T>>(K, L)...);
}
template <class T, int D, int K, int... L>
MMLFAST_INLINE native<T> in_order_of_lanes(const native<T>& x, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(x, x, row_in_lane<D, native_lanes<T>>(K, L)...);
}
// Lanes of `b` where register Q has number K of a row, the others of `a`: the way back.
template <class T, int D, int K, int Q, int... L>
MMLFAST_INLINE native<T> put(const native<T>& a, const native<T>& b, std::integer_sequence<int, L...>) {
  constexpr int w = native_lanes<T>;
  return __builtin_shufflevector(a, b, ((Q * w + L) % D == K ? w + L : L)...);
}

// Every second number of a and b together, and back.
template <class T, int Offset, int... L>
MMLFAST_INLINE native<T> every_second(const native<T>& a, const native<T>& b, std::integer_sequence<int, L...>) {
  return __builtin_shufflevector(a, b, (2 * L + Offset)...);
}
template <class T, int Offset, int... L>
MMLFAST_INLINE native<T> by_turns(const native<T>& a, const native<T>& b, std::integer_sequence<int, L...>) {
  constexpr int w = native_lanes<T>;
  return __builtin_shufflevector(a, b, (Offset + L / 2 + (L % 2) * w)...);
}

}  // namespace detail

// In place: D registers of consecutive numbers become the columns of native_lanes<T> rows; and back.
template <int D, class T>
MMLFAST_INLINE void to_columns(native<T>* x) {
  constexpr int w = native_lanes<T>;
  constexpr auto lanes_of = std::make_integer_sequence<int, w>{};
  if constexpr (D == 3) {
    const native<T> a = x[0], b = x[1], c = x[2];
    const auto column = [&]<int K>(std::integral_constant<int, K>) MMLFAST_INLINE_LAMBDA {
      const native<T> ab = detail::take<T, D, K, 1>(a, b, lanes_of);
      return detail::in_order_of_rows<T, D, K>(detail::take<T, D, K, 2>(ab, c, lanes_of), lanes_of);
    };
    x[0] = column(std::integral_constant<int, 0>{});
    x[1] = column(std::integral_constant<int, 1>{});
    x[2] = column(std::integral_constant<int, 2>{});
  } else {  // halves of the numbers of each row, as often as D has the factor 2
    static_assert(D == 2 || D == 4);
    native<T> half[D];
    _Pragma("GCC unroll 2") for (int i = 0; i < D / 2; ++i) {
      half[i] = detail::every_second<T, 0>(x[2 * i], x[2 * i + 1], lanes_of);
      half[D / 2 + i] = detail::every_second<T, 1>(x[2 * i], x[2 * i + 1], lanes_of);
    }
    if constexpr (D == 2) {
      x[0] = half[0];
      x[1] = half[1];
    } else {
      x[0] = detail::every_second<T, 0>(half[0], half[1], lanes_of);
      x[2] = detail::every_second<T, 1>(half[0], half[1], lanes_of);
      x[1] = detail::every_second<T, 0>(half[2], half[3], lanes_of);
      x[3] = detail::every_second<T, 1>(half[2], half[3], lanes_of);
    }
  }
}

template <int D, class T>
MMLFAST_INLINE void to_rows(native<T>* x) {
  constexpr int w = native_lanes<T>;
  constexpr auto lanes_of = std::make_integer_sequence<int, w>{};
  if constexpr (D == 3) {
    const native<T> a = detail::in_order_of_lanes<T, D, 0>(x[0], lanes_of),
                    b = detail::in_order_of_lanes<T, D, 1>(x[1], lanes_of),
                    c = detail::in_order_of_lanes<T, D, 2>(x[2], lanes_of);
    const auto part = [&]<int Q>(std::integral_constant<int, Q>) MMLFAST_INLINE_LAMBDA {
      return detail::put<T, D, 2, Q>(detail::put<T, D, 1, Q>(a, b, lanes_of), c, lanes_of);
    };
    x[0] = part(std::integral_constant<int, 0>{});
    x[1] = part(std::integral_constant<int, 1>{});
    x[2] = part(std::integral_constant<int, 2>{});
  } else {
    static_assert(D == 2 || D == 4);
    native<T> half[D];
    if constexpr (D == 2) {
      half[0] = x[0];
      half[1] = x[1];
    } else {
      half[0] = detail::by_turns<T, 0>(x[0], x[2], lanes_of);
      half[1] = detail::by_turns<T, w / 2>(x[0], x[2], lanes_of);
      half[2] = detail::by_turns<T, 0>(x[1], x[3], lanes_of);
      half[3] = detail::by_turns<T, w / 2>(x[1], x[3], lanes_of);
    }
    _Pragma("GCC unroll 2") for (int i = 0; i < D / 2; ++i) {
      x[2 * i] = detail::by_turns<T, 0>(half[i], half[D / 2 + i], lanes_of);
      x[2 * i + 1] = detail::by_turns<T, w / 2>(half[i], half[D / 2 + i], lanes_of);
    }
  }
}

// Columns of native_lanes<C> rows that begin at `from`, of T or of float where C is double.
template <int D, class C, class T>
MMLFAST_INLINE void load_columns(const T* from, native<C>* column) {
  _Pragma("GCC unroll 4") for (int q = 0; q < D; ++q) column[q] = load_part<C>(from + q * native_lanes<C>);
  to_columns<D, C>(column);
}

template <int D, class T>
MMLFAST_INLINE void store_rows(T* to, native<T>* column) {
  to_rows<D, T>(column);
  _Pragma("GCC unroll 4") for (int q = 0; q < D; ++q) store_part(to + q * native_lanes<T>, column[q]);
}

}  // namespace mmlfast::MMLFAST_LEVEL::gapless
