#include "kernels/projection.hpp"

#include "kernels/common/fma.hpp"
#include "kernels/common/lanes.hpp"
#include "kernels/common/long_columns.hpp"
#include "kernels/common/product.hpp"
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

template <class T>
void points(const T* x, const Layout& x_layout, const T* first, const T* second, std::ptrdiff_t m, T* y,
            const Layout& y_layout, void* scratch) {
  const std::ptrdiff_t d = x_layout.cols, ld = (x_layout.rows + lanes<T> - 1) / lanes<T> * lanes<T>;
  T *columns = static_cast<T*>(scratch), *c = columns + d * ld, *result = c + m * ld;
  long_columns::gather<T, T>(x, x_layout, columns, ld);
  product<T>(m, ld, d, {first, d, 1, columns, ld, c, ld});
  if (second == nullptr) return long_columns::scatter<T, T>(c, ld, y, y_layout);
  product<T>(d, ld, m, {second, m, 1, c, ld, result, ld});
  long_columns::scatter<T, T>(result, ld, y, y_layout);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Projection, projection, scratch_elements, in_lanes<T>, one<T>, points<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
