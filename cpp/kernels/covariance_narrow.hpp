// A block of few columns whose rows all count once: the mean and M2 in one reading. The mean of every eighth group of 8
// rows is subtracted from all rows, and what it was off by is taken out of the products, as in covariance_shift.hpp.
// SIMD lanes run over rows: a sum over a column is eight sums, of every eighth row, added in a fixed tree. Rows of 1 to
// 4 numbers without gaps go through registers and are multiplied at once; others are put into the block, as columns
// less the provisional mean, and for the mean alone rows are added up as they lie in memory. The bits are the same.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/common/gapless_rows.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/covariance.hpp"
#include "kernels/covariance_shift.hpp"
#include "simd/transpose.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::narrow_blocks {

inline constexpr std::ptrdiff_t group = 8, most = CovarianceShape::columns_limit;  // rows in lanes; columns

// Vectors of a row of numbers in memory: sum[e] := the sum of x[e] - shift[e] over `runs` of them that are `step`
// apart. Meanwhile what is `ahead` bytes behind is fetched, unless that is 0; what is not there does no harm.
template <int Vectors, class T>
void add_runs(const T* x, std::ptrdiff_t runs, std::ptrdiff_t step, std::uintptr_t ahead, const double* shift,
              double* sum) {
  vec<double> s[Vectors] = {};
  for (std::ptrdiff_t run = 0; run < runs; ++run, x += step) {
    for (std::size_t line = 0; ahead != 0 && line < Vectors * 8 * sizeof(T); line += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(x) + ahead + line), 0, 2);
    _Pragma("GCC unroll 16") for (int k = 0; k < Vectors; ++k) s[k] =
        s[k] + (load_as_double(x + k * 8) - load(shift + k * 8));
  }
  for (int k = 0; k < Vectors; ++k) store(sum + k * 8, s[k]);
}

// sum[r * d + j] := the sum of x - shift[r * d + j] over every `every`th group of rows, the first of which begins at x.
template <class T>
void add_groups(const T* x, const Layout& l, std::ptrdiff_t every, const double* shift, double* sum) {
  const std::ptrdiff_t d = l.cols, size = group * d, step = every * size;
  const bool gapless = l.row_stride == d;
  const std::ptrdiff_t counted = (l.rows / group + every - 1) / every;  // whole groups
  const std::uintptr_t ahead = every == 1 ? static_cast<std::uintptr_t>(l.rows * d) * sizeof(T) : 0;
  constexpr std::ptrdiff_t in_registers = native_bytes == 64 ? 16 : native_bytes == 32 ? 6 : 4;
  if (!gapless)
    for (std::ptrdiff_t e = 0; e < size; e += 8) store(sum + e, zero<double>());
  for (std::ptrdiff_t e = 0; gapless && e < size;) {
    const std::ptrdiff_t left = (size - e) / 8, pieces = (left + in_registers - 1) / in_registers;
    const std::ptrdiff_t vectors = (left + pieces - 1) / pieces;
    const auto take = [&]<int Vectors>(std::integral_constant<int, Vectors>) {
      add_runs<Vectors>(x + e, counted, step, ahead, shift + e, sum + e);
    };
    with_size<1, 8>(vectors > 8 ? vectors - 8 : vectors, [&]<int V>(std::integral_constant<int, V>) {
      if constexpr (V > 0 && V + 8 <= in_registers)
        vectors > 8 ? take(std::integral_constant<int, V + 8>{}) : take(std::integral_constant<int, V>{});
      else if constexpr (V > 0 && V <= in_registers)
        take(std::integral_constant<int, V>{});
    });
    e += vectors * 8;
  }
  for (std::ptrdiff_t first = gapless ? l.rows / group * group : 0; first < l.rows; first += group) {
    if (first / group % every != 0) continue;
    for (std::ptrdiff_t r = 0; r < group && first + r < l.rows; ++r)
      for (std::ptrdiff_t j = 0; j < d; ++j)
        sum[r * d + j] += static_cast<double>(x[(first + r) * l.row_stride + j]) - shift[r * d + j];
  }
}

// sum[j] := the tree of the eight sums of column j. What is behind is written over, here and in repeat_rows().
inline void join_lanes(std::ptrdiff_t d, double* sum) {
  for (std::ptrdiff_t half = group / 2 * d; half >= d; half /= 2)
    for (std::ptrdiff_t e = 0; e < half; e += 8) store(sum + e, load(sum + e) + load(sum + half + e));
}

// The row in `shift` becomes `group` rows.
inline void repeat_rows(std::ptrdiff_t d, double* shift) {
  const vec<double> first = load(shift), last = load(shift + 8);
  for (double *to = shift + d, *end = shift + group * d; to < end; to += d) {
    store(to, first);
    if (d > 8) store(to + 8, last);
  }
}

// x[d] and what is behind up to a whole vector := 0.
inline void clear_behind(std::ptrdiff_t d, double* x) {
  for (std::ptrdiff_t j = d; j % 8 != 0; ++j) x[j] = 0;
}

// The rows that the provisional mean is of.
constexpr std::ptrdiff_t sampled(std::ptrdiff_t rows) {
  const std::ptrdiff_t whole = rows / group, counted = (whole + shift_every - 1) / shift_every;
  return counted * group + (whole % shift_every == 0 ? rows % group : 0);
}

// Along one column of consecutive numbers: the eight sums of x - shift over every `every`th group, joined; the
// differences go to `to` if it is not null.
template <class T>
double add_column(const T* x, std::ptrdiff_t rows, std::ptrdiff_t every, double shift, double* to) {
  vec<double> s = zero<double>();
  const vec<double> by = broadcast(shift);
  std::ptrdiff_t r = 0;
  for (; r + group <= rows; r += group * every) {
    const vec<double> z = load_as_double(x + r) - by;
    if (to != nullptr) store(to + r, z);
    s = s + z;
  }
  r = rows / group * group;
  if (r < rows && r / group % every == 0) {
    alignas(vec_bytes) double last[group] = {};
    for (std::ptrdiff_t k = 0; r + k < rows; ++k) last[k] = static_cast<double>(x[r + k]) - shift;
    if (to != nullptr) store(to + r, load(last));
    s = s + load(last);
  }
  return reduce_add(s);
}

// ---- rows into columns ----

// Columns Skip .. width - 1 of squares whose first column is x[0], less their shift, to `to`; lanes[8 k + l] is the sum
// of column Skip + k over the rows of lane l. Of whole groups.
template <int Skip, int Count, class T>
void shift_square(const T* x, std::ptrdiff_t groups, std::ptrdiff_t row_stride, const double* shift, double* to,
                  std::ptrdiff_t stride, double* lanes_of_sum) {
  using N = native<double>;
  constexpr int width = native_lanes<double>;
  N sum[vec_parts][Count] = {};
  for (std::ptrdiff_t g = 0; g < groups; ++g) {
    _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
      N square[width];
      _Pragma("GCC unroll 8") for (int k = 0; k < width; ++k) square[k] =
          load_part<double>(x + (g * group + p * width + k) * row_stride);
      transpose_native<double>(square);
      _Pragma("GCC unroll 8") for (int k = 0; k < Count; ++k) {
        const N z = square[Skip + k] - (shift[k] - N{});
        store_part(to + k * stride + g * group + p * width, z);
        sum[p][k] = sum[p][k] + z;
      }
    }
  }
  for (int p = 0; p < vec_parts; ++p)
    for (int k = 0; k < Count; ++k) store_part(lanes_of_sum + k * group + p * width, sum[p][k]);
}

// The same of rows of consecutive numbers: all columns and rows. lanes_of_sum: 8 d numbers.
template <class T>
void shift_rows_into_columns(const CovarianceShape& shape, const T* x, const Layout& l, const double* shift,
                             double* block, double* sum) {
  constexpr int width = native_lanes<double>;
  const std::ptrdiff_t d = l.cols, last = (l.rows - 1) * l.row_stride + d;  // one past the last number
  std::ptrdiff_t groups = l.rows / group;
  if (d < width)  // squares reach into the next rows
    while (groups > 0 && (groups * group - 1) * l.row_stride + width > last) --groups;
  alignas(vec_bytes) double lanes_of_sum[group * most] = {};
  const auto take = [&]<int Skip, int Count>(std::ptrdiff_t from, std::integral_constant<int, Skip>,
                                             std::integral_constant<int, Count>) {
    const std::ptrdiff_t first = from + Skip;
    shift_square<Skip, Count>(x + from, groups, l.row_stride, shift + first, block + first * shape.stride, shape.stride,
                              lanes_of_sum + first * group);
  };
  std::ptrdiff_t j = 0;
  for (; j + width <= d; j += width) take(j, std::integral_constant<int, 0>{}, std::integral_constant<int, width>{});
  with_size<1, 7>(d - j, [&]<int C>(std::integral_constant<int, C> count) {
    if constexpr (C > 0 && C < width) {
      if (d < width)
        take(0, std::integral_constant<int, 0>{}, count);
      else
        take(d - width, std::integral_constant<int, width - C>{}, count);
    }
  });
  for (std::ptrdiff_t r = groups * group; r < l.rows; ++r) {
    for (j = 0; j < d; ++j) {
      const double z = static_cast<double>(x[r * l.row_stride + j]) - shift[j];
      block[j * shape.stride + r] = z;
      lanes_of_sum[j * group + r % group] += z;
    }
  }
  for (j = 0; j < d; ++j) {
    for (std::ptrdiff_t r = l.rows; r % group != 0; ++r) block[j * shape.stride + r] = 0;
    sum[j] = reduce_add(load(lanes_of_sum + j * group));
  }
}

// ---- rows of a few numbers, in registers ----

template <int D, class T>
MMLFAST_INLINE void columns_of(const T* from, native<double>* z) {
  if constexpr (D == 1)
    z[0] = load_part<double>(from);
  else
    gapless::load_columns<D, double>(from, z);
}

// Sums of x - shift and of their products, row by row of the upper triangle.
template <int D, class T>
void sums_and_products(const T* x, std::ptrdiff_t rows, const double* shift, double* sum, double* m2) {
  using N = native<double>;
  constexpr int width = native_lanes<double>, pairs = D * (D + 1) / 2;
  alignas(vec_bytes) double s_lanes[D * group], q_lanes[pairs * group];
  for (int p = 0; p < vec_parts; ++p) {
    N s[D] = {}, q[pairs] = {};
    for (std::ptrdiff_t r = 0; r + group <= rows; r += group) {
      N z[D];
      columns_of<D>(x + (r + p * width) * D, z);
      _Pragma("GCC unroll 4") for (int j = 0; j < D; ++j) {
        z[j] = z[j] - (shift[j] - N{});
        s[j] = s[j] + z[j];
      }
      int k = 0;
      _Pragma("GCC unroll 4") for (int i = 0; i < D; ++i) {
        _Pragma("GCC unroll 4") for (int j = i; j < D; ++j, ++k) q[k] = op::fma(z[i], z[j], q[k]);
      }
    }
    for (int j = 0; j < D; ++j) store_part(s_lanes + j * group + p * width, s[j]);
    for (int k = 0; k < pairs; ++k) store_part(q_lanes + k * group + p * width, q[k]);
  }
  for (std::ptrdiff_t r = rows / group * group; r < rows; ++r) {
    double z[D];
    for (int j = 0; j < D; ++j) {
      z[j] = static_cast<double>(x[r * D + j]) - shift[j];
      s_lanes[j * group + r % group] += z[j];
    }
    for (int i = 0, k = 0; i < D; ++i)
      for (int j = i; j < D; ++j, ++k) q_lanes[k * group + r % group] = fma(z[i], z[j], q_lanes[k * group + r % group]);
  }
  for (int j = 0; j < D; ++j) sum[j] = reduce_add(load(s_lanes + j * group));
  for (int k = 0; k < pairs; ++k) m2[k] = reduce_add(load(q_lanes + k * group));
}

// ---- the whole node ----

// hi and lo, and delta: the mean less the provisional one. False if a mean is not finite. Of columns in vectors (V:
// vec<double>), those behind the last one 0, or of one column.
template <class V>
MMLFAST_INLINE bool finish_means(const V& rows, const V& shift, const V& sum, V& hi, V& lo, V& delta) {
  delta = sum / rows;
  hi = shift + delta;
  const V part = hi - shift;  // Knuth's TwoSum
  lo = (shift - (hi - part)) + (delta - part);
  if constexpr (std::is_same_v<V, double>)
    return __builtin_fabs(hi) <= __DBL_MAX__;
  else
    return all(abs(hi) <= broadcast(__DBL_MAX__));
}

// Columns of consecutive numbers, where a mean need not be finite; x may be the block.
template <class T>
void from_columns(const CovarianceShape& shape, bool with_products, const T* x, const Layout& l, double* block,
                  double* hi, double* lo, double* delta) {
  const double rows = static_cast<double>(l.rows);
  for (std::ptrdiff_t j = 0; j < l.cols; ++j) {
    const T* column = x + j * l.col_stride;
    double *to = with_products ? block + j * shape.stride : nullptr, first = static_cast<double>(column[0]);
    double shift =
        first + add_column(column, l.rows, shift_every, first, nullptr) / static_cast<double>(sampled(l.rows));
    // The sum first: what is there must be read again if it leads nowhere.
    double sum = add_column(column, l.rows, 1, shift, nullptr);
    if (!finish_means(rows, shift, sum, hi[j], lo[j], delta[j])) {
      // The plain sum decides between infinity and NaN.
      shift = hi[j] = add_column(column, l.rows, 1, 0.0, nullptr) / rows;
      lo[j] = delta[j] = 0;
    }
    if (to != nullptr) add_column(column, l.rows, 1, shift, to);
  }
}

// hi, lo and delta, and either m2 of the shifted rows, which gives true, or these rows in the block, which is scratch
// memory for the mean alone too.
template <class T>
bool reduce(const CovarianceShape& shape, Want want, const T* x, const Layout& l, double* block, double* hi, double* lo,
            double* delta, double* m2) {
  const std::ptrdiff_t d = l.cols;
  if (l.col_stride == 1 && l.row_stride >= d && !(l.row_stride == 1 && want == Want::mean)) {
    alignas(vec_bytes) double shift[group * most + 8], sum[group * most + 8];
    for (std::ptrdiff_t j = 0; j < most; j += 8) store(shift + j, zero<double>());
    for (std::ptrdiff_t j = 0; j < d; ++j) shift[j] = static_cast<double>(x[j]);
    repeat_rows(d, shift);
    add_groups(x, l, shift_every, shift, sum);
    join_lanes(d, sum);
    const vec<double> counted = broadcast(static_cast<double>(sampled(l.rows)));
    for (std::ptrdiff_t j = 0; j < d; j += 8) store(shift + j, load(shift + j) + load(sum + j) / counted);
    bool multiplied = false;
    if (want == Want::mean) {
      repeat_rows(d, shift);
      add_groups(x, l, 1, shift, sum);
      join_lanes(d, sum);
    } else if (want == Want::covariance && l.row_stride == d && d <= 4) {
      with_size<1, 4>(d, [&]<int D>(std::integral_constant<int, D>) {
        if constexpr (D > 0) sums_and_products<D>(x, l.rows, shift, sum, m2);
      });
      multiplied = true;
    } else {
      shift_rows_into_columns(shape, x, l, shift, block, sum);
    }
    clear_behind(d, shift);
    clear_behind(d, sum);
    const vec<double> rows = broadcast(static_cast<double>(l.rows));
    bool good = true;
    for (std::ptrdiff_t j = 0; j < d; j += 8) {
      vec<double> h, low, step;
      good = finish_means(rows, load(shift + j), load(sum + j), h, low, step) && good;
      store(hi + j, h);
      store(lo + j, low);
      store(delta + j, step);
    }
    if (good) return multiplied;
  }
  if (l.row_stride == 1) {
    from_columns(shape, want != Want::mean, x, l, block, hi, lo, delta);
    return false;
  }
  for (std::ptrdiff_t r = 0; r < l.rows; ++r)
    for (std::ptrdiff_t j = 0; j < d; ++j)
      block[shape.index(r, j)] = static_cast<double>(x[r * l.row_stride + j * l.col_stride]);
  from_columns(shape, want != Want::mean, block, Layout{l.rows, d, 1, shape.stride}, block, hi, lo, delta);
  return false;
}

}  // namespace mmlfast::MMLFAST_LEVEL::narrow_blocks
