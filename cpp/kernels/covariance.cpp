#include "kernels/covariance.hpp"

#include "kernels/common/fetch_ahead.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/covariance_centre.hpp"
#include "kernels/covariance_lanes.hpp"
#include "kernels/covariance_means.hpp"
#include "kernels/covariance_narrow.hpp"
#include "kernels/covariance_shift.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using V = vec<double>;
using N = native<double>;
using Index = std::ptrdiff_t;
constexpr int width = native_lanes<double>;

MMLFAST_INLINE N broadcast_native(double x) { return x - N{}; }

// ---- packing ----

template <class T>
void pack_any(const CovarianceShape& shape, const T* x, const Layout& l, Index row, Index col, double* block) {
  for (Index r = row; r < l.rows; ++r)
    for (Index j = col; j < l.cols; ++j)
      block[shape.index(r, j)] = static_cast<double>(x[r * l.row_stride + j * l.col_stride]);
}

// Rows of consecutive elements into columns: squares of `width` rows are transposed in registers. With fewer columns
// than that, a square reads on into the next rows, never past the last element. D: the number of columns if below 8,
// else 0.
template <int D, class T>
void transpose_rows(const CovarianceShape& shape, const T* x, const Layout& l, double* block) {
  const Index d = D > 0 ? D : l.cols;
  Index r = 0;
  const Index last = (l.rows - 1) * l.row_stride + d;  // one past the last element
  for (; r + width <= l.rows; r += width) {
    if (d < width && (r + width - 1) * l.row_stride + width > last) break;
    _Pragma("GCC unroll 8") for (Index c = 0; c < d; c += width) {
      const Index from = c + width <= d || d < width ? c : d - width;
      N square[width];
      for (int k = 0; k < width; ++k) square[k] = load_part<double>(x + (r + k) * l.row_stride + from);
      transpose_native<double>(square);
      _Pragma("GCC unroll 8") for (int k = 0; k < width; ++k) {
        if (from + k < d) store_part(block + (from + k) * shape.stride + r, square[k]);
      }
    }
  }
  pack_any(shape, x, l, r, 0, block);
}

// Columns of consecutive elements, converted.
template <class T>
void copy_columns(const CovarianceShape& shape, const T* x, const Layout& l, double* block) {
  for (Index j = 0; j < l.cols; ++j) {
    const T* from = x + j * l.col_stride;
    double* to = block + j * shape.stride;
    Index r = 0;
    for (; r + lanes<double> <= l.rows; r += lanes<double>) store(to + r, load_as_double(from + r));
    for (; r < l.rows; ++r) to[r] = static_cast<double>(from[r]);
  }
}

// The columns that do not exist, up to a whole strip.
void pad_strip(const CovarianceShape& shape, Index from, Index rows, Index cols, double* block) {
  for (Index r = from; r < rows; ++r)
    for (Index j = cols; j % 8 != 0; ++j) block[shape.index(r, j)] = 0;
}

// Rows of consecutive elements into strips; eight strips at a time, so that both sides stay within a few pages.
template <class T>
void copy_rows(const CovarianceShape& shape, const T* x, const Layout& l, double* block) {
  const Index whole = l.cols / 8;
  for (Index s0 = 0; s0 < whole; s0 += 8) {
    const Index s1 = s0 + 8 < whole ? s0 + 8 : whole;
    for (Index r = 0; r < l.rows; ++r) {
      const T* from = x + r * l.row_stride;
      for (Index s = s0; s < s1; ++s) store(block + (s * shape.stride + r) * 8, load_as_double(from + s * 8));
    }
  }
  // The last few columns, together with what follows them in memory as long as that is within the table.
  const Index col = whole * 8, last = (l.rows - 1) * l.row_stride + l.cols;
  if (col == l.cols) return;
  alignas(vec_bytes) const double numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const mask<double> exists = load(numbers) < broadcast(static_cast<double>(l.cols - col));
  Index r = 0;
  for (; r < l.rows && r * l.row_stride + col + 8 <= last; ++r)
    store(block + shape.index(r, col), select(exists, load_as_double(x + r * l.row_stride + col), zero<double>()));
  pad_strip(shape, r, l.rows, l.cols, block);
  pack_any(shape, x, l, r, col, block);
}

// Columns of consecutive elements into strips.
template <class T>
void transpose_columns(const CovarianceShape& shape, const T* x, const Layout& l, double* block) {
  const Index whole = l.cols / width * width, even = l.rows / width * width;
  for (Index c = 0; c < whole; c += width) {
    double* to = block + shape.index(0, c);
    for (Index r = 0; r < even; r += width) {
      N square[width];
      for (int k = 0; k < width; ++k) square[k] = load_part<double>(x + (c + k) * l.col_stride + r);
      transpose_native<double>(square);
      for (int k = 0; k < width; ++k) store_part(to + (r + k) * 8, square[k]);
    }
    pack_any(shape, x, Layout{l.rows, c + width, l.row_stride, l.col_stride}, even, c, block);
  }
  pack_any(shape, x, l, 0, whole, block);
}

template <class T>
void pack(const CovarianceShape& shape, const T* x, const Layout& l, double* block) {
  if (l.rows == 0 || l.cols == 0) return;
  const bool along_rows = (l.col_stride == 1 || l.cols == 1) && l.row_stride >= l.cols;
  if (!shape.by_columns && !along_rows) pad_strip(shape, 0, l.rows, l.cols, block);
  if (l.row_stride == 1 && l.rows > 1 && (shape.by_columns || !along_rows)) {
    if (shape.by_columns)
      copy_columns(shape, x, l, block);
    else
      transpose_columns(shape, x, l, block);
  } else if (along_rows) {
    if (!shape.by_columns) return copy_rows(shape, x, l, block);
    with_size<2, 7>(l.cols, [&]<int N>(std::integral_constant<int, N>) {
      if (N > 0 || l.cols >= 8)
        transpose_rows<N>(shape, x, l, block);
      else
        pack_any(shape, x, l, 0, 0, block);
    });
  } else {
    pack_any(shape, x, l, 0, 0, block);
  }
}

// ---- centring ----

// Rows that are there only to fill the last vector of a column.
MMLFAST_INLINE void fill_rest(double* column, Index rows, double value) {
  for (Index r = rows; r % 8 != 0; ++r) column[r] = value;
}

template <bool ByColumns, bool Weighted>
void centre_run(double* z, Index rows, const double* weights, double total, Index reference, double* hi, double* lo) {
  const Run<ByColumns ? Along::rows : Along::columns, Weighted> run{z, ByColumns ? (rows + 7) / 8 : rows, 8, weights};
  const V sum_of_weights = broadcast(total);
  if constexpr (ByColumns) {
    alignas(vec_bytes) double first[8], second[8];
    fill_rest(z, rows, z[reference]);
    const Mean mean =
        centre_column(run, broadcast(z[reference]), sum_of_weights, [&](double value) { fill_rest(z, rows, value); });
    store(first, mean.hi);
    store(second, mean.lo);
    *hi = first[0];
    *lo = second[0];
  } else {
    const Mean mean = centre_column(run, load(z + reference * 8), sum_of_weights, [](double) {});
    store(hi, mean.hi);
    store(lo, mean.lo);
  }
}

template <bool ByColumns, bool Weighted>
void centre_all(const CovarianceShape& shape, double* block, Index rows, const double* weights, double total,
                Index reference, Index from, Index to, double* hi, double* lo) {
  if constexpr (ByColumns) {
    for (Index j = 0; j < shape.d; ++j)
      centre_run<true, Weighted>(block + j * shape.stride, rows, weights, total, reference, hi + j, lo + j);
  } else {
    for (Index s = from; s < to; ++s)
      centre_run<false, Weighted>(block + s * shape.stride * 8, rows, weights, total, reference, hi + s * 8,
                                  lo + s * 8);
  }
}

void centre(const CovarianceShape& shape, double* block, Index rows, const double* weights, double total,
            Index reference, Index from, Index to, double* hi, double* lo) {
  if (shape.by_columns) {
    if (weights != nullptr)
      centre_all<true, true>(shape, block, rows, weights, total, reference, from, to, hi, lo);
    else
      centre_all<true, false>(shape, block, rows, weights, total, reference, from, to, hi, lo);
  } else {
    if (weights != nullptr)
      centre_all<false, true>(shape, block, rows, weights, total, reference, from, to, hi, lo);
    else
      centre_all<false, false>(shape, block, rows, weights, total, reference, from, to, hi, lo);
  }
}

// ---- products of columns: lanes over rows ----

// reduce_add of `width` vectors at once, in the same tree.
MMLFAST_INLINE N reduce_each(const V* x) {
  N row[width];
  for (int k = 0; k < width; ++k) {
    if constexpr (vec_parts == 1)
      row[k] = x[k].part[0];
    else if constexpr (vec_parts == 2)
      row[k] = x[k].part[0] + x[k].part[1];
    else
      row[k] = (x[k].part[0] + x[k].part[2]) + (x[k].part[1] + x[k].part[3]);
  }
  transpose_native<double>(row);
  _Pragma("GCC unroll 4") for (int half = width / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) row[i] = row[i] + row[i + half];
  }
  return row[0];
}

// out[i * 4 + j] = dot product of columns a + i and b + j.
template <int I, int J>
void dots(const double* a, const double* b, Index stride, Index vectors, double* out) {
  V total[16] = {};
  for (int p = 0; p < vec_parts; ++p) {
    N sum[I][J] = {};
    const double *ap = a + p * width, *bp = b + p * width;
    for (Index v = 0; v < vectors; ++v, ap += 8, bp += 8) {
      N y[J];
      _Pragma("GCC unroll 4") for (int j = 0; j < J; ++j) y[j] = load_part<double>(bp + j * stride);
      _Pragma("GCC unroll 4") for (int i = 0; i < I; ++i) {
        const N x = load_part<double>(ap + i * stride);
        _Pragma("GCC unroll 4") for (int j = 0; j < J; ++j) sum[i][j] = op::fma(x, y[j], sum[i][j]);
      }
    }
    for (int i = 0; i < I; ++i)
      for (int j = 0; j < J; ++j) total[i * 4 + j].part[p] = sum[i][j];
  }
  for (int k = 0; k < I * 4; k += width) store_part(out + k, reduce_each(total + k));
}

using Dots = void (*)(const double*, const double*, Index, Index, double*);
constexpr Dots dots_by_size[4][4] = {{dots<1, 1>, dots<1, 2>, dots<1, 3>, dots<1, 4>},
                                     {dots<2, 1>, dots<2, 2>, dots<2, 3>, dots<2, 4>},
                                     {dots<3, 1>, dots<3, 2>, dots<3, 3>, dots<3, 4>},
                                     {dots<4, 1>, dots<4, 2>, dots<4, 3>, dots<4, 4>}};
constexpr Index tile_rows = native_bytes == 64 ? 4 : 2;  // sums of a tile and their operands fit the registers

void products_of_columns(const CovarianceShape& shape, const double* block, Index rows, bool add, double* m2,
                         const void* next, Index ahead) {
  const Index d = shape.d, vectors = (rows + 7) / 8;
  Index tiles = 0;
  for (Index i = 0; i < d; i += tile_rows) tiles += (d - i + 3) / 4;
  FetchAhead fetch(next, ahead, tiles);
  alignas(vec_bytes) double out[16];
  for (Index i = 0; i < d; i += tile_rows) {
    const Index ni = d - i < tile_rows ? d - i : tile_rows;
    for (Index j = i; j < d; j += 4) {
      const Index nj = d - j < 4 ? d - j : 4;
      fetch.to_read();
      dots_by_size[ni - 1][nj - 1](block + i * shape.stride, block + j * shape.stride, shape.stride, vectors, out);
      for (Index k = 0; k < ni; ++k) {
        for (Index l = 0; l < nj; ++l) {
          if (i + k > j + l) continue;
          double& entry = m2[shape.entry(i + k, j + l)];
          entry = add ? entry + out[k * 4 + l] : out[k * 4 + l];
        }
      }
    }
  }
}

// ---- products of strips: lanes over columns ----

constexpr int rows_of_a = native_bytes == 64 ? 8 : 4;  // times 3 registers of b: the sums fill most of the registers

// C[a][q] (+)= sum over rows of z[r][a] * z[r][q] for rows_of_a columns a of one strip and Q registers q of columns,
// register q being at b[q] and its sums at c[q].
template <int Q>
MMLFAST_INLINE void outer_products(const double* a, const double* const* b, Index rows, bool add, double* const* c) {
  N sum[rows_of_a][Q] = {};
  for (Index r = 0; r < rows; ++r) {
    N y[Q];
    _Pragma("GCC unroll 3") for (int q = 0; q < Q; ++q) y[q] = load_part<double>(b[q] + r * 8);
    _Pragma("GCC unroll 8") for (int k = 0; k < rows_of_a; ++k) {
      const N x = broadcast_native(a[r * 8 + k]);
      _Pragma("GCC unroll 3") for (int q = 0; q < Q; ++q) sum[k][q] = op::fma(x, y[q], sum[k][q]);
    }
  }
  for (int k = 0; k < rows_of_a; ++k) {
    for (int q = 0; q < Q; ++q) {
      double* to = c[q] + k * 8;
      store_part(to, add ? load_part<double>(to) + sum[k][q] : sum[k][q]);
    }
  }
}

// Registers of the next tile when `left` are left: three, but no single one at the end, whose few sums would wait for
// each other.
constexpr Index next_registers(Index left) { return left == 4 || left == 2 ? 2 : left < 3 ? left : 3; }

void products_of_strips(const CovarianceShape& shape, const double* block, Index rows, Index si0, Index si1, Index sj0,
                        Index sj1, bool add, double* m2, FetchAhead& fetch) {
  const Index strip = shape.stride * 8;
  for (Index si = si0; si < si1; ++si) {
    const Index first = si > sj0 ? si : sj0;
    const Index registers = (sj1 - first) * vec_parts;
    for (int k = 0; k < 8; k += rows_of_a) {
      const double* a = block + si * strip + k;
      // What is left of the diagonal is not computed.
      for (Index q0 = first == si ? k / width : 0, count = 0; q0 < registers; q0 += count) {
        const double* b[3] = {};
        double* c[3] = {};
        count = next_registers(registers - q0);
        fetch.to_read();
        for (Index q = 0; q < count; ++q) {
          const Index sj = first + (q0 + q) / vec_parts, part = (q0 + q) % vec_parts * width;
          b[q] = block + sj * strip + part;
          c[q] = m2 + shape.tile(si, sj) + k * 8 + part;
        }
        if (count == 3)
          outer_products<3>(a, b, rows, add, c);
        else if (count == 2)
          outer_products<2>(a, b, rows, add, c);
        else
          outer_products<1>(a, b, rows, add, c);
      }
    }
  }
}

void products(const CovarianceShape& shape, const double* block, Index rows, Index si0, Index si1, Index sj0, Index sj1,
              bool add, double* m2, const void* next, Index ahead) {
  if (shape.by_columns) return products_of_columns(shape, block, rows, add, m2, next, ahead);
  // Most tiles are rows_of_a columns by three registers of the strips from theirs on.
  const Index chains = (rows + rows_per_chain - 1) / rows_per_chain,
              registers = shape.strips * (shape.strips + 1) / 2 * vec_parts;
  FetchAhead fetch(next, ahead, chains * registers / 3 * (8 / rows_of_a) + 1);
  for (Index r = 0; r < rows; r += rows_per_chain)
    products_of_strips(shape, block + r * 8, rows - r < rows_per_chain ? rows - r : rows_per_chain, si0, si1, sj0, sj1,
                       add || r > 0, m2, fetch);
}

void squares(const CovarianceShape& shape, const double* block, Index rows, Index from, Index to, bool add,
             double* m2) {
  if (shape.by_columns) {
    for (Index j = 0; j < shape.d; ++j) {
      V sum = zero<double>();
      for (Index r = 0; r < rows; r += 8) {
        const V z = load(block + j * shape.stride + r);
        sum = fma(z, z, sum);
      }
      m2[j] = add ? m2[j] + reduce_add(sum) : reduce_add(sum);
    }
    return;
  }
  for (Index s = from; s < to; ++s) {
    V all = add ? load(m2 + s * 8) : zero<double>();
    for (Index r = 0; r < rows;) {
      V sum = zero<double>();
      for (const Index end = rows - r < rows_per_chain ? rows : r + rows_per_chain; r < end; ++r) {
        const V z = load(block + (s * shape.stride + r) * 8);
        sum = fma(z, z, sum);
      }
      all = all + sum;
    }
    store(m2 + s * 8, all);
  }
}

// ---- merging ----

double merge_means(const CovarianceShape& shape, double* a, const double* b, double sign, double* delta) {
  const double na = a[0], nb = sign * b[0], n = na + nb;
  double *hi = a + shape.hi(), *lo = a + shape.lo();
  const double *other_hi = b + shape.hi(), *other_lo = b + shape.lo();
  a[0] = n;
  const V all = broadcast(n), share = broadcast(nb / n), none = zero<double>(), largest = broadcast(__DBL_MAX__);
  for (Index j = 0; j < shape.padded(); j += 8) {  // what is behind the columns is 0 and stays it
    const V ha = load(hi + j), hb = load(other_hi + j), la = load(lo + j);
    const V difference = (hb - ha) + (load(other_lo + j) - la);
    store(delta + j, difference);
    // hi + lo := ha + lo + difference * nb / n, the sum of the large parts without error (Knuth's TwoSum).
    const V step = difference * share, sum = ha + step, part = sum - ha;
    const V low = la + ((ha - (sum - part)) + (step - part)), mean = sum + low;
    const mask<double> good = abs(difference) <= largest;
    store(hi + j, select(good, mean, (ha * broadcast(na) + hb * broadcast(nb)) / all));
    store(lo + j, select(good & (abs(mean) <= largest), low - (mean - sum), none));
  }
  return na * (nb / n);
}

// m2 := m2 + factor delta delta'
void add_outer(const CovarianceShape& shape, bool full, double factor, const double* delta, double* m2) {
  if (!full) {
    for (Index j = 0; j < shape.d; ++j) m2[j] = m2[j] + factor * (delta[j] * delta[j]);
  } else if (shape.by_columns) {
    for (Index i = 0; i < shape.d; ++i)
      for (Index j = i; j < shape.d; ++j, ++m2) *m2 = *m2 + factor * (delta[i] * delta[j]);
  } else {
    for (Index si = 0; si < shape.strips; ++si)
      for (Index sj = si; sj < shape.strips; ++sj, m2 += 64)
        for (Index i = 0; i < 8; ++i) {
          const V outer = broadcast(delta[si * 8 + i]) * load(delta + sj * 8);
          store(m2 + i * 8, load(m2 + i * 8) + broadcast(factor) * outer);
        }
  }
}

void merge(const CovarianceShape& shape, bool full, double* a, const double* b, double sign, double* delta) {
  const double factor = merge_means(shape, a, b, sign, delta);
  double* m2 = a + shape.m2();
  const double* other = b + shape.m2();
  for (Index k = 0; k < shape.m2_size(full); k += 8) store(m2 + k, load(m2 + k) + broadcast(sign) * load(other + k));
  add_outer(shape, full, factor, delta, m2);
}

void unshift(const CovarianceShape& shape, bool full, Index rows, const double* delta, double* m2) {
  add_outer(shape, full, -static_cast<double>(rows), delta, m2);
  for (Index j = 0; j < shape.d; ++j) {  // denormal numbers can round to less than nothing
    double& square = m2[full ? shape.entry(j, j) : j];
    if (square < 0) square = 0;
  }
}

template <class T>
void narrow(const CovarianceShape& shape, Want want, const T* x, const Layout& layout, double* block, double* hi,
            double* lo, double* delta, double* m2, const void* next, Index ahead) {
  const bool multiplied = narrow_blocks::reduce(shape, want, x, layout, block, hi, lo, delta, m2);
  if (want == Want::mean) return;
  const bool full = want == Want::covariance;
  if (!multiplied && full)
    products_of_columns(shape, block, layout.rows, false, m2, next, ahead);
  else if (!multiplied)
    squares(shape, block, layout.rows, 0, shape.strips, false, m2);
  unshift(shape, full, layout.rows, delta, m2);
}

}  // namespace

MMLFAST_DEFINE_TABLE(CovarianceKernel, covariance_kernel, pack<double>, pack<float>, centre, shift_rows<double>,
                     shift_rows<float>, unshift, narrow<double>, narrow<float>, products, squares, merge_means,
                     means_of_rows<double>, means_of_rows<float>, in_lanes::of_affine_map, merge)

MMLFAST_DEFINE_TABLES(CovarianceInLanes, covariance_in_lanes, in_lanes::covariance<T>, in_lanes::correlation<T>,
                      in_lanes::variance<false, T>, in_lanes::variance<true, T>, in_lanes::mean<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
