// Elimination in lanes for sizes known at compile time, column by column: all steps so far are applied to a column
// while its N rows stay in registers, one native register each, then its own pivots are found. Nothing but the factors
// is written, and the exchanges of rows, half of the work of elimination in lanes, go without a load or a store.
//
// The parts of a vector are worked on one by one, so that 16 registers hold a column of 8 rows, and in turn at each
// column, whose steps wait for each other. Every element sees the same operations in the same order as in
// elimination_small.hpp and elimination_panels.hpp, hence has the same bits.
#pragma once

#include <utility>

#include "kernels/elimination_small.hpp"
#include "simd/bits.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// One column of a part: its rows.
template <int N, class T>
using ColumnRows = vec<T, 1>[N];

// The factors of one part of a group.
template <int N, class T>
struct ColumnFactors {
  ColumnRows<N, T> column[N];  // column[j][i]: U for i <= j; below, the multipliers, in the rows they were made in
  mask<T, 1> here[N][N];       // here[k][i]: the lanes in which step k exchanges rows k and i > k
  mask<T, 1> exchanged[N];     // here[k][i] of all i
  ColumnRows<N, T> reciprocal;
  vec<T, 1> smallest, largest;  // of the sizes of the pivots

  static constexpr std::ptrdiff_t size() { return N; }
  MMLFAST_INLINE vec<T, 1> signed_pivot(std::ptrdiff_t k) const {
    return select(exchanged[k], -column[k][k], column[k][k]);
  }

  // False if some lane is singular, or has a pivot by which FragileLanes would divide. Nothing here looks after those.
  MMLFAST_INLINE bool sound() const {
    const mask<T, 1> fragile =
        (smallest < broadcast<T, 1>(FragileLanes<T>::smallest)) | (largest > broadcast<T, 1>(FragileLanes<T>::largest));
    return !any(fragile);
  }
};

// The same exchanges as by selections from row to row, which would wait for each other: in each lane at most one row
// differs from what it is to become.
template <int N, int K, class T>
MMLFAST_INLINE void exchange_rows(const mask<T, 1> (&here)[N], ColumnRows<N, T>& c) {
  const bits<T, 1> upper = as_bits(c[K]);
  bits<T, 1> moved[2] = {};
  unrolled(K + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
    const bits<T, 1> lower = as_bits(c[i]);
    const bits<T, 1> difference = (upper ^ lower) & here[i];
    c[i] = from_bits<T>(lower ^ difference);
    moved[i % 2] = moved[i % 2] ^ difference;
  });
  c[K] = from_bits<T>(upper ^ (moved[0] ^ moved[1]));
}

// Step K, exchange and elimination, applied to a column.
template <int N, int K, class T>
MMLFAST_INLINE void apply_step(const ColumnFactors<N, T>& f, ColumnRows<N, T>& c) {
  exchange_rows<N, K>(f.here[K], c);
  unrolled(K + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[i] = fnma(f.column[K][i], c[K], c[i]); });
}

template <int N, int Steps, int K = 0, class T>
MMLFAST_INLINE void apply_steps(const ColumnFactors<N, T>& f, ColumnRows<N, T>& c) {
  if constexpr (K < Steps) {
    apply_step<N, K>(f, c);
    apply_steps<N, Steps, K + 1>(f, c);
  }
}

// The pivots of column J, in which the steps before have been applied, and its multipliers.
template <int N, int J, class T>
MMLFAST_INLINE void find_pivots(ColumnFactors<N, T>& f, ColumnRows<N, T>& c) {
  vec<T, 1> size = abs(c[J]);
  unrolled(J + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA { size = max(abs(c[i]), size); });
  f.smallest = J == 0 ? size : min(size, f.smallest);
  f.largest = J == 0 ? size : max(size, f.largest);
  // The division starts before it is known which row has the pivot; its sign comes later.
  const vec<T, 1> reciprocal = broadcast<T, 1>(1) / size;
  // The first of equal pivots is taken.
  const mask<T, 1> stays = abs(c[J]) == size;
  mask<T, 1> missing = ~stays, here[N];
  unrolled(J + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
    f.here[J][i] = here[i] = (abs(c[i]) == size) & missing;
    missing = missing & ~here[i];
  });
  exchange_rows<N, J>(here, c);
  f.exchanged[J] = ~(stays | missing);
  f.reciprocal[J] = copysign(reciprocal, c[J]);
  unrolled(J + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[i] = c[i] * f.reciprocal[J]; });
}

// Column J of part `part` of the matrices a[i * N + j].
template <int N, int J, class T>
MMLFAST_NOINLINE void factor_column(ColumnFactors<N, T>& f, const vec<T>* a, int part) {
  ColumnRows<N, T> c;
  unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[i] = part_of(a[i * N + J], part); });
  apply_steps<N, J>(f, c);
  find_pivots<N, J>(f, c);
  unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { f.column[J][i] = c[i]; });
}

// The factors of all parts. False if one of them is not sound. One copy of this code serves all callers.
template <int N, class T>
MMLFAST_NOINLINE bool factor(ColumnFactors<N, T> (&f)[vec_parts], const vec<T>* a) {
  bool sound = true;
  const auto columns = [&]<int... J>(std::integer_sequence<int, J...>) MMLFAST_INLINE_LAMBDA {
    const auto column = [&]<int Own>(std::integral_constant<int, Own>) MMLFAST_INLINE_LAMBDA {
      for (int p = 0; p < vec_parts; ++p) factor_column<N, Own>(f[p], a, p);
    };
    (column(std::integral_constant<int, J>{}), ...);
  };
  columns(std::make_integer_sequence<int, N>{});
  for (int p = 0; p < vec_parts; ++p) sound = sound && f[p].sound();
  return sound;
}

// c := A^-1 c, all parts side by side: every step waits for the one before it.
template <int N, int K = 0, class T>
MMLFAST_INLINE void substitute(const ColumnFactors<N, T> (&f)[vec_parts], ColumnRows<N, T> (&c)[vec_parts]) {
  if constexpr (K < N) {
    unrolled(0, vec_parts, [&](int p) MMLFAST_INLINE_LAMBDA { apply_step<N, K>(f[p], c[p]); });
    substitute<N, K + 1>(f, c);
    unrolled(0, vec_parts, [&](int p) MMLFAST_INLINE_LAMBDA {
      c[p][K] = c[p][K] * f[p].reciprocal[K];
      unrolled(0, K, [&](int i) MMLFAST_INLINE_LAMBDA { c[p][i] = fnma(f[p].column[K][i], c[p][K], c[p][i]); });
    });
  }
}

// The exchanges of the steps after `done`.
template <int N, int K = 0, class T>
MMLFAST_INLINE void exchange_rows_after(const ColumnFactors<N, T>& f, int done, ColumnRows<N, T>& c) {
  if constexpr (K < N - 1) {
    if (K > done) exchange_rows<N, K>(f.here[K], c);
    exchange_rows_after<N, K + 1>(f, done, c);
  }
}

// Moves the multipliers to the rows that the later exchanges bring them to. order[i]: the row of the given matrix that
// the exchanges brought to row i, as a number.
template <int N, class T>
MMLFAST_INLINE void move_multipliers(ColumnFactors<N, T>& f, ColumnRows<N, T>& order) {
  for (int j = 0; j < N - 2; ++j) {
    ColumnRows<N, T> c;
    unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[i] = f.column[j][i]; });
    exchange_rows_after(f, j, c);
    unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { f.column[j][i] = c[i]; });
  }
  unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { order[i] = broadcast<T, 1>(static_cast<T>(i)); });
  exchange_rows_after(f, -1, order);
}

// Part `part` of x := A^-1, x[i * N + j], from factors whose multipliers have moved, column by column from the identity
// to the end.
template <int N, class T>
MMLFAST_INLINE void invert(const ColumnFactors<N, T>& f, const ColumnRows<N, T>& order, vec<T>* x, int part) {
  const vec<T, 1> one = broadcast<T, 1>(1);
  for (int j = 0; j < N; ++j) {
    ColumnRows<N, T> c;
    const vec<T, 1> number = broadcast<T, 1>(static_cast<T>(j));
    unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[i] = select(order[i] == number, one, zero<T, 1>()); });
    const auto subtract = [&](int k, int i) MMLFAST_INLINE_LAMBDA { c[i] = fnma(f.column[k][i], c[k], c[i]); };
    unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
      unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA { subtract(k, i); });
    });
    unrolled(0, N, [&](int from_the_end) MMLFAST_INLINE_LAMBDA {
      const int k = N - 1 - from_the_end;
      c[k] = c[k] * f.reciprocal[k];
      x[k * N + j].part[part] = c[k].part[0];
      unrolled(0, k, [&](int i) MMLFAST_INLINE_LAMBDA { subtract(k, i); });
    });
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
