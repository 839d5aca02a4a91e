// From the rows in memory to centred columns at a scale near one, as pairs.
#pragma once

#include "kernels/linear_fit_work.hpp"

namespace mmlfast::MMLFAST_LEVEL::linear_fits {

// Numbers of this size can be multiplied with each other, split into halves, and squared, without a thought.
inline constexpr double ordinary_low = 0x1p-200, ordinary_high = 0x1p200;

// Rows in no order are far from each other: those of the next lane are asked for before they are needed.
template <class T>
MMLFAST_INLINE void fetch_row(const FitRows<T>& rows, const FitShape& s, ptrdiff_t i) {
  if (i >= rows.count) return;
  __builtin_prefetch(rows.x + rows.row[i] * s.x_row);
  __builtin_prefetch(rows.y + rows.row[i] * s.y_row);
}

// Rows given by their numbers, or different numbers of them: one number at a time.
template <class T>
MMLFAST_NOINLINE void gather_rows(const FitRows<T>* rows, const FitShape& s, const Work& w) {
  const bool scattered = rows[0].row != nullptr;
  for (ptrdiff_t i = 0; scattered && i < rows[0].count; ++i) fetch_row(rows[0], s, i);
  for (int l = 0; l < lanes<double>; ++l) {
    const FitRows<T>& one = rows[l];
    const FitRows<T>* next = scattered && l + 1 < lanes<double> ? rows + l + 1 : nullptr;
    for (ptrdiff_t i = 0; i < one.count; ++i) {
      if (next != nullptr) fetch_row(*next, s, i);
      const ptrdiff_t row = scattered ? static_cast<ptrdiff_t>(one.row[i]) : i;
      const T* x = one.x + row * s.x_row;
      for (ptrdiff_t j = 0; j < s.columns; ++j) set_lane(w.high[j * w.n + i], l, static_cast<double>(x[j * s.x_col]));
      set_lane(w.y_high[i], l, static_cast<double>(one.y[row * s.y_row]));
      set_lane(w.root_weight[i], l, one.weight == nullptr ? 1.0 : one.weight[row * s.weight_row]);
    }
    for (ptrdiff_t i = one.count; i < w.n; ++i) {
      for (ptrdiff_t j = 0; j < s.columns; ++j) set_lane(w.high[j * w.n + i], l, 0);
      set_lane(w.y_high[i], l, 0);
      set_lane(w.root_weight[i], l, 0);
    }
  }
}

// The same number of rows in all lanes, one after the other.
template <class T>
MMLFAST_INLINE void pack_rows(const FitRows<T>* rows, const FitShape& s, const Work& w) {
  const T *x[lanes<double>], *y[lanes<double>];
  const double* weight[lanes<double>];
  for (int l = 0; l < lanes<double>; ++l) {
    x[l] = rows[l].x;
    y[l] = rows[l].y;
    weight[l] = rows[l].weight;
  }
  const ptrdiff_t count = rows[0].count;
  pack(x, Layout{count, s.columns, s.x_row, s.columns == 1 ? 1 : s.x_col}, w.high, 1, w.n);
  pack(y, Layout{count, 1, s.y_row, 1}, w.y_high, 1, 1);
  if (weight[0] != nullptr)
    pack(weight, Layout{count, 1, s.weight_row, 1}, w.root_weight, 1, 1);
  else
    for (ptrdiff_t i = 0; i < count; ++i) w.root_weight[i] = number(1);
  for (ptrdiff_t i = count; i < w.n; ++i) {
    for (ptrdiff_t j = 0; j < s.columns; ++j) w.high[j * w.n + i] = zero<double>();
    w.y_high[i] = w.root_weight[i] = zero<double>();
  }
}

template <class T>
MMLFAST_NOINLINE void load_rows(const FitRows<T>* rows, const FitShape& s, const Work& w) {
  bool alike = true;
  for (int l = 0; l < lanes<double>; ++l)
    alike = alike && rows[l].row == nullptr && rows[l].count == rows[0].count && rows[0].count > 0;
  if (alike)
    pack_rows(rows, s, w);
  else
    gather_rows(rows, s, w);
}

// Rows that do not count become zeros; root_weight still holds the weights.
MMLFAST_NOINLINE inline void leave_out_rows(const FitShape& s, Work& w, bool find_weight_exponent) {
  w.count = w.weight_sum = zero<double>();
  w.not_finite = no_lanes<double>();
  Vec largest = zero<double>();
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    Vec weight = w.root_weight[i];
    Vec& y = w.y_high[i];
    if (s.omit_nan) {
      Mask missing = y != y;
      for (ptrdiff_t j = 0; j < s.columns; ++j) missing = missing | (w.high[j * w.n + i] != w.high[j * w.n + i]);
      weight = select(missing, zero<double>(), weight);
    }
    const Mask counts = weight > zero<double>();
    Vec test = zero<double>();  // of NaN and infinity, NaN
    y = select(counts, y, zero<double>());
    test = test + y * zero<double>();
    for (ptrdiff_t j = 0; j < s.columns; ++j) {
      Vec& x = w.high[j * w.n + i];
      x = select(counts, x, zero<double>());
      test = test + x * zero<double>();
    }
    w.not_finite = w.not_finite | (test != test);
    w.root_weight[i] = weight;
    w.count = w.count + select(counts, number(1), zero<double>());
    largest = max(weight, largest);
  }
  if (find_weight_exponent) {
    Vec mantissa, exponent;  // an even one, for the root
    split_exponent(largest, mantissa, exponent);
    w.weight_exponent = number(2) * nearest(exponent * number(0.5));
  }
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    const Vec weight = scale_by_power(w.root_weight[i], -w.weight_exponent);
    w.weight_sum = w.weight_sum + weight;
    w.root_weight[i] = sqrt(weight);
  }
}

MMLFAST_NOINLINE inline void multiply_by_power(Vec* column, ptrdiff_t n, const Vec& exponent) {
  for (ptrdiff_t i = 0; i < n; ++i) column[i] = scale_by_power(column[i], exponent);
}

// x - centre as pairs at a scale near one, in place and in `low`: x = centre + 2^exponent (high + low). `size` is the
// largest magnitude of x, at that scale.
MMLFAST_NOINLINE inline void centre_column(const Work& w, Vec* high, Vec* low, bool centred, Vec& centre, Vec& exponent,
                                           Vec& size) {
  Vec largest = zero<double>(), first = zero<double>();
  Mask seen = no_lanes<double>();
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    const Mask counts = w.root_weight[i] > zero<double>();
    largest = max(abs(high[i]), largest);
    first = select(counts & ~seen, high[i], first);
    seen = seen | counts;
  }
  largest = select(w.not_finite, number(1), largest);
  Vec mantissa, before = zero<double>();
  const Mask far = (largest > number(ordinary_high)) | ((largest < number(ordinary_low)) & (largest > zero<double>()));
  if (any(far)) {
    split_exponent(largest, mantissa, before);
    before = select(far, before, zero<double>());
    multiply_by_power(high, w.n, -before);
    first = scale_by_power(first, -before);
    largest = scale_by_power(largest, -before);
  }
  centre = zero<double>();
  if (centred) {
    Vec sum = zero<double>();
    for (ptrdiff_t i = 0; i < w.n; ++i)
      sum = sum + select(w.root_weight[i] > zero<double>(), high[i] - first, zero<double>());
    centre = first + sum / max(w.count, number(1));
  }
  Vec spread = zero<double>();
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    Vec rest;
    const Vec difference = exact_sum(high[i], -centre, rest);
    const Mask counts = w.root_weight[i] > zero<double>();
    high[i] = select(counts, difference, zero<double>());
    low[i] = select(counts, rest, zero<double>());
    spread = max(abs(high[i]), spread);
  }
  spread = select(w.not_finite, number(1), select(spread == zero<double>(), largest, spread));
  split_exponent(spread, mantissa, exponent);
  const Vec unit = power_of_two(-exponent);
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    high[i] = high[i] * unit;
    low[i] = low[i] * unit;
  }
  centre = centre * unit;
  size = largest * unit;
  exponent = exponent + before;
}

// The same with a centre and an exponent that are known: x = 2^exponent (centre + high + low).
MMLFAST_NOINLINE inline void centre_column_at(const Work& w, Vec* high, Vec* low, double centre, double exponent) {
  const Vec middle = number(-centre), power = number(-exponent);
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    Vec rest;
    const Vec difference = exact_sum(scale_by_power(high[i], power), middle, rest);
    const Mask counts = w.root_weight[i] > zero<double>();
    high[i] = select(counts, difference, zero<double>());
    low[i] = select(counts, rest, zero<double>());
  }
}

// The powers 2 .. p of the first column.
MMLFAST_NOINLINE inline void raise_to_powers(const Work& w) {
  for (ptrdiff_t j = 1; j < w.p; ++j) {
    w.exponent[j] = number(static_cast<double>(j + 1)) * w.exponent[0];
    w.centre[j] = zero<double>();
    for (ptrdiff_t i = 0; i < w.n; ++i) {
      const Pair x{w.high[i], w.low[i]}, before{w.high[(j - 1) * w.n + i], w.low[(j - 1) * w.n + i]};
      const Pair power = before * x;
      w.high[j * w.n + i] = power.high;
      w.low[j * w.n + i] = power.low;
    }
  }
}

// From rows in scratch to A and y. rounding[] is what rounding at its own size may have done to each element of a
// column.
MMLFAST_INLINE void prepare(const FitShape& s, Work& w) {
  constexpr double u = 0x1p-53;
  leave_out_rows(s, w, true);
  const ptrdiff_t own = w.k - w.p, distinct = s.powers ? smaller(1, w.p) : w.p;
  if (own != 0) w.rounding[0] = number(u);
  Vec size;
  for (ptrdiff_t j = 0; j < distinct; ++j) {
    centre_column(w, w.high + j * w.n, w.low + j * w.n, s.intercept, w.centre[j], w.exponent[j], size);
    w.rounding[own + j] = number(u) * (size + number(1));
  }
  if (s.powers) raise_to_powers(w);
  for (ptrdiff_t j = 1; j < w.p && s.powers; ++j) w.rounding[own + j] = number(4 * u);
  centre_column(w, w.y_high, w.y_low, s.intercept, w.y_centre, w.y_exponent, size);
}

// The same in units that are known, for a part of the rows of a fit.
MMLFAST_NOINLINE inline const double* prepare_part(const FitShape& s, Work& w, const double* known) {
  const ptrdiff_t distinct = s.powers ? smaller(1, w.p) : w.p;
  const double *exponent = known + distinct, *of_y = exponent + distinct;
  w.weight_exponent = number(of_y[2]);
  leave_out_rows(s, w, false);
  for (ptrdiff_t j = 0; j < distinct; ++j) {
    w.exponent[j] = number(exponent[j]);
    centre_column_at(w, w.high + j * w.n, w.low + j * w.n, known[j], exponent[j]);
  }
  if (s.powers) raise_to_powers(w);
  centre_column_at(w, w.y_high, w.y_low, of_y[0], of_y[1]);
  return of_y + 3;
}

}  // namespace mmlfast::MMLFAST_LEVEL::linear_fits
