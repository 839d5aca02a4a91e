// Elimination in lanes for matrices that do not fit the registers: a panel of columns (four where a vector is one
// register, else two) is factored at a time and then applied to the columns on its right, a strip of as many at a time,
// so that an entry is loaded and stored once per panel and not once per elimination. Right-hand sides are just more
// columns on the right.
//
// Within a panel the multipliers move with their rows; across panels they stay where they were made, unless
// move_multipliers is set, for the factors of the matrix with its rows in their last order.
#pragma once

#include "kernels/elimination.hpp"
#include "kernels/elimination_small.hpp"

namespace mmlfast::MMLFAST_LEVEL {

inline constexpr std::ptrdiff_t panel_width = vec_parts == 1 ? 4 : 2;
inline constexpr std::ptrdiff_t strip_width = vec_parts == 1 ? 4 : 2;

// Lanes whose pivots have to be treated apart.
template <class T>
struct UnsafePivots {
  mask<T> singular = no_lanes<T>();
  FragileLanes<T> fragile;
};

// The factors of one group: a[i * ld + j] holds U on and above the diagonal and the multipliers below it. Square except
// for lu().
template <class T>
struct PanelFactors : UnsafePivots<T> {
  std::ptrdiff_t n;  // rows
  std::ptrdiff_t cols;
  std::ptrdiff_t ld;  // vectors from one row to the next
  vec<T>* a;
  vec<T>* pivot;              // pivot[k]: the row that was exchanged with row k, as a number
  vec<T>* reciprocal;         // 1 / u_kk, where that is safe
  std::int32_t* row_of_lane;  // pivot as integers, [k * lanes + l]; not set where sweeps()

  // In scratch memory, vectors() of it.
  MMLFAST_INLINE PanelFactors(vec<T>* scratch, std::ptrdiff_t rows, std::ptrdiff_t columns)
      : n(rows),
        cols(columns),
        ld(leading_dimension(columns)),
        a(scratch),
        pivot(a + n * ld),
        reciprocal(pivot + n),
        row_of_lane(reinterpret_cast<std::int32_t*>(reciprocal + n)) {}
  static constexpr std::ptrdiff_t vectors(std::ptrdiff_t rows, std::ptrdiff_t columns) {
    return rows * leading_dimension(columns) + 3 * rows;
  }

  MMLFAST_INLINE vec<T> over_pivot(std::ptrdiff_t k, const vec<T>& x) const {
    return this->fragile.quotient(x, a[k * ld + k], reciprocal[k]);
  }
};

// Up to so many candidate rows, sweeping over all of them is the cheaper way to exchange.
template <class T>
MMLFAST_INLINE bool sweeps(const PanelFactors<T>& f, std::ptrdiff_t k) {
  return f.n - 1 - k <= (lanes<T> == 8 ? 7 : 10);
}

// 0, 1, 2, ... to be broadcast from memory, which is cheaper than converting the counter of a loop. Longer than any n.
template <class T>
struct Numbers {
  T value[max_lane_order] = {};
  constexpr Numbers() {
    for (int i = 0; i < max_lane_order; ++i) value[i] = static_cast<T>(i);
  }
};
template <class T>
inline constexpr Numbers<T> numbers;

// x with lane L of y. Of a selection by a constant mask GCC does not make the blend of constant lanes, which is a third
// of the work with AVX2 (on Intel's processors).
template <int L, class T, int... I>
MMLFAST_INLINE void take_lane(vec<T>& x, const vec<T>& y, std::integer_sequence<int, I...>) {
  constexpr int w = native_lanes<T>;
  native<T>& part = x.part[L / w];
  part = __builtin_shufflevector(part, y.part[L / w], (I == L % w ? w + I : I)...);
}

// body(constant l) for each lane l.
template <class T, class Body, int... L>
MMLFAST_INLINE void for_each_lane(Body&& body, std::integer_sequence<int, L...>) {
  (body(std::integral_constant<int, L>{}), ...);
}

// Exchanges row k of c with each lane's pivot row, in the S columns from j on. How often the loops run never depends on
// the data, so no branch is mispredicted.
template <int S, class T>
MMLFAST_INLINE void exchange_strip(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* c, std::ptrdiff_t width,
                                   std::ptrdiff_t j) {
  vec<T>* top = c + k * width + j;
  vec<T> upper[S], taken[S];
  for (int s = 0; s < S; ++s) upper[s] = taken[s] = top[s];
  if (sweeps(f, k)) {
    for (std::ptrdiff_t i = k + 1; i < f.n; ++i) {
      const mask<T> here = f.pivot[k] == broadcast(numbers<T>.value[i]);
      vec<T>* row = c + i * width + j;
      for (int s = 0; s < S; ++s) {
        const vec<T> lower = row[s];
        taken[s] = select(here, lower, taken[s]);
        row[s] = select(here, upper[s], lower);
      }
    }
  } else {
    // Lane by lane. All rows are read before any is written, and each lane writes an element of its own: rows chosen by
    // several lanes never make a load wait for a store.
    const std::int32_t* row_of_lane = f.row_of_lane + k * lanes<T>;
    const auto take = [&]<int L>(std::integral_constant<int, L>) MMLFAST_INLINE_LAMBDA {
      const vec<T>* row = c + row_of_lane[L] * width + j;
      for (int s = 0; s < S; ++s) take_lane<L>(taken[s], row[s], std::make_integer_sequence<int, native_lanes<T>>{});
    };
    for_each_lane<T>(take, std::make_integer_sequence<int, lanes<T>>{});
    const T* from = reinterpret_cast<const T*>(top);
    _Pragma("GCC unroll 16") for (int l = 0; l < lanes<T>; ++l) {
      T* to = reinterpret_cast<T*>(c + row_of_lane[l] * width + j);
      for (int s = 0; s < S; ++s) to[s * lanes<T> + l] = from[s * lanes<T> + l];
    }
  }
  for (int s = 0; s < S; ++s) top[s] = taken[s];
}

template <class T>
MMLFAST_INLINE void exchange_rows(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* c, std::ptrdiff_t width,
                                  std::ptrdiff_t from, std::ptrdiff_t to) {
  std::ptrdiff_t j = from;
  for (; j + 4 <= to; j += 4) exchange_strip<4>(f, k, c, width, j);
  for (; j < to; ++j) exchange_strip<1>(f, k, c, width, j);
}

// The eliminations of the W steps from k on, for S columns of c: c is the matrix itself or a right-hand side, its rows
// already exchanged.
template <int W, int S, class T>
MMLFAST_INLINE void eliminate(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* c, std::ptrdiff_t width,
                              std::ptrdiff_t j) {
  const std::ptrdiff_t n = f.n, ld = f.ld;
  vec<T> u[W][S];
  for (int w = 0; w < W; ++w) {
    vec<T>* row = c + (k + w) * width + j;
    for (int s = 0; s < S; ++s) u[w][s] = row[s];
    for (int v = 0; v < w; ++v)
      for (int s = 0; s < S; ++s) u[w][s] = fnma(f.a[(k + w) * ld + k + v], u[v][s], u[w][s]);
    for (int s = 0; s < S; ++s) row[s] = u[w][s];
  }
  for (std::ptrdiff_t i = k + W; i < n; ++i) {
    vec<T>* row = c + i * width + j;
    const vec<T>* multiplier = f.a + i * ld + k;
    vec<T> x[S];
    for (int s = 0; s < S; ++s) x[s] = row[s];
    for (int w = 0; w < W; ++w)
      for (int s = 0; s < S; ++s) x[s] = fnma(multiplier[w], u[w][s], x[s]);
    for (int s = 0; s < S; ++s) row[s] = x[s];
  }
}

// The same for columns [from, to) of c.
template <int W, class T>
MMLFAST_INLINE void eliminate_columns(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* c, std::ptrdiff_t width,
                                      std::ptrdiff_t from, std::ptrdiff_t to) {
  std::ptrdiff_t j = from;
  for (; j + strip_width <= to; j += strip_width) eliminate<W, strip_width>(f, k, c, width, j);
  for (; j < to; ++j) eliminate<W, 1>(f, k, c, width, j);
}

// The W steps from k on, exchanges and eliminations, applied to columns [from, to) of c.
template <int W, class T>
MMLFAST_INLINE void apply_steps(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* c, std::ptrdiff_t width,
                                std::ptrdiff_t from, std::ptrdiff_t to) {
  for (int w = 0; w < W; ++w) exchange_rows(f, k + w, c, width, from, to);
  eliminate_columns<W>(f, k, c, width, from, to);
}

template <class T>
struct PanelRow {
  vec<T> entry[panel_width];
};

// The best pivot seen so far on the way down a column: its size, its row as a number, and that row of the panel.
template <class T>
struct PivotSearch {
  vec<T> size, row, entries[panel_width];

  MMLFAST_INLINE void start(std::ptrdiff_t i, const vec<T>* panel_row, int column) {
    const vec<T> entry = panel_row[column];
    size = select(entry == entry, abs(entry), broadcast<T>(-1));  // NaN is no pivot where there is a number
    row = broadcast(numbers<T>.value[i]);
    for (int s = 0; s < panel_width; ++s) entries[s] = panel_row[s];
  }
  MMLFAST_INLINE void consider(std::ptrdiff_t i, const vec<T>* panel_row, int column) {
    const vec<T> candidate = abs(panel_row[column]);
    const mask<T> better = candidate > size;
    size = select(better, candidate, size);
    row = select(better, broadcast(numbers<T>.value[i]), row);
    for (int s = 0; s < panel_width; ++s) entries[s] = select(better, panel_row[s], entries[s]);
  }
};

// Writes down the pivots that were found for column k; returns their reciprocals.
template <class T>
MMLFAST_INLINE vec<T> choose_pivot(PanelFactors<T>& f, std::ptrdiff_t k, const PivotSearch<T>& found, int column) {
  f.pivot[k] = found.row;
  if (!sweeps(f, k)) {
    alignas(vec_bytes) T chosen[lanes<T>];
    store(chosen, found.row);
    for (int l = 0; l < lanes<T>; ++l) f.row_of_lane[k * lanes<T> + l] = static_cast<std::int32_t>(chosen[l]);
  }
  f.singular = f.singular | (found.size == zero<T>());
  f.fragile.add(found.size);
  return f.reciprocal[k] = broadcast<T>(1) / found.entries[column];
}

// One step of the panel of columns [first, first + panel_width): given the pivots of column first + C, exchanges their
// rows, eliminates below them and looks for the pivots of the next column, all in one sweep over the rows.
template <int C, class T>
MMLFAST_INLINE void panel_step(PanelFactors<T>& f, std::ptrdiff_t first, PivotSearch<T>& search) {
  const std::ptrdiff_t n = f.n, k = first + C;
  const PivotSearch<T> found = search;
  const vec<T> reciprocal = choose_pivot(f, k, found, C);
  const FragileLanes<T> fragile = f.fragile;
  vec<T>* row = f.a + k * f.ld + first;
  vec<T> upper[panel_width];
  for (int s = 0; s < panel_width; ++s) {
    upper[s] = row[s];
    row[s] = found.entries[s];
  }
  for (std::ptrdiff_t i = k + 1; i < n; ++i) {
    row += f.ld;
    const mask<T> here = found.row == broadcast(numbers<T>.value[i]);
    vec<T> x[panel_width];
    for (int s = 0; s < panel_width; ++s) x[s] = select(here, upper[s], row[s]);
    x[C] = fragile.quotient(x[C], found.entries[C], reciprocal);
    for (int s = C + 1; s < panel_width; ++s) x[s] = fnma(x[C], found.entries[s], x[s]);
    for (int s = 0; s < panel_width; ++s) row[s] = x[s];
    if constexpr (C + 1 < panel_width) {
      if (i == k + 1)
        search.start(i, x, C + 1);
      else
        search.consider(i, x, C + 1);
    }
  }
}

template <class T>
MMLFAST_INLINE void factor_panel(PanelFactors<T>& f, std::ptrdiff_t first) {
  PivotSearch<T> search;
  const vec<T>* row = f.a + first * f.ld + first;
  search.start(first, row, 0);
  for (std::ptrdiff_t i = first + 1; i < f.n; ++i) search.consider(i, row += f.ld, 0);
  panel_step<0>(f, first, search);
  panel_step<1>(f, first, search);
  if constexpr (panel_width == 4) {
    panel_step<2>(f, first, search);
    panel_step<3>(f, first, search);
  }
}

// The last columns, fewer than a panel: column k and what is right of it.
template <class T>
MMLFAST_INLINE void factor_last_column(PanelFactors<T>& f, std::ptrdiff_t k) {
  const std::ptrdiff_t n = f.n, cols = f.cols, ld = f.ld;
  PivotSearch<T> search;
  const auto panel_row = [&](std::ptrdiff_t i) { return PanelRow<T>{{f.a[i * ld + k]}}; };
  search.start(k, panel_row(k).entry, 0);
  for (std::ptrdiff_t i = k + 1; i < n; ++i) search.consider(i, panel_row(i).entry, 0);
  choose_pivot(f, k, search, 0);
  exchange_rows(f, k, f.a, ld, k, cols);
  for (std::ptrdiff_t i = k + 1; i < n; ++i) {
    const vec<T> multiplier = f.over_pivot(k, f.a[i * ld + k]);
    f.a[i * ld + k] = multiplier;
    for (std::ptrdiff_t j = k + 1; j < cols; ++j) f.a[i * ld + j] = fnma(multiplier, f.a[k * ld + j], f.a[i * ld + j]);
  }
}

// Factors the matrix at `scratch`. Compiled once for all callers. What goes in and out are single numbers: a structure
// of them would be copied in whole registers, and such a load waits for all the stores that it covers.
template <class T>
MMLFAST_NOINLINE UnsafePivots<T> factor_panels(vec<T>* scratch, std::ptrdiff_t rows, std::ptrdiff_t cols,
                                               bool move_multipliers) {
  PanelFactors<T> f(scratch, rows, cols);
  const std::ptrdiff_t steps = rows < cols ? rows : cols;
  std::ptrdiff_t k = 0;
  for (; k + panel_width <= steps; k += panel_width) {
    factor_panel(f, k);
    if (move_multipliers)
      for (std::ptrdiff_t w = 0; w < panel_width; ++w) exchange_rows(f, k + w, f.a, f.ld, 0, k);
    apply_steps<panel_width>(f, k, f.a, f.ld, k + panel_width, f.cols);
  }
  for (; k < steps; ++k) {
    factor_last_column(f, k);
    if (move_multipliers) exchange_rows(f, k, f.a, f.ld, 0, k);
  }
  return f;
}

// b := U^-1 b, S columns from j on; the W unknowns from k on are found and taken out of the rows above,
// always from the last to the first: the bits do not depend on the width of a panel.
template <int W, int S, class T>
MMLFAST_INLINE void substitute_back(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* b, std::ptrdiff_t m,
                                    std::ptrdiff_t j) {
  const std::ptrdiff_t ld = f.ld;
  vec<T> x[W][S];
  for (int w = W - 1; w >= 0; --w) {
    vec<T>* row = b + (k + w) * m + j;
    for (int s = 0; s < S; ++s) x[w][s] = row[s];
    for (int v = W - 1; v > w; --v)
      for (int s = 0; s < S; ++s) x[w][s] = fnma(f.a[(k + w) * ld + k + v], x[v][s], x[w][s]);
    for (int s = 0; s < S; ++s) row[s] = x[w][s] = f.over_pivot(k + w, x[w][s]);
  }
  for (std::ptrdiff_t i = 0; i < k; ++i) {
    vec<T>* row = b + i * m + j;
    const vec<T>* entry = f.a + i * ld + k;
    vec<T> y[S];
    for (int s = 0; s < S; ++s) y[s] = row[s];
    for (int w = W - 1; w >= 0; --w)
      for (int s = 0; s < S; ++s) y[s] = fnma(entry[w], x[w][s], y[s]);
    for (int s = 0; s < S; ++s) row[s] = y[s];
  }
}

template <int W, class T>
MMLFAST_INLINE void substitute_back_columns(const PanelFactors<T>& f, std::ptrdiff_t k, vec<T>* b, std::ptrdiff_t m,
                                            std::ptrdiff_t width) {
  std::ptrdiff_t j = 0;
  for (; j + strip_width <= m; j += strip_width) substitute_back<W, strip_width>(f, k, b, width, j);
  for (; j < m; ++j) substitute_back<W, 1>(f, k, b, width, j);
}

// b := U^-1 L^-1 b for m columns, b[i * width + j], with or without the row exchanges on the way.
template <bool Exchange, class T>
MMLFAST_INLINE void substitute(const PanelFactors<T>& f, vec<T>* b, std::ptrdiff_t m, std::ptrdiff_t width) {
  const auto forward = [&]<int W>(std::ptrdiff_t k) {
    if constexpr (Exchange)
      apply_steps<W>(f, k, b, width, 0, m);
    else
      eliminate_columns<W>(f, k, b, width, 0, m);
  };
  std::ptrdiff_t k = 0;
  for (; k + panel_width <= f.n; k += panel_width) forward.template operator()<panel_width>(k);
  const std::ptrdiff_t whole = k;
  for (; k < f.n; ++k) forward.template operator()<1>(k);
  while (k > whole) substitute_back_columns<1>(f, --k, b, m, width);
  while (k > 0) substitute_back_columns<panel_width>(f, k -= panel_width, b, m, width);
}

// order[i]: the row of the given matrix that the exchanges brought to row i, as a number.
template <class T>
MMLFAST_INLINE void find_order(const PanelFactors<T>& f, vec<T>* order) {
  for (std::ptrdiff_t i = 0; i < f.n; ++i) order[i] = broadcast(numbers<T>.value[i]);
  const std::ptrdiff_t steps = f.n < f.cols ? f.n : f.cols;
  for (std::ptrdiff_t k = 0; k < steps; ++k) exchange_rows(f, k, order, 1, 0, 1);
}

// The identity with its rows in the given order, b[i * ld + j].
template <class T>
MMLFAST_INLINE void permuted_identity(const PanelFactors<T>& f, const vec<T>* order, vec<T>* b) {
  const std::ptrdiff_t n = f.n;
  const vec<T> one = broadcast<T>(1);
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t j = 0; j < n; ++j)
      b[i * f.ld + j] = select(order[i] == broadcast(numbers<T>.value[j]), one, zero<T>());
}

// x := A^-1 for N <= 8 rows, x[i * ld + j], from factors whose multipliers have moved and the order of their rows: a
// few columns at a time, as many as stay in the registers from the identity to the end.
template <int N, class T>
MMLFAST_INLINE void invert_by_columns(const PanelFactors<T>& f, const vec<T>* order, vec<T>* x) {
  constexpr int strip = vec_parts == 1 && N % 2 == 0 ? 2 : 1;
  const vec<T> one = broadcast<T>(1);
  for (int j = 0; j < N; j += strip) {
    vec<T> b[N][strip];
    unrolled(0, strip, [&](int s) MMLFAST_INLINE_LAMBDA {
      const vec<T> column = broadcast(numbers<T>.value[j + s]);
      unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { b[i][s] = select(order[i] == column, one, zero<T>()); });
    });
    const auto subtract = [&](int k, int i) MMLFAST_INLINE_LAMBDA {
      unrolled(0, strip, [&](int s) MMLFAST_INLINE_LAMBDA { b[i][s] = fnma(f.a[i * f.ld + k], b[k][s], b[i][s]); });
    };
    unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
      unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA { subtract(k, i); });
    });
    unrolled(0, N, [&](int from_the_end) MMLFAST_INLINE_LAMBDA {
      const int k = N - 1 - from_the_end;
      unrolled(0, strip,
               [&](int s) MMLFAST_INLINE_LAMBDA { x[k * f.ld + j + s] = b[k][s] = f.over_pivot(k, b[k][s]); });
      unrolled(0, k, [&](int i) MMLFAST_INLINE_LAMBDA { subtract(k, i); });
    });
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
