#include "kernels/matmul.hpp"

#include "kernels/common/fetch_ahead.hpp"
#include "kernels/common/fma.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/matmul_points.hpp"
#include "kernels/matmul_stripes.hpp"
#include "kernels/matmul_tile.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;

template <class T>
constexpr ptrdiff_t whole_vectors(ptrdiff_t n) {
  return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// Copies are made for that many elements at a time, or for one item: what has just been stored bit by bit should not be
// loaded at once as vectors.
constexpr ptrdiff_t copied_elements = 1024;

constexpr ptrdiff_t copied_items(ptrdiff_t count, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n) {
  if (count == 1) return 1;  // the division takes as long as a small product
  const ptrdiff_t larger = m > k ? m : k, items = copied_elements / (larger * n);
  return items < 1 ? 1 : items < count ? items : count;
}

// Copies of up to `count` matrices of this many elements.
template <class T>
ptrdiff_t elements_of_copies(ptrdiff_t count, ptrdiff_t elements) {
  if (elements >= copied_elements) return whole_vectors<T>(elements);
  const ptrdiff_t all = count * elements;
  return whole_vectors<T>(all < copied_elements ? all : copied_elements);
}

// Room for copies of B and of C, and for a panel of B. The roles of m and n may be exchanged.
template <class T>
ptrdiff_t scratch_elements(ptrdiff_t count, ptrdiff_t m, ptrdiff_t k, ptrdiff_t n) {
  const ptrdiff_t larger = m > n ? m : n;
  return elements_of_copies<T>(count, k * larger) + elements_of_copies<T>(count, m * n) + 4 * lanes<T> * k +
         whole_vectors<T>(k);
}

// In place: element j of register i becomes element i of register j, for registers of 16 bytes.
template <class Register>
void transpose_small(Register* r) {
  if constexpr (sizeof(r[0][0]) == 8) {
    const Register low = __builtin_shufflevector(r[0], r[1], 0, 2);
    r[1] = __builtin_shufflevector(r[0], r[1], 1, 3);
    r[0] = low;
  } else {
    const Register a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5),
                   b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
                   c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5),
                   d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
  }
}

// Rows i .. i + Width of `from`, whose columns are contiguous, as rows of `to`: in squares of Width.
template <int Width, class T>
void copy_band(const T* from, const Layout& l, ptrdiff_t i, T* to) {
  using Register = narrow<T, Width>;
  ptrdiff_t j = 0;
  for (; j + Width <= l.cols; j += Width) {
    typename Register::Part square[Width];
    for (int r = 0; r < Width; ++r) square[r] = Register::load(from + i + (j + r) * l.col_stride).part[0];
    if constexpr (Width == native_lanes<T>)
      transpose_native<T>(square);
    else
      transpose_small(square);
    for (int r = 0; r < Width; ++r) Register{{square[r]}}.store(to + (i + r) * l.cols + j);
  }
  for (; j < l.cols; ++j)
    for (int r = 0; r < Width; ++r) to[(i + r) * l.cols + j] = from[i + r + j * l.col_stride];
}

// `from` in contiguous rows of `to`.
template <class T>
void copy_rows(const T* from, const Layout& l, T* to) {
  constexpr int wide = native_lanes<T>, small = 16 / static_cast<int>(sizeof(T));
  ptrdiff_t i = 0;
  if (l.row_stride == 1) {
    if (l.cols >= wide)
      for (; i + wide <= l.rows; i += wide) copy_band<wide>(from, l, i, to);
    for (; i + small <= l.rows; i += small) copy_band<small>(from, l, i, to);
  }
  for (; i < l.rows; ++i)
    for (ptrdiff_t j = 0; j < l.cols; ++j) to[i * l.cols + j] = from[i * l.row_stride + j * l.col_stride];
}

// Contiguous rows of `from` to `to`.
template <class T>
void copy_out(const T* from, T* to, const Layout& l) {
  for (ptrdiff_t i = 0; i < l.rows; ++i)
    for (ptrdiff_t j = 0; j < l.cols; ++j) to[i * l.row_stride + j * l.col_stride] = from[i * l.cols + j];
}

template <class S>
S transposed(const S& s) {
  return {s.data, s.stride, {s.layout.cols, s.layout.rows, s.layout.col_stride, s.layout.row_stride}};
}

// Of matrices without gaps in them and between them; else 0.
template <class T>
ptrdiff_t bytes_of_item(const MatrixStack<const T>& x) {
  const Layout& l = x.layout;
  const bool gapless = (l.row_stride == l.cols && l.col_stride == 1) || (l.col_stride == l.rows && l.row_stride == 1);
  return gapless && x.stride == l.rows * l.cols ? x.stride * static_cast<ptrdiff_t>(sizeof(T)) : 0;
}

// B and C in contiguous rows.
template <class T>
void multiply_items(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b,
                    const MatrixStack<T>& c, T* work) {
  const ptrdiff_t m = c.layout.rows, n = c.layout.cols, k = a.layout.cols;
  if (m == n && k == n && n >= 2 && n <= 8 && count > 1)
    return with_size<2, 8>(n, [&]<int N>(std::integral_constant<int, N>) {
      if constexpr (N > 0) tiled::squares<N>(count, a, b, c);
    });
  const auto bytes = [](ptrdiff_t elements) { return elements * static_cast<ptrdiff_t>(sizeof(T)); };
  const tiled::Ahead ahead = tiled::ahead_of(count, bytes((m + n) * k));
  constexpr ptrdiff_t columns = tile_vectors * lanes<T>;
  const ptrdiff_t panels = (n + columns - 1) / columns, tiles = (m + tile_rows - 1) / tile_rows;
  const bool asks_for_rows =
      ahead != tiled::Ahead::anew && a.layout.col_stride == 1 && a.layout.row_stride == k && panels > 1;
  tiled::Lines next, rows;
  tiled::Strides strides{a.layout.row_stride,
                         a.layout.col_stride,
                         b.layout.row_stride,
                         c.layout.row_stride,
                         bytes(a.stride),
                         bytes(b.stride),
                         bytes(c.stride),
                         ahead,
                         &next,
                         nullptr};
  for (ptrdiff_t i = 0; i < count; ++i) {
    const T *own_a = a.data + i * a.stride, *own_b = b.data + i * b.stride;
    const bool by_rows = i == 0 && asks_for_rows;  // nobody has asked for the first item
    strides.in_first_panel = by_rows ? &rows : nullptr;
    if (by_rows) {
      rows = tiled::Lines::of_next_rows(bytes(tile_rows * k), k);
      rows.start(own_a, own_b);
    }
    if (ahead == tiled::Ahead::once) {
      if (i <= 1)
        next =
            tiled::Lines::of_next_item(bytes_of_item(a), bytes_of_item(b), k, tiles * (by_rows ? panels - 1 : panels));
      next.start(own_a, own_b);
      if (i == count - 1) strides.ahead = tiled::Ahead::nothing;  // what is next may be another thread's
    }
    tiled::multiply(m, n, k, strides, own_a, own_b, c.data + i * c.stride, work);
  }
}

template <class T>
void products_by_rows(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b,
                      const MatrixStack<T>& c, T* scratch) {
  const ptrdiff_t m = c.layout.rows, n = c.layout.cols, k = a.layout.cols, group = copied_items(count, m, k, n);
  T* b_room = scratch;
  T* c_room = b_room + whole_vectors<T>(group * k * n);
  T* work = c_room + whole_vectors<T>(group * m * n);
  const bool copies_b = n > 1 && b.layout.col_stride != 1, copies_c = n > 1 && c.layout.col_stride != 1;
  if (!copies_b && !copies_c) return multiply_items(count, a, b, c, work);
  if (copies_b && b.stride == 0) {
    copy_rows(b.data, b.layout, b_room);
    if (!copies_c) return multiply_items<T>(count, a, {b_room, 0, {k, n, n, 1}}, c, work);
  }
  for (ptrdiff_t i = 0; i < count; i += group) {
    const ptrdiff_t items = count - i < group ? count - i : group;
    MatrixStack<const T> rows_of_b{b.data + i * b.stride, b.stride, b.layout};
    if (copies_b) rows_of_b = {b_room, b.stride == 0 ? 0 : k * n, {k, n, n, 1}};
    if (copies_b && b.stride != 0) {
      for (ptrdiff_t item = 0; item < items; ++item)
        copy_rows(b.data + (i + item) * b.stride, b.layout, b_room + item * k * n);
    }
    MatrixStack<T> rows_of_c{c.data + i * c.stride, c.stride, c.layout};
    if (copies_c) rows_of_c = {c_room, m * n, {m, n, n, 1}};
    multiply_items<T>(items, {a.data + i * a.stride, a.stride, a.layout}, rows_of_b, rows_of_c, work);
    if (copies_c) {
      for (ptrdiff_t item = 0; item < items; ++item)
        copy_out(c_room + item * m * n, c.data + (i + item) * c.stride, c.layout);
    }
  }
}

template <class S>
S rows_from(const S& s, ptrdiff_t first) {
  return {s.data + first * s.layout.row_stride,
          s.stride,
          {s.layout.rows - first, s.layout.cols, s.layout.row_stride, s.layout.col_stride}};
}

template <class T>
void products(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b, const MatrixStack<T>& c,
              T* scratch) {
  if (count == 1) {
    const ptrdiff_t done = points::first_rows(a.data, a.layout, b.data, b.layout, c.data, c.layout);
    if (done == c.layout.rows) return;
    if (done > 0) return products<T>(1, rows_from(a, done), b, rows_from(c, done), scratch);
  }
  const bool by_columns =
      c.layout.rows > 1 && c.layout.row_stride == 1 && c.layout.cols > 1 && c.layout.col_stride != 1;
  // A column alone is a row of the transpose: contiguous if the columns of A are.
  const bool one_column = c.layout.cols == 1 && c.layout.rows > 1 && c.layout.row_stride == 1;
  if (by_columns || one_column)
    products_by_rows(count, transposed(b), transposed(a), transposed(c), scratch);
  else
    products_by_rows(count, a, b, c, scratch);
}

// Sums over k of row[l][k] * x[l][k], one per lane. `shared`: all x[l] are the same.
template <class T>
vec<T> dots_in_lanes(ptrdiff_t depth, const T* const* row, const T* const* x, bool shared) {
  constexpr int w = native_lanes<T>;
  // To the rows after the next ones, if they lie like these.
  const ptrdiff_t ahead = 2 * (row[lanes<T> - 1] - row[0]) * static_cast<ptrdiff_t>(sizeof(T));
  using Unaligned = typename native_of<T>::unaligned;
  vec<T> sum = zero<T>();
  for (ptrdiff_t done = 0; done < depth; done += w) {
    // The last square overlaps the one before it: its first columns have been added already.
    const ptrdiff_t e = done + w <= depth ? done : depth - w;
    const int skip = static_cast<int>(done - e);
    _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
      native<T> square[w], other[w];
      for (int r = 0; r < w; ++r) {
        square[r] = *reinterpret_cast<const Unaligned*>(row[p * w + r] + e);
        fetch_line<0, 2>(row[p * w + r] + e, ahead);
      }
      transpose_native<T>(square);
      if (shared) {
        for (int r = 0; r < w; ++r) other[r] = x[0][e + r] - native<T>{};
      } else {
        for (int r = 0; r < w; ++r) other[r] = *reinterpret_cast<const Unaligned*>(x[p * w + r] + e);
        transpose_native<T>(other);
      }
      if (skip == 0) {
        for (int r = 0; r < w; ++r) sum.part[p] = op::fma(square[r], other[r], sum.part[p]);
      } else {
        for (int r = 0; r < w; ++r)
          if (r >= skip) sum.part[p] = op::fma(square[r], other[r], sum.part[p]);
      }
    }
  }
  return sum;
}

// Rows too short for a vector: K products each, from the first to the last.
template <int K, class T>
void short_dots(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x,
                const MatrixStack<T>& y) {
  const ptrdiff_t m = a.layout.rows, a_row = a.layout.row_stride, x_row = x.layout.row_stride,
                  y_row = y.layout.row_stride;
  const T *pa = a.data, *px = x.data;
  T* py = y.data;
  for (ptrdiff_t i = 0; i < count; ++i, pa += a.stride, px += x.stride, py += y.stride) {
    T v[K];
    for (int k = 0; k < K; ++k) v[k] = px[k * x_row];
    for (ptrdiff_t r = 0; r < m; ++r) {
      T sum = 0;
      _Pragma("GCC unroll 16") for (int k = 0; k < K; ++k) sum = fma(pa[r * a_row + k], v[k], sum);
      py[r * y_row] = sum;
    }
  }
}

// Row by row in registers of one number: for float64, and short rows of float32, that is faster than transposing
// (measured).
template <int Rows, class T>
void medium_dots(ptrdiff_t depth, const T* a, ptrdiff_t a_row, const T* x, T* y, ptrdiff_t y_row) {
  constexpr ptrdiff_t line = 64 / static_cast<ptrdiff_t>(sizeof(T));
  const ptrdiff_t ahead = 2 * Rows * a_row * static_cast<ptrdiff_t>(sizeof(T));
  T sum[Rows] = {};
  for (ptrdiff_t start = 0; start < depth; start += line) {
    const ptrdiff_t end = start + line < depth ? start + line : depth;
    _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) fetch_line<0, 2>(a + r * a_row + start, ahead);
    for (ptrdiff_t k = start; k < end; ++k) {
      const T v = x[k];
      _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) sum[r] = fma(a[r * a_row + k], v, sum[r]);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) y[r * y_row] = sum[r];
}

template <class T>
void medium_dots(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x,
                 const MatrixStack<T>& y) {
  const ptrdiff_t m = a.layout.rows, depth = a.layout.cols, a_row = a.layout.row_stride, y_row = y.layout.row_stride;
  for (ptrdiff_t i = 0; i < count; ++i) {
    const T *pa = a.data + i * a.stride, *px = x.data + i * x.stride;
    T* py = y.data + i * y.stride;
    ptrdiff_t r = 0;
    for (; r + 8 <= m; r += 8) medium_dots<8>(depth, pa + r * a_row, a_row, px, py + r * y_row, y_row);
    for (; r + 4 <= m; r += 4) medium_dots<4>(depth, pa + r * a_row, a_row, px, py + r * y_row, y_row);
    for (; r < m; ++r) medium_dots<1>(depth, pa + r * a_row, a_row, px, py + r * y_row, y_row);
  }
}

// Eight (sixteen) rows at a time, of one item or of several.
template <class T>
void long_dots(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x, const MatrixStack<T>& y) {
  const ptrdiff_t m = a.layout.rows, depth = a.layout.cols;
  const T *row[lanes<T>], *vector[lanes<T>];
  T* to[lanes<T>];
  ptrdiff_t item = 0, r = 0;
  while (item < count) {
    const ptrdiff_t first = item;
    int filled = 0;
    bool shared = true;
    for (; filled < lanes<T> && item < count; ++filled) {
      row[filled] = a.data + item * a.stride + r * a.layout.row_stride;
      vector[filled] = x.data + item * x.stride;
      to[filled] = y.data + item * y.stride + r * y.layout.row_stride;
      shared = shared && item == first;
      if (++r == m) r = 0, ++item;
    }
    for (int l = filled; l < lanes<T>; ++l) row[l] = row[filled - 1], vector[l] = vector[filled - 1];
    alignas(vec_bytes) T sums[lanes<T>];
    store(sums, dots_in_lanes(depth, row, vector, shared || x.stride == 0));
    for (int l = 0; l < filled; ++l) *to[l] = sums[l];
  }
}

// Groups x lanes rows of one item, in squares that are transposed in registers: the chains of one group alone would
// wait for each other.
template <int Groups, class T>
void band_dots(ptrdiff_t depth, const T* a, ptrdiff_t a_row, const T* x, T* y, ptrdiff_t y_row) {
  constexpr int w = native_lanes<T>, squares = Groups * vec_parts;
  using Unaligned = typename native_of<T>::unaligned;
  const ptrdiff_t ahead = squares * w * a_row * static_cast<ptrdiff_t>(sizeof(T));
  native<T> sum[squares] = {};
  ptrdiff_t k = 0;
  for (; k + w <= depth; k += w) {
    _Pragma("GCC unroll 8") for (int s = 0; s < squares; ++s) {
      native<T> square[w];
      for (int r = 0; r < w; ++r) {
        const T* from = a + (s * w + r) * a_row + k;
        square[r] = *reinterpret_cast<const Unaligned*>(from);
        fetch_line<0, 2>(from, ahead);
      }
      transpose_native<T>(square);
      for (int r = 0; r < w; ++r) sum[s] = op::fma(square[r], x[k + r] - native<T>{}, sum[s]);
    }
  }
  alignas(vec_bytes) T sums[squares * w];
  for (int s = 0; s < squares; ++s) *reinterpret_cast<Unaligned*>(sums + s * w) = sum[s];
  for (; k < depth; ++k)
    for (int r = 0; r < squares * w; ++r) sums[r] = fma(a[r * a_row + k], x[k], sums[r]);
  for (int r = 0; r < squares * w; ++r) y[r * y_row] = sums[r];
}

template <class T>
void any_dots(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x, const MatrixStack<T>& y) {
  const ptrdiff_t m = a.layout.rows, depth = a.layout.cols, a_row = a.layout.row_stride, y_row = y.layout.row_stride,
                  band = 2 * lanes<T>, in_bands = depth < 32 ? 0 : m / band * band;
  if (in_bands == 0) {
    if (m >= 8 && (sizeof(T) == 8 || depth < 32)) return medium_dots(count, a, x, y);
    return long_dots(count, a, x, y);
  }
  for (ptrdiff_t i = 0; i < count; ++i) {
    const T *pa = a.data + i * a.stride, *px = x.data + i * x.stride;
    T* py = y.data + i * y.stride;
    for (ptrdiff_t r = 0; r < in_bands; r += band)
      band_dots<2>(depth, pa + r * a_row, a_row, px, py + r * y_row, y_row);
    if (in_bands < m)
      medium_dots<T>(1, {pa + in_bands * a_row, 0, {m - in_bands, depth, a_row, 1}}, {px, 0, x.layout},
                     {py + in_bands * y_row, 0, {m - in_bands, 1, y_row, 1}});
  }
}

template <class T>
void dots(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& x, const MatrixStack<T>& y,
          T* scratch) {
  switch (a.layout.cols) {
#define MMLFAST_SHORT(K) \
  case K:                \
    return short_dots<K>(count, a, x, y);
    MMLFAST_SHORT(1)
    MMLFAST_SHORT(2)
    MMLFAST_SHORT(3)
    MMLFAST_SHORT(4)
    MMLFAST_SHORT(5)
    MMLFAST_SHORT(6)
    MMLFAST_SHORT(7)
    MMLFAST_SHORT(8)
    MMLFAST_SHORT(9)
    MMLFAST_SHORT(10)
    MMLFAST_SHORT(11)
    MMLFAST_SHORT(12)
    MMLFAST_SHORT(13)
    MMLFAST_SHORT(14)
    MMLFAST_SHORT(15)
#undef MMLFAST_SHORT
    default:
      break;
  }
  if (x.layout.row_stride == 1) return any_dots(count, a, x, y);
  const ptrdiff_t k = a.layout.cols;
  for (ptrdiff_t i = 0; i < count; ++i) {
    if (i == 0 || x.stride != 0)
      for (ptrdiff_t j = 0; j < k; ++j) scratch[j] = x.data[i * x.stride + j * x.layout.row_stride];
    any_dots<T>(1, {a.data + i * a.stride, 0, a.layout}, {scratch, 0, {k, 1, 1, 1}},
                {y.data + i * y.stride, 0, y.layout});
  }
}

template <class T>
struct Stripes {
  vec<T> sum[4] = {zero<T>(), zero<T>(), zero<T>(), zero<T>()};

  void add(ptrdiff_t k, const T* x, const T* y) {
    ptrdiff_t i = 0;
    for (; i + 4 * lanes<T> <= k; i += 4 * lanes<T>) {
      _Pragma("GCC unroll 4") for (int v = 0; v < 4; ++v) sum[v] =
          fma(load(x + i + v * lanes<T>), load(y + i + v * lanes<T>), sum[v]);
    }
    _Pragma("GCC unroll 4") for (int v = 0; v < 4; ++v, i += lanes<T>) {
      if (i + lanes<T> <= k)
        sum[v] = fma(load(x + i), load(y + i), sum[v]);
      else if (i < k)
        sum[v] = fma(striped::first(x + i, k - i), striped::first(y + i, k - i), sum[v]);
    }
  }
  vec<T> all() const { return (sum[0] + sum[1]) + (sum[2] + sum[3]); }
};

template <class T>
T long_inner(ptrdiff_t k, const T* x, ptrdiff_t x_stride, const T* y, ptrdiff_t y_stride, T* scratch) {
  Stripes<T> stripes;
  if (x_stride == 1 && y_stride == 1) {
    stripes.add(k, x, y);
    return striped::total(stripes.all());
  }
  for (ptrdiff_t i = 0; i < k; i += inner_block) {
    const ptrdiff_t count = k - i < inner_block ? k - i : inner_block;
    for (ptrdiff_t j = 0; j < count; ++j) {
      scratch[j] = x[(i + j) * x_stride];
      scratch[inner_block + j] = y[(i + j) * y_stride];
    }
    stripes.add(count, scratch, scratch + inner_block);
  }
  return striped::total(stripes.all());
}

template <class T>
void inner(ptrdiff_t count, const MatrixStack<const T>& x, const MatrixStack<const T>& y, const MatrixStack<T>& sum,
           T* scratch) {
  const ptrdiff_t k = x.layout.rows, x_stride = x.layout.row_stride, y_stride = y.layout.row_stride;
  if (k == 0) {
    for (ptrdiff_t i = 0; i < count; ++i) sum.data[i * sum.stride] = 0;
  } else if (k < 8) {
    for (ptrdiff_t i = 0; i < count; ++i) {
      const T *px = x.data + i * x.stride, *py = y.data + i * y.stride;
      T s = 0;
      for (ptrdiff_t j = 0; j < k; ++j) s = fma(px[j * x_stride], py[j * y_stride], s);
      sum.data[i * sum.stride] = s;
    }
  } else {
    constexpr int w = native_lanes<T>;
    ptrdiff_t i = 0;
    if (x_stride == 1 && y_stride == 1)
      for (; i + w <= count; i += w) {
        vec<T> all[w];
        for (int r = 0; r < w; ++r) {
          Stripes<T> stripes;
          stripes.add(k, x.data + (i + r) * x.stride, y.data + (i + r) * y.stride);
          all[r] = stripes.all();
        }
        striped::store_totals(all, sum.data + i * sum.stride, sum.stride);
      }
    for (; i < count; ++i)
      sum.data[i * sum.stride] =
          long_inner(k, x.data + i * x.stride, x_stride, y.data + i * y.stride, y_stride, scratch);
  }
}

// The products of 1 x 1 matrices.
template <class T>
void numbers(ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b, const MatrixStack<T>& c) {
  if (a.stride == 1 && b.stride == 1 && c.stride == 1) {
    for (ptrdiff_t i = 0; i < count; ++i) c.data[i] = fma(a.data[i], b.data[i], T{0});
  } else {
    for (ptrdiff_t i = 0; i < count; ++i) c.data[i * c.stride] = fma(a.data[i * a.stride], b.data[i * b.stride], T{0});
  }
}

}  // namespace

MMLFAST_DEFINE_TABLES(Matmul, matmul, scratch_elements<T>, products<T>, dots<T>, striped::scratch_elements<T>,
                      striped::times_vector<T>, inner<T>, numbers<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
