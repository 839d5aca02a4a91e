#include "kernels/projection.hpp"

#include <cstdint>

#include "kernels/common/fma.hpp"
#include "kernels/common/gapless_rows.hpp"
#include "kernels/common/lanes.hpp"
#include "kernels/common/product.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/projection_residual.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// V is T (one item) or vec<T> (one item per lane); matrices are row-major and contiguous.
template <class V>
struct Steps {
  std::ptrdiff_t d, m;
  bool diagonal;  // the metric is a diagonal: L is d x 1

  void to_metric(const V* b, const V* l, V* w) const {
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      const V own = diagonal ? l[k] : l[k * d + k];
      for (std::ptrdiff_t j = 0; j < m; ++j) w[k * m + j] = own * b[k * m + j];
    }
    for (std::ptrdiff_t i = 0; i < d && !diagonal; ++i)
      for (std::ptrdiff_t k = 0; k < i; ++k)
        for (std::ptrdiff_t j = 0; j < m; ++j) w[k * m + j] = fma(l[i * d + k], b[i * m + j], w[k * m + j]);
  }

  void from_metric(const V* q, const V* l, V* e, V* f) const {
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      const V own = diagonal ? l[i] : l[i * d + i];
      for (std::ptrdiff_t j = 0; j < m; ++j) {
        e[i * m + j] = q[i * m + j];
        f[i * m + j] = own * q[i * m + j];
      }
      for (std::ptrdiff_t k = 0; k < i && !diagonal; ++k)
        for (std::ptrdiff_t j = 0; j < m; ++j) f[i * m + j] = fma(l[i * d + k], q[k * m + j], f[i * m + j]);
    }
    for (std::ptrdiff_t i = d - 1; i >= 0; --i) {
      const V own = diagonal ? l[i] : l[i * d + i];
      for (std::ptrdiff_t j = 0; j < m; ++j) e[i * m + j] = e[i * m + j] / own;
      for (std::ptrdiff_t k = 0; k < i && !diagonal; ++k)
        for (std::ptrdiff_t j = 0; j < m; ++j) e[k * m + j] = fnma(l[i * d + k], e[i * m + j], e[k * m + j]);
    }
  }

  // r has room for m x m.
  void dual(const V* q, const V* w, const V* f, V* t, V* r) const {
    for (std::ptrdiff_t e = 0; e < m * m; ++e) r[e] = V{};
    for (std::ptrdiff_t i = 0; i < d; ++i)
      for (std::ptrdiff_t k = 0; k < m; ++k)
        for (std::ptrdiff_t j = k; j < m; ++j) r[k * m + j] = fma(q[i * m + k], w[i * m + j], r[k * m + j]);
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      for (std::ptrdiff_t j = m - 1; j >= 0; --j) {
        V x = f[i * m + j];
        for (std::ptrdiff_t k = j + 1; k < m; ++k) x = fnma(t[i * m + k], r[j * m + k], x);
        t[i * m + j] = x / r[j * m + j];
      }
    }
  }

  void coordinates(const V* x, const V* f, V* c) const {
    for (std::ptrdiff_t j = 0; j < m; ++j) c[j] = V{};
    for (std::ptrdiff_t i = 0; i < d; ++i)
      for (std::ptrdiff_t j = 0; j < m; ++j) c[j] = fma(f[i * m + j], x[i], c[j]);
  }

  // c has room for m.
  void apply(const V* x, const V* f, const V* e, V* y, V* c) const {
    coordinates(x, f, c);
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      V sum{};
      for (std::ptrdiff_t j = 0; j < m; ++j) sum = fma(e[i * m + j], c[j], sum);
      y[i] = sum;
    }
  }

  void matrix(const V* e, const V* f, V* p) const {
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      for (std::ptrdiff_t k = 0; k < d; ++k) {
        V sum{};
        for (std::ptrdiff_t j = 0; j < m; ++j) sum = fma(e[i * m + j], f[k * m + j], sum);
        p[i * d + k] = sum;
      }
    }
  }

  void run(ProjectionStep step, V* const* in, V* const* out, V* spare) const {
    switch (step) {
      case ProjectionStep::to_metric:
        return to_metric(in[0], in[1], out[0]);
      case ProjectionStep::from_metric:
        return from_metric(in[0], in[1], out[0], out[1]);
      case ProjectionStep::dual:
        return dual(in[0], in[1], in[2], out[0], spare);
      case ProjectionStep::apply:
        return apply(in[0], in[1], in[2], out[0], spare);
      case ProjectionStep::coordinates:
        return coordinates(in[0], in[1], out[0]);
      case ProjectionStep::matrix:
        return matrix(in[0], in[1], out[0]);
    }
  }
};

struct Counts {
  int in, out;
};
MMLFAST_INLINE Counts counts(ProjectionStep step) {
  switch (step) {
    case ProjectionStep::dual:
    case ProjectionStep::apply:
      return {3, 1};
    case ProjectionStep::from_metric:
      return {2, 2};
    default:
      return {2, 1};
  }
}

std::ptrdiff_t scratch_elements(ProjectionStep step, std::ptrdiff_t d, std::ptrdiff_t m) {
  const std::ptrdiff_t dm = d * m, dd = d * d;
  switch (step) {
    case ProjectionStep::to_metric:
      return 2 * dm + dd;
    case ProjectionStep::from_metric:
      return 3 * dm + dd;
    case ProjectionStep::dual:
      return 4 * dm + m * m;
    case ProjectionStep::apply:
    case ProjectionStep::coordinates:
      return 2 * dm + 2 * d + 2 * m;
    case ProjectionStep::matrix:
      return 2 * dm + dd;
  }
  return 0;
}

// The sizes, from the operands of a step.
template <class V>
Steps<V> sizes(ProjectionStep step, const Layout* in) {
  const Layout& tall = step == ProjectionStep::apply || step == ProjectionStep::coordinates ? in[1] : in[0];
  const bool has_metric = step == ProjectionStep::to_metric || step == ProjectionStep::from_metric;
  return {tall.rows, tall.cols, has_metric && in[1].cols == 1 && tall.rows != 1};
}

template <class T>
void in_lanes(ProjectionStep step, const T* const* const* in, const Layout* in_layout, T* const* const* out,
              const Layout* out_layout, void* scratch) {
  const auto [n_in, n_out] = counts(step);
  vec<T>*scratch_left = static_cast<vec<T>*>(scratch), *source[most_projection_inputs],
  *target[most_projection_outputs];
  for (int k = 0; k < n_in; ++k) {
    source[k] = scratch_left;
    pack(in[k], in_layout[k], scratch_left, in_layout[k].cols, 1);
    scratch_left += in_layout[k].rows * in_layout[k].cols;
  }
  for (int k = 0; k < n_out; ++k) {
    target[k] = scratch_left;
    scratch_left += out_layout[k].rows * out_layout[k].cols;
  }
  sizes<vec<T>>(step, in_layout).run(step, source, target, scratch_left);
  for (int k = 0; k < n_out; ++k) unpack(out[k], out_layout[k], target[k], out_layout[k].cols, 1);
}

template <class T>
void one(ProjectionStep step, const T* const* in, const Layout* in_layout, T* const* out, const Layout* out_layout,
         void* scratch) {
  const auto [n_in, n_out] = counts(step);
  T *scratch_left = static_cast<T*>(scratch), *source[most_projection_inputs], *target[most_projection_outputs];
  for (int k = 0; k < n_in; ++k) {
    const Layout& l = in_layout[k];
    source[k] = scratch_left;
    for (std::ptrdiff_t i = 0; i < l.rows; ++i)
      for (std::ptrdiff_t j = 0; j < l.cols; ++j) *scratch_left++ = in[k][i * l.row_stride + j * l.col_stride];
  }
  for (int k = 0; k < n_out; ++k) {
    target[k] = scratch_left;
    scratch_left += out_layout[k].rows * out_layout[k].cols;
  }
  sizes<T>(step, in_layout).run(step, source, target, scratch_left);
  for (int k = 0; k < n_out; ++k) {
    const Layout& l = out_layout[k];
    for (std::ptrdiff_t i = 0; i < l.rows; ++i)
      for (std::ptrdiff_t j = 0; j < l.cols; ++j) out[k][i * l.row_stride + j * l.col_stride] = *target[k]++;
  }
}

// ---- many points with the same factors ----

// Rows of D numbers without gaps, as many as fill registers; returns how many. Points are in lanes, from memory to
// memory.
template <int D, class T>
std::ptrdiff_t points_in_registers(const T* x, std::ptrdiff_t rows, const PointFactors<T>& f, T* y) {
  constexpr int width = native_lanes<T>;
  std::ptrdiff_t r = 0;
  for (; r + width <= rows; r += width) {
    native<T> point[D], sum[D] = {};
    gapless::load_columns<D, T>(x + r * D, point);
    for (std::ptrdiff_t j = 0; j < f.m; ++j) {
      native<T> c{};
      _Pragma("GCC unroll 4") for (int i = 0; i < D; ++i) c =
          op::fma(f.first[i * f.m_row + j] - native<T>{}, point[i], c);
      _Pragma("GCC unroll 4") for (int i = 0; i < D; ++i) sum[i] =
          op::fma(f.second[j * f.d_row + i] - native<T>{}, c, sum[i]);
    }
    gapless::store_rows<D, T>(y + r * D, sum);
  }
  return r;
}

// The first l.cols numbers of rows that are `row` apart to rows by `l`.
template <class T>
void copy_rows(const T* from, std::ptrdiff_t row, T* to, const Layout& l) {
  const bool gapless = is_gapless(l);
  const std::ptrdiff_t end = l.rows * l.cols;  // of what may be written, without gaps
  for (std::ptrdiff_t r = 0; r < l.rows; ++r) {
    const T* x = from + r * row;
    T* y = to + r * l.row_stride;
    std::ptrdiff_t j = 0;
    // Behind the end of a row is the next one, which is written after it.
    if (l.col_stride == 1)
      for (; j < l.cols && (j + lanes<T> <= l.cols || (gapless && r * l.cols + j + lanes<T> <= end)); j += lanes<T>)
        store(y + j, load(x + j));
    for (; j < l.cols; ++j) y[j * l.col_stride] = x[j];
  }
}

// body(first, count) for pieces of the rows: a tile at a time next to factors that stay in the first cache, where many
// rows of 512 bytes would meet in a few sets; else all.
template <class T, class Body>
void in_pieces(std::ptrdiff_t rows, std::ptrdiff_t d, const PointFactors<T>& f, Body&& body) {
  constexpr std::ptrdiff_t small = 24576 / static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t at_once = d * f.m_row + f.m * f.d_row <= small ? tile_rows : rows;
  for (std::ptrdiff_t r = 0; r < rows; r += at_once) body(r, rows - r < at_once ? rows - r : at_once);
}

// Asks for the rows of a piece to come, if they lie like these. What is not there does no harm. (Inlined: a function
// that does nothing else is taken for one that does nothing.)
template <int Write, class T>
MMLFAST_INLINE void fetch_piece(const T* from, std::ptrdiff_t rows, std::ptrdiff_t row_stride) {
  constexpr std::ptrdiff_t pieces_ahead = 3;
  const std::ptrdiff_t bytes = rows * row_stride * static_cast<std::ptrdiff_t>(sizeof(T));
  if (rows > tile_rows || bytes < 1024 || bytes > 8192) return;
  const auto at = reinterpret_cast<std::uintptr_t>(from) + static_cast<std::uintptr_t>(pieces_ahead * bytes);
  for (std::ptrdiff_t line = 0; line < bytes; line += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(at + static_cast<std::uintptr_t>(line)), Write, 2);
}

template <class T>
void points(const T* x, const Layout& x_layout, const PointFactors<T>& f, T* y, const Layout& y_layout, void* scratch) {
  const std::ptrdiff_t d = x_layout.cols;
  std::ptrdiff_t done = 0;
  if (f.second != nullptr && is_gapless(x_layout) && is_gapless(y_layout)) {
    done = with_size<2, 4>(d, [&]<int D>(std::integral_constant<int, D>) -> std::ptrdiff_t {
      if constexpr (D > 0) return points_in_registers<D>(x, x_layout.rows, f, y);
      return 0;
    });
  }
  in_pieces(x_layout.rows - done, d, f, [&](std::ptrdiff_t first, std::ptrdiff_t rows) {
    const T* from = x + (done + first) * x_layout.row_stride;
    T* to = y + (done + first) * y_layout.row_stride;
    const Layout of_piece{rows, y_layout.cols, y_layout.row_stride, y_layout.col_stride};
    T *c = static_cast<T*>(scratch), *result = c + rows * f.m_row;
    fetch_piece<0>(from, rows, x_layout.row_stride);
    product<T>(rows, f.m_row, d, {from, x_layout.row_stride, x_layout.col_stride, f.first, f.m_row, c, f.m_row});
    if (f.second == nullptr) return copy_rows(c, f.m_row, to, of_piece);
    fetch_piece<1>(to, rows, y_layout.row_stride);
    if (y_layout.col_stride == 1 && d == f.d_row)
      return product<T>(rows, d, f.m, {c, f.m_row, 1, f.second, f.d_row, to, y_layout.row_stride});
    product<T>(rows, f.d_row, f.m, {c, f.m_row, 1, f.second, f.d_row, result, f.d_row});
    copy_rows(result, f.d_row, to, of_piece);
  });
}

// The first l.cols numbers of rows that are `row` apart, in float64; zeros behind them.
template <class T>
void widen_rows(const T* from, const Layout& l, double* to, std::ptrdiff_t row) {
  for (std::ptrdiff_t i = 0; i < l.rows; ++i, from += l.row_stride, to += row) {
    std::ptrdiff_t k = 0;
    if (l.col_stride == 1)
      for (; k + lanes<double> <= l.cols; k += lanes<double>) store(to + k, load_as_double(from + k));
    for (; k < l.cols; ++k) to[k] = static_cast<double>(from[k * l.col_stride]);
    for (; k < row; ++k) to[k] = 0;
  }
}

// The sum of squares of a row of whole vectors.
inline double square_of_row(const double* x, std::ptrdiff_t n) {
  vec<double> sum[2] = {zero<double>(), zero<double>()};
  for (std::ptrdiff_t k = 0, c = 0; k < n; k += lanes<double>, c ^= 1) {
    const vec<double> own = load(x + k);
    sum[c] = fma(own, own, sum[c]);
  }
  return reduce_add(sum[0] + sum[1]);
}

template <class T>
void residual_of_pieces(const T* x, const Layout& l, const PointFactors<double>& f, double* residuals, double* squares,
                        void* scratch) {
  const double share = long_share(l.cols);
  in_pieces(l.rows, l.cols, f, [&](std::ptrdiff_t first, std::ptrdiff_t rows) {
    const T* from = x + first * l.row_stride;
    double *r = residuals + first * f.d_row, *c = static_cast<double*>(scratch), *of_piece = squares + first;
    const auto coefficients = [&] {
      product<double>(rows, f.m_row, l.cols, {r, f.d_row, 1, f.first, f.m_row, c, f.m_row});
    };
    const auto subtract = [&] {
      product<double>(rows, f.d_row, f.m, {c, f.m_row, 1, f.second, f.d_row, r, f.d_row}, Start::c);
    };
    fetch_piece<0>(from, rows, l.row_stride);
    widen_rows(from, Layout{rows, l.cols, l.row_stride, l.col_stride}, r, f.d_row);
    coefficients();
    for (std::ptrdiff_t i = 0; i < rows; ++i) of_piece[i] = square_of_row(r + i * f.d_row, f.d_row);  // of points
    subtract();
    bool all_long = true;
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      const double square = square_of_row(r + i * f.d_row, f.d_row);
      const bool enough = is_long(square, of_piece[i], share);
      all_long &= enough;
      of_piece[i] = enough ? square : -1;
    }
    if (all_long) return;
    coefficients();
    bool all_known = true;
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      if (of_piece[i] >= 0) continue;
      const double square = square_of_row(r + i * f.d_row, f.d_row), within = square_of_row(c + i * f.m_row, f.m_row);
      const bool known = is_known(square, within);
      all_known &= known;
      of_piece[i] = known ? square - within : -1;
    }
    if (all_known) return;
    subtract();
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      if (of_piece[i] < 0) of_piece[i] = square_of_row(r + i * f.d_row, f.d_row);
  });
}

template <class T>
void residual(const T* x, const Layout& l, const PointFactors<double>& f, double* r, double* squares, void* scratch) {
  constexpr std::ptrdiff_t most = 256;  // components of a group of points that stay in the first cache
  const std::ptrdiff_t m = l.cols <= most ? f.m : 0;
  with_size<1, most_directions_in_registers>(m, [&]<int M>(std::integral_constant<int, M>) {
    if constexpr (M > 0)
      residual_in_lanes<M>(x, l, f, r, squares, scratch);
    else
      residual_of_pieces(x, l, f, r, squares, scratch);
  });
}

}  // namespace

MMLFAST_DEFINE_TABLES(Projection, projection, scratch_elements, in_lanes<T>, one<T>, points<T>, residual<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
