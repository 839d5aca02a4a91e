#include "kernels/linear_fit.hpp"

#include "kernels/linear_fit_rows.hpp"
#include "kernels/linear_fit_work.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using namespace linear_fits;

// ---- orthogonal columns ----

MMLFAST_INLINE Vec dot(const Vec* a, const Vec* b, ptrdiff_t n) {
  Vec sum[row_block] = {};
  for (ptrdiff_t i = 0; i < n; i += row_block)
    unrolled(0, row_block, [&](int e) MMLFAST_INLINE_LAMBDA { sum[e] = fma(a[i + e], b[i + e], sum[e]); });
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// b -= factor a; the sum of squares of what is left.
MMLFAST_INLINE Vec subtract(const Vec* a, const Vec& factor, Vec* b, ptrdiff_t n) {
  Vec sum[row_block] = {};
  for (ptrdiff_t i = 0; i < n; i += row_block)
    unrolled(0, row_block, [&](int e) MMLFAST_INLINE_LAMBDA {
      b[i + e] = fnma(factor, a[i + e], b[i + e]);
      sum[e] = fma(b[i + e], b[i + e], sum[e]);
    });
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// A and y with their rows times the roots of the weights, to q and the residual; the lengths of the columns.
MMLFAST_NOINLINE void weigh(Work& w) {
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    Vec* q = w.q + j * w.n;
    for (ptrdiff_t i = 0; i < w.n; ++i) q[i] = w.is_ones(j) ? w.root_weight[i] : w.root_weight[i] * w.column(j)[i];
    w.length[j] = sqrt(dot(q, q, w.n));
  }
  for (ptrdiff_t i = 0; i < w.n; ++i) w.residual[i] = w.root_weight[i] * w.y_high[i];
  w.total_square = dot(w.residual, w.residual, w.n);
}

// What rounding may have done to column j, at most.
MMLFAST_INLINE Vec error_of(const Work& w, ptrdiff_t j, double least_distance) {
  if (least_distance > 0) return number(least_distance) * w.length[j];
  return number(4) * fma(w.rounding[j], sqrt(w.weight_sum), number(0x1p-51) * w.length[j]);
}

// Q and R by modified Gram-Schmidt; the residual loses what Q explains. Columns of nothing get the length 1.
MMLFAST_NOINLINE void orthogonalise(Work& w, double least_distance) {
  w.dependent = no_lanes<double>();
  w.rank = zero<double>();
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    Vec* q = w.q + j * w.n;
    const Vec size = sqrt(dot(q, q, w.n));
    const Mask nothing = size == zero<double>();
    w.dependent = w.dependent | nothing;
    w.rank = w.rank + select(size > error_of(w, j, least_distance), number(1), zero<double>());
    const Vec diagonal = select(nothing, number(1), size), reciprocal = number(1) / diagonal;
    w.r[j * w.k + j] = diagonal;
    for (ptrdiff_t i = 0; i < w.n; ++i) q[i] = q[i] * reciprocal;
    for (ptrdiff_t c = j + 1; c < w.k; ++c) {
      w.r[j * w.k + c] = dot(q, w.q + c * w.n, w.n);
      subtract(q, w.r[j * w.k + c], w.q + c * w.n, w.n);
    }
    w.d[j] = dot(q, w.residual, w.n);
    const Vec left = subtract(q, w.d[j], w.residual, w.n);
    if (w.is_ones(j)) w.total_square = left;
  }
}

// The inverse of R, upper triangular.
MMLFAST_INLINE void invert(const Work& w) {
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    w.inverse[j * w.k + j] = number(1) / w.r[j * w.k + j];
    for (ptrdiff_t i = j - 1; i >= 0; --i) {
      Vec e = zero<double>();
      for (ptrdiff_t c = j; c > i; --c) e = fnma(w.r[i * w.k + c], w.inverse[c * w.k + j], e);
      w.inverse[i * w.k + j] = e * w.inverse[i * w.k + i];
    }
    for (ptrdiff_t i = j + 1; i < w.k; ++i) w.inverse[i * w.k + j] = zero<double>();
  }
}

// Whether column j of A, less its best approximation by the others, is no more than what rounding may have made of it:
// with G = inv(A'A), that difference is A G_j / G_jj and 1 / sqrt(G_jj) long.
MMLFAST_INLINE void find_dependence(Work& w, double least_distance) {
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    Vec noise = zero<double>(), own = zero<double>();
    for (ptrdiff_t c = 0; c < w.k; ++c) {
      Vec g = zero<double>();
      for (ptrdiff_t e = j > c ? j : c; e < w.k; ++e) g = fma(w.inverse[j * w.k + e], w.inverse[c * w.k + e], g);
      if (c == j) own = g;
      const Vec error = g * error_of(w, c, least_distance);
      noise = fma(error, error, noise);
    }
    w.dependent = w.dependent | ~(noise < own);
  }
}

// ---- refinement ----

// f := y - A c - residual, all of rows times the roots of their weights; y - A c is summed in pairs.
MMLFAST_NOINLINE void residual_of_rows(const Work& w) {
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    Pair rest{w.y_high[i], w.y_low[i]};
    for (ptrdiff_t j = 0; j < w.k; ++j) {
      if (w.is_ones(j)) {
        Vec low;
        rest.high = exact_sum(rest.high, -w.c_high[0], low);
        rest.low = rest.low + (low - w.c_low[0]);
      } else {
        const Vec x = w.column(j)[i];
        add_product(rest, x, -w.c_high[j]);
        rest.low = fnma(w.column_low(j)[i], w.c_high[j], fnma(x, w.c_low[j], rest.low));
      }
    }
    Vec low;
    const Vec root = w.root_weight[i], high = exact_product(root, rest.high, low);
    w.f[i] = (high - w.residual[i]) + fma(root, rest.low, low);
  }
}

// The sum of column j of A times the residual, in pairs.
MMLFAST_NOINLINE Pair product_with_residual(const Work& w, ptrdiff_t j) {
  Pair sum{zero<double>(), zero<double>()};
  for (ptrdiff_t i = 0; i < w.n; ++i) {
    Vec low;
    const Vec high = exact_product(w.root_weight[i], w.residual[i], low);
    if (w.is_ones(j)) {
      Vec rest;
      sum.high = exact_sum(sum.high, high, rest);
      sum.low = sum.low + (rest + low);
    } else {
      const Vec x = w.column(j)[i];
      add_product(sum, x, high);
      sum.low = fma(w.column_low(j)[i], high, fma(x, low, sum.low));
    }
  }
  return sum;
}

// The steps of residual (f) and coefficients that solve  residual + A c = f,  A'residual = g.
MMLFAST_INLINE void solve_for_step(const Work& w) {
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    w.d[j] = dot(w.q + j * w.n, w.f, w.n);
    subtract(w.q + j * w.n, w.d[j], w.f, w.n);
  }
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    Vec h = zero<double>();
    for (ptrdiff_t i = 0; i <= j; ++i) h = fma(w.inverse[i * w.k + j], w.g[i], h);
    w.d[j] = w.d[j] - h;
    subtract(w.q + j * w.n, -h, w.f, w.n);
  }
  for (ptrdiff_t i = 0; i < w.k; ++i) {
    w.step[i] = zero<double>();
    for (ptrdiff_t j = i; j < w.k; ++j) w.step[i] = fma(w.inverse[i * w.k + j], w.d[j], w.step[i]);
  }
}

MMLFAST_INLINE Vec largest_of(const Work& w, const Vec* c) {
  Vec size = zero<double>();
  for (ptrdiff_t j = 0; j < w.k; ++j) size = max(abs(c[j]) * w.length[j], size);
  return size;
}

// From the first solution to that of the rows as they are. A lane goes on until its steps say that the next one would
// change nothing, and takes none that is not half the one before.
MMLFAST_INLINE void refine(Work& w) {
  constexpr int most_steps = 6;
  for (ptrdiff_t i = 0; i < w.k; ++i) {
    w.c_high[i] = w.c_low[i] = zero<double>();
    for (ptrdiff_t j = i; j < w.k; ++j) w.c_high[i] = fma(w.inverse[i * w.k + j], w.d[j], w.c_high[i]);
  }
  Mask running = ~no_lanes<double>();
  Vec before = number(__builtin_inf());
  w.last_step = zero<double>();
  for (int s = 0; s < most_steps; ++s) {
    residual_of_rows(w);
    for (ptrdiff_t j = 0; j < w.k; ++j) {
      const Pair sum = product_with_residual(w, j);
      w.g[j] = -(sum.high + sum.low);
    }
    solve_for_step(w);
    const Vec size = largest_of(w, w.step), whole = largest_of(w, w.c_high);
    running = running & (size < before * number(0.5));
    for (ptrdiff_t j = 0; j < w.k; ++j) {
      const Pair sum = Pair{w.c_high[j], w.c_low[j]} + Pair{w.step[j], zero<double>()};
      w.c_high[j] = select(running, sum.high, w.c_high[j]);
      w.c_low[j] = select(running, sum.low, w.c_low[j]);
    }
    for (ptrdiff_t i = 0; i < w.n; ++i) w.residual[i] = select(running, w.residual[i] + w.f[i], w.residual[i]);
    w.last_step = select(running, size / max(whole, size), w.last_step);
    before = size;
    running = running & (size > number(0x1p-36) * whole);
    if (!any(running)) break;
  }
}

// What is less than twice the digits can tell from nothing is nothing: an exact line through zero goes through zero.
MMLFAST_INLINE void drop_noise(const Work& w) {
  const Vec limit = number(0x1p-90) * largest_of(w, w.c_high);
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    const Mask noise = abs(w.c_high[j]) * w.length[j] < limit;
    w.c_high[j] = select(noise, zero<double>(), w.c_high[j]);
    w.c_low[j] = select(noise, zero<double>(), w.c_low[j]);
  }
}

// ---- results ----

// The coefficients of x, x^2, ... from those of x - centre, in the unit of x.
MMLFAST_INLINE void shift_polynomial(const Work& w) {
  const Vec back = -w.centre[0];
  for (ptrdiff_t i = 0; i + 1 < w.k; ++i)
    for (ptrdiff_t j = w.k - 2; j >= i; --j) {
      const Pair sum = Pair{w.c_high[j], w.c_low[j]} + Pair{w.c_high[j + 1], w.c_low[j + 1]} * back;
      w.c_high[j] = sum.high;
      w.c_low[j] = sum.low;
    }
}

MMLFAST_INLINE void shift_columns(const Work& w) {
  Pair sum{w.c_high[0], w.c_low[0]};
  Vec size = abs(sum.high);
  for (ptrdiff_t j = 0; j < w.p; ++j) {
    const Pair part = Pair{w.c_high[j + 1], w.c_low[j + 1]} * -w.centre[j];
    sum = sum + part;
    size = max(abs(part.high), size);
  }
  w.c_high[0] = select(abs(sum.high) < number(0x1p-90) * size, zero<double>(), sum.high);
  w.c_low[0] = sum.low;
}

MMLFAST_INLINE void write_coefficients(const Work& w, const FitShape& s, Vec* to) {
  const ptrdiff_t own = w.k - w.p;
  for (int shifted = 1; shifted >= 0; --shifted) {
    Vec* c = to + (shifted ? w.k : 0);  // those of x - centre first, before they are changed
    if (!shifted && s.intercept) {
      const Pair sum = Pair{w.c_high[0], w.c_low[0]} + Pair{w.y_centre, zero<double>()};
      w.c_high[0] = sum.high;
      w.c_low[0] = sum.low;
      if (s.powers)
        shift_polynomial(w);
      else
        shift_columns(w);
    }
    for (ptrdiff_t j = 0; j < w.k; ++j) {
      const bool constant_term = own != 0 && j == 0;
      Vec value = w.c_high[j];
      if (constant_term && shifted) value = value + (w.c_low[j] + w.y_centre);
      const Vec unit = constant_term ? zero<double>() : w.exponent[j - own];
      c[j] = scale_by_power(value, w.y_exponent - unit);
    }
  }
}

MMLFAST_INLINE Vec status_of(const Work& w) {
  const Vec k = number(static_cast<double>(w.k));
  Vec status = select(w.count == k, number(1), zero<double>());
  status = select(w.dependent | (w.count < k), number(2), status);
  status = select(w.not_finite, number(3), status);
  return select(w.count == zero<double>(), number(4), status);
}

// record := the results of all lanes, element by element.
MMLFAST_INLINE void write_record(const Work& w, const FitShape& s, Vec* record) {
  const ptrdiff_t own = w.k - w.p;
  write_coefficients(w, s, record);
  Vec* next = record + 2 * w.k;
  for (ptrdiff_t j = 0; j < w.p; ++j) *next++ = scale_by_power(w.centre[j], w.exponent[j]);
  const Vec half = number(0.5) * w.weight_exponent;
  for (ptrdiff_t i = 0; i < w.k; ++i)
    for (ptrdiff_t j = 0; j < w.k; ++j) {
      const Vec unit = i < own ? zero<double>() : w.exponent[i - own];
      *next++ = j < i ? zero<double>() : scale_by_power(w.inverse[i * w.k + j], -(unit + half));
    }
  const Vec status = status_of(w), square_unit = number(2) * w.y_exponent + w.weight_exponent;
  const Mask nothing = status >= number(2), exact = status == number(1);
  const Vec nan = number(__builtin_nan(""));
  for (Vec* v = record; v < next; ++v)
    if (v < record + 2 * w.k || v >= record + 2 * w.k + w.p) *v = select(nothing, nan, *v);
  const Vec sum = dot(w.residual, w.residual, w.n);  // of numbers that y is a sum of, and so near one if y varies
  const Vec square = select(exact | (sum < number(0x1p-170) * w.weight_sum), zero<double>(), sum);
  next[0] = select(nothing, nan, scale_by_power(square, square_unit));
  next[1] = select(nothing, nan, scale_by_power(sqrt(square), number(0.5) * square_unit));
  next[2] = select(nothing, nan, number(1) - square / w.total_square);
  next[3] = w.count;
  next[4] = select(w.not_finite, zero<double>(), min(w.rank, w.count));
  next[5] = status;
  next[6] = w.last_step;
}

template <class T>
Work loaded(const FitRows<T>* rows, const FitShape& shape, void* scratch) {
  ptrdiff_t most = 0;
  for (int l = 0; l < lanes<double>; ++l) most = most < rows[l].count ? rows[l].count : most;
  const Work w = in_scratch(most, shape, scratch);
  load_rows(rows, shape, w);
  return w;
}

MMLFAST_NOINLINE void fit_loaded(Work& w, const FitShape& shape, double* const* record) {
  prepare(shape, w);
  weigh(w);
  orthogonalise(w, shape.least_distance);
  invert(w);
  find_dependence(w, shape.least_distance);
  refine(w);
  drop_noise(w);
  Vec* results = w.exponent + (w.p == 0 ? 1 : w.p);
  write_record(w, shape, results);
  unpack_run(record, 0, fit_record_length(shape), results, 1);
}

template <class T>
void fit(const FitRows<T>* rows, const FitShape& shape, double* const* record, void* scratch) {
  Work w = loaded(rows, shape, scratch);
  fit_loaded(w, shape, record);
}

// ---- parts of a long fit ----

double sum_of_lanes(const Vec& x) {
  alignas(vec_bytes) double value[lanes<double>];
  store(value, x);
  return ((value[0] + value[1]) + (value[2] + value[3])) + ((value[4] + value[5]) + (value[6] + value[7]));
}

// In all lanes, that of the lanes.
Pair sum_of_lanes(const Pair& x) {
  alignas(vec_bytes) double high[lanes<double>], low[lanes<double>];
  store(high, x.high);
  store(low, x.low);
  Pair sum{number(high[0]), number(low[0])};
  for (int l = 1; l < lanes<double>; ++l) sum = sum + Pair{number(high[l]), number(low[l])};
  return sum;
}

double first_lane(const Vec& x) {
  alignas(vec_bytes) double value[lanes<double>];
  store(value, x);
  return value[0];
}

MMLFAST_NOINLINE void gram_of_part(Work& w, const FitShape& shape, const double* known, double* totals) {
  prepare_part(shape, w, known);
  weigh(w);
  const ptrdiff_t k = w.k;
  for (ptrdiff_t j = 0; j < k; ++j) {
    for (ptrdiff_t c = 0; c <= j; ++c)
      totals[j * k + c] = totals[c * k + j] = sum_of_lanes(dot(w.q + j * w.n, w.q + c * w.n, w.n));
    totals[k * k + j] = sum_of_lanes(dot(w.q + j * w.n, w.residual, w.n));
  }
  double* rest = totals + k * k + k;
  rest[0] = sum_of_lanes(w.total_square);
  rest[1] = sum_of_lanes(w.weight_sum);
  rest[2] = sum_of_lanes(w.count);
  rest[3] = any(w.not_finite) ? 1 : 0;
}

MMLFAST_NOINLINE void gradient_of_part(Work& w, const FitShape& shape, const double* known, double* totals) {
  const double* c = prepare_part(shape, w, known);
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    w.c_high[j] = number(c[j]);
    w.c_low[j] = number(c[w.k + j]);
  }
  for (ptrdiff_t i = 0; i < w.n; ++i) w.residual[i] = zero<double>();
  residual_of_rows(w);
  for (ptrdiff_t i = 0; i < w.n; ++i) w.residual[i] = w.f[i];
  for (ptrdiff_t j = 0; j < w.k; ++j) {
    const Pair sum = sum_of_lanes(product_with_residual(w, j));
    totals[j] = first_lane(sum.high);
    totals[w.k + j] = first_lane(sum.low);
  }
  totals[2 * w.k] = sum_of_lanes(dot(w.residual, w.residual, w.n));
}

template <class T>
void gram(const FitRows<T>* rows, const FitShape& shape, const double* known, double* totals, void* scratch) {
  Work w = loaded(rows, shape, scratch);
  gram_of_part(w, shape, known, totals);
}

template <class T>
void gradient(const FitRows<T>* rows, const FitShape& shape, const double* known, double* totals, void* scratch) {
  Work w = loaded(rows, shape, scratch);
  gradient_of_part(w, shape, known, totals);
}

}  // namespace

MMLFAST_DEFINE_TABLES(LinearFit, linear_fit, scratch_vectors, fit<T>, gram<T>, gradient<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
