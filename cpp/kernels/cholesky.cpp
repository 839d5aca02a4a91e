#include "kernels/cholesky.hpp"

#include "kernels/common/lanes.hpp"
#include "kernels/common/with_size.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// Rows and columns of a tile: its entries and one column of each factor fit the registers.
constexpr std::ptrdiff_t tile = vec_parts == 1 ? 4 : 2;

// Up to this size everything is unrolled.
constexpr std::ptrdiff_t most_unrolled = 8;

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t n) {
  return n <= most_unrolled ? 0 : n * leading_dimension(n) + n;
}

// Failed items, wherever their lanes, become NaN.
template <class T>
LaneBits report(const mask<T>& positive, T* const* x, const Layout& layout) {
  const LaneBits failed = to_bitmask(~positive) & to_bitmask(~no_lanes<T>());
  for (int l = 0; l < lanes<T> && failed != 0; ++l) {
    if (!((failed >> l) & 1)) continue;
    for (std::ptrdiff_t i = 0; i < layout.rows; ++i)
      for (std::ptrdiff_t j = 0; j < layout.cols; ++j)
        x[l][i * layout.row_stride + j * layout.col_stride] = static_cast<T>(__builtin_nan(""));
  }
  return failed;
}

template <int N, class T>
LaneBits factor_small(const T* const* item, const Layout& al, T* const* x, const Layout& xl) {
  vec<T> a[N][N];
  pack_sized<N, N>(item, al, &a[0][0]);
  mask<T> positive = ~no_lanes<T>();
  unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
    positive = positive & (a[k][k] > zero<T>());
    a[k][k] = sqrt(a[k][k]);
    const vec<T> reciprocal = broadcast<T>(1) / a[k][k];
    unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
      a[i][k] = a[i][k] * reciprocal;
      a[k][i] = zero<T>();
    });
    unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
      unrolled(k + 1, i + 1, [&](int j) MMLFAST_INLINE_LAMBDA { a[i][j] = fnma(a[i][k], a[j][k], a[i][j]); });
    });
  });
  unpack_sized<N, N>(x, xl, &a[0][0]);
  return report(positive, x, xl);
}

// Is it cheaper to move whole small items, in one run, than to leave out the triangle that is not used?
template <class T>
MMLFAST_INLINE bool moves_whole(const Layout& l) {
  return is_gapless(l) && l.rows < 2 * native_lanes<T>;
}

// move(first_row, first_column, count, along_rows) for runs of memory that cover the triangle i >= j, and little more.
template <class T, class Move>
MMLFAST_INLINE void each_run_of_triangle(const Layout& l, Move&& move) {
  const std::ptrdiff_t n = l.rows, width = native_lanes<T> < n ? native_lanes<T> : n;
  if (l.col_stride == 1) {
    for (std::ptrdiff_t i = 0; i < n; ++i) move(i, std::ptrdiff_t{0}, i + 1 > width ? i + 1 : width, true);
  } else if (l.row_stride == 1) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      const std::ptrdiff_t i = j < n - width ? j : n - width;
      move(i, j, n - i, false);
    }
  } else {
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j <= i; ++j) move(i, j, std::ptrdiff_t{1}, true);
  }
}

// Moves the triangle i >= j of every item to dst[i * ld + j], and what lies beside it in the same run of memory.
template <class T>
void pack_lower(const T* const* item, const Layout& l, vec<T>* dst, std::ptrdiff_t ld) {
  if (moves_whole<T>(l)) return pack(item, l, dst, ld, 1);
  each_run_of_triangle<T>(l, [&](std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t count, bool along_row) {
    pack_run(item, i * l.row_stride + j * l.col_stride, count, dst + i * ld + j, along_row ? 1 : ld);
  });
}

// Zeros for i < j. Whole vectors may reach into the other triangle, which is written later.
template <class T>
MMLFAST_INLINE void clear_upper(T* item, const Layout& l) {
  const std::ptrdiff_t n = l.rows;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    T* row = item + i * l.row_stride;
    if (l.col_stride == 1 && n >= lanes<T>)
      for (std::ptrdiff_t j = i + 1; j < n; j += lanes<T>)
        store(row + (j < n - lanes<T> ? j : n - lanes<T>), zero<T>());
    else
      for (std::ptrdiff_t j = i + 1; j < n; ++j) row[j * l.col_stride] = 0;
  }
}

// The way back. The other triangle of every item becomes zero, that of src near the diagonal too.
template <class T>
void unpack_lower(T* const* item, const Layout& l, vec<T>* src, std::ptrdiff_t ld) {
  const std::ptrdiff_t n = l.rows;
  const bool whole = moves_whole<T>(l);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const std::ptrdiff_t end = whole || i + native_lanes<T> > n ? n : i + native_lanes<T>;
    for (std::ptrdiff_t j = i + 1; j < end; ++j) src[i * ld + j] = zero<T>();
  }
  if (whole) return unpack(item, l, src, ld, 1);
  for (int lane = 0; lane < lanes<T>; ++lane) clear_upper(item[lane], l);
  each_run_of_triangle<T>(l, [&](std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t count, bool along_row) {
    unpack_run(item, i * l.row_stride + j * l.col_stride, count, src + i * ld + j, along_row ? 1 : ld);
  });
}

template <class T>
struct LowerFactor {
  std::ptrdiff_t n, ld;
  vec<T>* a;           // a[i * ld + j]: the given triangle, then L
  vec<T>* reciprocal;  // 1 / l_jj
  mask<T> positive;
};

// Takes the products of the columns before j out of the R x C entries from (i, j) on.
template <int R, int C, bool Diagonal, class T>
MMLFAST_INLINE void take_out_products(const LowerFactor<T>& f, std::ptrdiff_t i, std::ptrdiff_t j, vec<T> (&x)[R][C]) {
  const vec<T>*rows = f.a + i * f.ld, *columns = f.a + j * f.ld;
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < (Diagonal ? r + 1 : C); ++c) x[r][c] = rows[r * f.ld + j + c];
  for (std::ptrdiff_t k = 0; k < j; ++k) {
    vec<T> left[R], right[C];
    for (int c = 0; c < C; ++c) right[c] = columns[c * f.ld + k];
    for (int r = 0; r < R; ++r) left[r] = Diagonal ? right[r] : rows[r * f.ld + k];
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < (Diagonal ? r + 1 : C); ++c) x[r][c] = fnma(left[r], right[c], x[r][c]);
  }
}

// The C x C tile on the diagonal from (j, j) on.
template <int C, class T>
MMLFAST_INLINE void factor_diagonal(LowerFactor<T>& f, std::ptrdiff_t j) {
  vec<T> x[C][C];
  take_out_products<C, C, true>(f, j, j, x);
  unrolled(0, C, [&](int k) MMLFAST_INLINE_LAMBDA {
    f.positive = f.positive & (x[k][k] > zero<T>());
    x[k][k] = sqrt(x[k][k]);
    const vec<T> reciprocal = f.reciprocal[j + k] = broadcast<T>(1) / x[k][k];
    unrolled(k + 1, C, [&](int i) MMLFAST_INLINE_LAMBDA { x[i][k] = x[i][k] * reciprocal; });
    unrolled(k + 1, C, [&](int i) MMLFAST_INLINE_LAMBDA {
      unrolled(k + 1, i + 1, [&](int c) MMLFAST_INLINE_LAMBDA { x[i][c] = fnma(x[i][k], x[c][k], x[i][c]); });
    });
  });
  for (int r = 0; r < C; ++r)
    for (int c = 0; c <= r; ++c) f.a[(j + r) * f.ld + j + c] = x[r][c];
}

// The R x C tile from (i, j) on, below a diagonal tile that is done.
template <int R, int C, class T>
MMLFAST_INLINE void factor_below(const LowerFactor<T>& f, std::ptrdiff_t i, std::ptrdiff_t j) {
  vec<T> x[R][C];
  take_out_products<R, C, false>(f, i, j, x);
  unrolled(0, C, [&](int k) MMLFAST_INLINE_LAMBDA {
    const vec<T> reciprocal = f.reciprocal[j + k];
    for (int r = 0; r < R; ++r) x[r][k] = x[r][k] * reciprocal;
    unrolled(k + 1, C, [&](int c) MMLFAST_INLINE_LAMBDA {
      const vec<T> l = f.a[(j + c) * f.ld + j + k];
      for (int r = 0; r < R; ++r) x[r][c] = fnma(x[r][k], l, x[r][c]);
    });
  });
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) f.a[(i + r) * f.ld + j + c] = x[r][c];
}

// The C columns from j on.
template <int C, class T>
MMLFAST_INLINE void factor_columns(LowerFactor<T>& f, std::ptrdiff_t j) {
  factor_diagonal<C>(f, j);
  std::ptrdiff_t i = j + C;
  for (; i + tile <= f.n; i += tile) factor_below<tile, C>(f, i, j);
  for (; i < f.n; ++i) factor_below<1, C>(f, i, j);
}

template <class T>
LaneBits factor_any(const T* const* a, const Layout& al, T* const* x, const Layout& xl, vec<T>* scratch) {
  const std::ptrdiff_t n = al.rows, ld = leading_dimension(n);
  LowerFactor<T> f{n, ld, scratch, scratch + n * ld, ~no_lanes<T>()};
  pack_lower(a, al, f.a, ld);
  std::ptrdiff_t j = 0;
  for (; j + tile <= n; j += tile) factor_columns<tile>(f, j);
  for (; j < n; ++j) factor_columns<1>(f, j);
  unpack_lower(x, xl, f.a, ld);
  return report(f.positive, x, xl);
}

template <class T>
LaneBits factor(const T* const* a, const Layout& al, T* const* x, const Layout& xl, void* scratch) {
  return with_size<1, 8>(al.rows, [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (N > 0)
      return factor_small<N>(a, al, x, xl);
    else
      return factor_any(a, al, x, xl, static_cast<vec<T>*>(scratch));
  });
}

}  // namespace

MMLFAST_DEFINE_TABLES(Cholesky, cholesky, scratch_vectors<T>, factor<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
