#include "kernels/elimination_blocks.hpp"

#include <type_traits>

#include "kernels/common/fetch_ahead.hpp"
#include "kernels/common/fma.hpp"
#include "simd/math/logarithm.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Index = std::ptrdiff_t;

// Columns that a panel is factored by: each of their sweeps goes over what the first cache holds.
template <class T>
constexpr Index strip = lanes<T>;

constexpr int tile_columns = native_bytes == 64 ? 8 : 4, tile_registers = 3;

// ---- updates ----

template <class T>
struct Operands {
  Index ld, depth;
  const T* r;
  Index r_row, r_col;
};

template <class T>
MMLFAST_INLINE native<T> load_native(const T* from) {
  return *reinterpret_cast<const typename native_of<T>::unaligned*>(from);
}
template <class T>
MMLFAST_INLINE void store_native(T* to, const native<T>& x) {
  *reinterpret_cast<typename native_of<T>::unaligned*>(to) = x;
}

// Columns columns of Registers registers of c.
template <int Columns, int Registers, class T>
MMLFAST_INLINE void tile(const Operands<T>& o, const T* l, const T* r, T* c, Index c_ld) {
  constexpr int w = native_lanes<T>;
  native<T> x[Columns][Registers];
  _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) {
    _Pragma("GCC unroll 4") for (int v = 0; v < Registers; ++v) x[j][v] = load_native(c + j * c_ld + v * w);
  }
  for (Index k = 0; k < o.depth; ++k, l += o.ld, r += o.r_row) {
    native<T> left[Registers];
    _Pragma("GCC unroll 4") for (int v = 0; v < Registers; ++v) left[v] = load_native(l + v * w);
    _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) {
      const native<T> right = r[j * o.r_col] - native<T>{};
      _Pragma("GCC unroll 4") for (int v = 0; v < Registers; ++v) x[j][v] = op::fnma(left[v], right, x[j][v]);
    }
  }
  _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) {
    _Pragma("GCC unroll 4") for (int v = 0; v < Registers; ++v) store_native(c + j * c_ld + v * w, x[j][v]);
  }
}

// The next tile's lines come while this one is worked on.
template <int Columns, class T>
MMLFAST_INLINE void fetch_tile(const T* c, Index c_ld, Index bytes) {
  for (int j = 0; j < Columns; ++j) {
    const char* line = reinterpret_cast<const char*>(c + j * c_ld);
    for (Index b = 0; b < bytes; b += 64) __builtin_prefetch(line + b, 1, 3);
  }
}

// The rows of l behind these come as well, some columns with each tile: each of their lines is far from the one before
// it, and the first tile would wait for all of them.
template <int Registers, class T>
MMLFAST_NOINLINE void slab(const Operands<T>& o, const T* l, T* c, Index c_ld, Index cols) {
  constexpr Index rows = Registers * native_lanes<T>, line = 64 / static_cast<Index>(sizeof(T));
  const Index share = cols < tile_columns ? 0 : o.depth / (cols / tile_columns) + 1;
  Index j = 0, next = 0;
  for (; j + tile_columns <= cols; j += tile_columns) {
    if (j + 2 * tile_columns <= cols)
      fetch_tile<tile_columns>(c + (j + tile_columns) * c_ld, c_ld, Registers * native_bytes);
    for (const Index end = next + share < o.depth ? next + share : o.depth; next < end; ++next)
      for (Index i = rows; i < 2 * rows; i += line)
        fetch_line<0, 2>(l, (next * o.ld + i) * static_cast<Index>(sizeof(T)));
    tile<tile_columns, Registers>(o, l, o.r + j * o.r_col, c + j * c_ld, c_ld);
  }
  for (; j < cols; ++j) tile<1, Registers>(o, l, o.r + j * o.r_col, c + j * c_ld, c_ld);
}

// The same for one or two columns of c, those of a few solutions: several whole columns of l at a time, whose numbers
// of r stay in registers, so that l is read once and in order. (Tiles would read a few rows of all its columns.)
template <int Columns, class T>
MMLFAST_NOINLINE void long_columns(const Operands<T>& o, const T* l, const T* r, T* c, Index c_ld, Index rows) {
  constexpr int w = native_lanes<T>, most = 8 / Columns;
  const auto some = [&]<int Steps>(std::integral_constant<int, Steps>) MMLFAST_INLINE_LAMBDA {
    native<T> right[Columns][Steps];
    _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) {
      _Pragma("GCC unroll 8") for (int k = 0; k < Steps; ++k) right[j][k] = r[k * o.r_row + j * o.r_col] - native<T>{};
    }
    for (Index i = 0; i < rows; i += w) {
      native<T> x[Columns];
      _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) x[j] = load_native(c + j * c_ld + i);
      _Pragma("GCC unroll 8") for (int k = 0; k < Steps; ++k) {
        const native<T> left = load_native(l + k * o.ld + i);
        _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) x[j] = op::fnma(left, right[j][k], x[j]);
      }
      _Pragma("GCC unroll 8") for (int j = 0; j < Columns; ++j) store_native(c + j * c_ld + i, x[j]);
    }
    l += Steps * o.ld;
    r += Steps * o.r_row;
  };
  Index k = 0;
  for (; k + most <= o.depth; k += most) some(std::integral_constant<int, most>{});
  for (; k < o.depth; ++k) some(std::integral_constant<int, 1>{});
}

template <class T>
void update(const T* l, Index ld, Index rows, Index depth, const T* r, Index r_row, Index r_col, T* c, Index c_ld,
            Index cols) {
  constexpr int w = native_lanes<T>;
  const Operands<T> o{ld, depth, r, r_row, r_col};
  if (cols < tile_columns && rows > 2 * depth) {  // shorter ones are in the first cache, where tiles are as fast
    Index j = 0;
    for (; j + 2 <= cols; j += 2) long_columns<2>(o, l, r + j * r_col, c + j * c_ld, c_ld, rows);
    if (j < cols) long_columns<1>(o, l, r + j * r_col, c + j * c_ld, c_ld, rows);
    return;
  }
  Index i = 0;
  for (; i + (tile_registers - 1) * w < rows; i += tile_registers * w)
    slab<tile_registers>(o, l + i, c + i, c_ld, cols);
  if (i + w < rows)
    slab<2>(o, l + i, c + i, c_ld, cols);
  else if (i < rows)
    slab<1>(o, l + i, c + i, c_ld, cols);
}

// ---- triangles ----

// 0, 1, 2, ... in the lanes.
template <class T>
MMLFAST_INLINE vec<T> lane_numbers() {
  alignas(vec_bytes) T number[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) number[i] = static_cast<T>(i);
  return load(number);
}

template <class T>
MMLFAST_INLINE mask<T> lanes_after(int k) {
  return lane_numbers<T>() > broadcast<T>(static_cast<T>(k));
}

// As many rows as a vector has lanes, and as many columns as a register: transposed, so that each step is one
// multiplication by a number.
template <bool Upper, class T>
MMLFAST_INLINE void substitute(const T* a, Index ld, bool divides, T* x, Index x_ld) {
  constexpr int w = native_lanes<T>, n = lanes<T>;
  native<T> row[n];
  for (int p = 0; p < vec_parts; ++p) {
    for (int j = 0; j < w; ++j) row[p * w + j] = load_native(x + j * x_ld + p * w);
    transpose_native<T>(row + p * w);
  }
  _Pragma("GCC unroll 16") for (int s = 0; s < n; ++s) {
    const int i = Upper ? n - 1 - s : s;
    _Pragma("GCC unroll 16") for (int t = 0; t < s; ++t) {
      const int k = Upper ? n - 1 - t : t;
      row[i] = op::fnma(row[k], a[k * ld + i] - native<T>{}, row[i]);
    }
    if constexpr (Upper) {
      const T pivot = a[i * ld + i];
      row[i] = divides ? row[i] / (pivot - native<T>{}) : row[i] * (1 / pivot);
    }
  }
  for (int p = 0; p < vec_parts; ++p) {
    transpose_native<T>(row + p * w);
    for (int j = 0; j < w; ++j) store_native(x + j * x_ld + p * w, row[p * w + j]);
  }
}

// The same for fewer rows or columns.
template <bool Upper, class T>
MMLFAST_NOINLINE void substitute_few(const T* a, Index ld, bool divides, Index n, T* x, Index x_ld, Index cols) {
  for (Index j = 0; j < cols; ++j, x += x_ld)
    for (Index s = 0; s < n; ++s) {
      const Index k = Upper ? n - 1 - s : s;
      if constexpr (Upper) x[k] = divides ? x[k] / a[k * ld + k] : x[k] * (1 / a[k * ld + k]);
      for (Index i = Upper ? 0 : k + 1; i < (Upper ? k : n); ++i) x[i] = fnma(a[k * ld + i], x[k], x[i]);
    }
}

template <bool Upper, class T>
MMLFAST_NOINLINE void solve_block(const T* a, Index ld, bool divides, Index n, T* x, Index x_ld, Index cols) {
  Index j = 0;
  if (n == lanes<T>)
    for (; j + native_lanes<T> <= cols; j += native_lanes<T>) substitute<Upper>(a, ld, divides, x + j * x_ld, x_ld);
  substitute_few<Upper>(a, ld, divides, n, x + j * x_ld, x_ld, cols - j);
}

template <class T>
void solve_lower(const T* l, Index ld, Index n, T* x, Index x_ld, Index cols) {
  for (Index k = 0; k < n; k += lanes<T>) {
    const Index rows = n - k < lanes<T> ? n - k : lanes<T>;
    if (k > 0) update(l + k, ld, rows, k, x, 1, x_ld, x + k, x_ld, cols);
    solve_block<false>(l + k * ld + k, ld, false, rows, x + k, x_ld, cols);
  }
}

template <class T>
void solve_upper(const T* u, Index ld, bool divides, Index n, T* x, Index x_ld, Index cols) {
  for (Index k = (n - 1) / lanes<T> * lanes<T>; k >= 0; k -= lanes<T>) {
    const Index rows = n - k < lanes<T> ? n - k : lanes<T>;
    solve_block<true>(u + k * ld + k, ld, divides, rows, x + k, x_ld, cols);
    // From the last column to the first.
    update(u + (k + rows - 1) * ld, -ld, k, rows, x + k + rows - 1, -1, x_ld, x, x_ld, cols);
  }
}

// ---- panels ----

// The largest number seen so far in each lane, and where: in which vector, counted from 0. (Rows of tall matrices would
// be too many for the integers of float32.)
template <class T>
struct Largest {
  vec<T> size = broadcast<T>(-1), place = zero<T>();

  MMLFAST_INLINE void consider(const vec<T>& x, const vec<T>& places) {
    const vec<T> candidate = abs(x);
    const mask<T> better = candidate > size;
    size = select(better, candidate, size);
    place = select(better, places, place);
  }

  // The first row with the largest number; `none` if all of the first `count` are NaN.
  Index where(Index none, Index count) const {
    alignas(vec_bytes) T sizes[lanes<T>], places[lanes<T>];
    store(sizes, size);
    store(places, place);
    T best = -1;
    Index at = none;
    for (int l = 0; l < lanes<T>; ++l) {
      const Index row = static_cast<Index>(places[l]) * lanes<T> + l;
      if (sizes[l] > best || (sizes[l] == best && best >= 0 && row < at)) best = sizes[l], at = row;
    }
    return at < count ? at : none;
  }
};

// Columns first .. first + strip<T> - 1, from row `first` on; column `pivots` and those after it have no pivot.
template <class T>
void lu_strip(T* panel, Index ld, Index rows, Index first, std::int32_t* pivot, Index pivots, bool& divides) {
  T* const a = panel + first * ld + first;
  const Index left = rows - first, steps = pivots - first < strip<T> ? pivots - first : strip<T>;
  const vec<T> numbers = lane_numbers<T>(), one = broadcast<T>(1);
  Largest<T> largest;
  vec<T> at = zero<T>();
  for (Index i = 0; i < left; i += lanes<T>, at = at + one) largest.consider(load(a + i), at);
  for (Index k = 0; k < steps; ++k) {
    const Index p = largest.where(k, left);
    pivot[first + k] = static_cast<std::int32_t>(first + p);
    if (p != k)
      for (Index j = 0; j < strip<T>; ++j) {
        const T t = a[j * ld + k];
        a[j * ld + k] = a[j * ld + p];
        a[j * ld + p] = t;
      }
    const T top = a[k * ld + k], size = top < 0 ? -top : top;
    divides = divides || size < Format<T>::smallest_normal || size > static_cast<T>(0.25) / Format<T>::smallest_normal;
    const vec<T> by = broadcast<T>(size == 0 ? T{1} : divides ? top : 1 / top);
    largest = {};
    const Index start = (k + 1) / lanes<T> * lanes<T>;
    T* const multiplier = a + k * ld;
    for (Index i = start; i < left; i += lanes<T>) {
      const vec<T> x = load(multiplier + i), l = divides ? x / by : x * by;
      store(multiplier + i, i > k ? l : select(numbers > broadcast(static_cast<T>(k)), l, x));
    }
    for (Index j = k + 1; j < strip<T>; ++j) {
      T* const c = a + j * ld;
      const vec<T> u = broadcast(c[k]);
      Index i = start;
      if (i <= k) {
        const vec<T> x = load(c + i);
        const mask<T> below = numbers > broadcast(static_cast<T>(k));
        const vec<T> y = select(below, fnma(load(multiplier + i), u, x), x);
        store(c + i, y);
        if (j == k + 1)
          largest.consider(select(below, y, not_a_number<T>()), broadcast(static_cast<T>(start / lanes<T>)));
        i += lanes<T>;
      }
      if (j == k + 1) {
        at = broadcast(static_cast<T>(i / lanes<T>));
        for (; i < left; i += lanes<T>, at = at + one) {
          const vec<T> y = fnma(load(multiplier + i), u, load(c + i));
          store(c + i, y);
          largest.consider(y, at);
        }
      } else {
        for (; i < left; i += lanes<T>) store(c + i, fnma(load(multiplier + i), u, load(c + i)));
      }
    }
  }
}

// Rows first .. end - 1 of `cols` columns are exchanged with their pivots.
template <class T>
void exchange(T* c, Index ld, Index cols, const std::int32_t* pivot, Index first, Index end) {
  for (Index j = 0; j < cols; ++j, c += ld)
    for (Index k = first; k < end; ++k) {
      const T t = c[k];
      c[k] = c[pivot[k]];
      c[pivot[k]] = t;
    }
}

// Factors columns first .. first + width - 1, from row `first` on: the left half of them, then the right half, to which
// the left one is applied first; both have the row exchanges of the other.
template <class T>
void lu_columns(T* panel, Index ld, Index rows, Index first, Index width, std::int32_t* pivot, Index pivots,
                bool& divides) {
  if (width <= strip<T>) return lu_strip(panel, ld, rows, first, pivot, pivots, divides);
  const Index left = (width / strip<T> + 1) / 2 * strip<T>, right = width - left, next = first + left;
  const auto end_of = [&](Index from, Index cols) { return from + cols < pivots ? from + cols : pivots; };
  lu_columns(panel, ld, rows, first, left, pivot, pivots, divides);
  exchange(panel + next * ld, ld, right, pivot, first, end_of(first, left));
  solve_lower(panel + first * ld + first, ld, end_of(first, left) - first, panel + next * ld + first, ld, right);
  if (next >= pivots) return;
  update(panel + first * ld + next, ld, rows - next, left, panel + next * ld + first, 1, ld, panel + next * ld + next,
         ld, right);
  lu_columns(panel, ld, rows, next, right, pivot, pivots, divides);
  exchange(panel + first * ld, ld, left, pivot, next, end_of(next, right));
}

template <class T>
bool lu(T* panel, Index ld, Index rows, Index width, std::int32_t* pivot, Index pivots, bool divides) {
  lu_columns(panel, ld, rows, 0, width, pivot, pivots, divides);
  return divides;
}

// Columns first .. first + strip - 1, from row `first` on.
template <class T>
bool cholesky_strip(T* panel, Index ld, Index rows, Index first) {
  T* const a = panel + first * ld + first;
  const Index left = rows - first, steps = left < strip<T> ? left : strip<T>;
  for (Index k = 0; k < steps; ++k) {
    T* const column = a + k * ld;
    const T square = column[k];
    if (!(square > 0)) return false;
    const T root = first_lane(sqrt(broadcast(square)));
    const vec<T> by = broadcast(1 / root);
    for (Index i = 0; i < left; i += lanes<T>) store(column + i, load(column + i) * by);
    column[k] = root;
    for (Index j = k + 1; j < steps; ++j) {
      const vec<T> u = broadcast(column[j]);
      T* const c = a + j * ld;
      for (Index i = 0; i < left; i += lanes<T>) store(c + i, fnma(load(column + i), u, load(c + i)));
    }
  }
  return true;
}

template <class T>
bool cholesky(T* panel, Index ld, Index rows, Index width) {
  for (Index first = 0; first < width && first < rows; first += strip<T>) {
    if (!cholesky_strip(panel, ld, rows, first)) return false;
    const Index next = first + strip<T>;
    if (next >= width || next >= rows) return true;
    const T* l = panel + first * ld + next;
    const Index cols = (width < rows ? width : rows) - next;
    update(l, ld, rows - next, strip<T>, l, ld, 1, panel + next * ld + next, ld, cols);
  }
  return true;
}

// ---- determinants ----

template <class T>
T log_of_product(T mantissa, T exponent) {
  vec<T> m, e;
  split_exponent(broadcast(mantissa), m, e);
  e = e + broadcast(exponent);
  return first_lane(fma(e, broadcast<T>(Format<T>::ln2_high), log(abs(m)) + e * broadcast<T>(Format<T>::ln2_low)));
}

// ---- moving ----

template <class T>
void transpose(const T* from, Index from_ld, T* to, Index to_ld, Index rows, Index cols) {
  constexpr int w = native_lanes<T>;
  Index i = 0;
  constexpr Index line = 64 / static_cast<Index>(sizeof(T)), ahead = 16;
  for (; i + w <= rows; i += w) {
    Index j = 0;
    for (int r = 0; r < w; ++r)  // of rows to come
      for (Index k = 0; k < cols; k += line)
        fetch_line<0, 3>(from, ((i + ahead + r) * from_ld + k) * static_cast<Index>(sizeof(T)));
    for (; j + w <= cols; j += w) {
      native<T> square[w];
      for (int r = 0; r < w; ++r) square[r] = load_native(from + (i + r) * from_ld + j);
      transpose_native<T>(square);
      for (int r = 0; r < w; ++r) store_native(to + (j + r) * to_ld + i, square[r]);
    }
    for (; j < cols; ++j)
      for (int r = 0; r < w; ++r) to[j * to_ld + i + r] = from[(i + r) * from_ld + j];
  }
  for (; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) to[j * to_ld + i] = from[i * from_ld + j];
}

}  // namespace

MMLFAST_DEFINE_TABLES(EliminationBlocks, elimination_blocks, lu<T>, cholesky<T>, solve_lower<T>, solve_upper<T>,
                      update<T>, log_of_product<T>, transpose<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
