#include "kernels/svd.hpp"

#include "kernels/svd_jacobi.hpp"
#include "kernels/svd_reflections.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// The exponent that the largest element of an item is brought to: squares of columns, multiplied by what weights can
// grow to in a sweep, stay in range, and so do squares of columns smaller by nearly as much.
template <class T>
inline constexpr T middle_exponent = sizeof(T) == 8 ? 460 : 38;

constexpr Layout transposed(const Layout& l) { return {l.cols, l.rows, l.col_stride, l.row_stride}; }

// One group of items with rows >= cols: a wide matrix comes as its transpose.
template <class T>
struct Group {
  std::ptrdiff_t rows, cols;
  bool wide, vectors;
  vec<T>*a, *tau;   // rows > cols: the reflections
  Columns<T> core;  // cols x cols
  vec<T>*u, *v;     // sorted vectors, cols x cols each
  vec<T>* rest;     // what is left of the scratch memory
  vec<T> power;     // the item was multiplied by 2^power
  mask<T> finite, failed;

  Group(const T* const* item, const Layout& given, vec<T>* scratch, bool with_vectors)
      : wide(given.rows < given.cols), vectors(with_vectors) {
    const Layout layout = wide ? transposed(given) : given;
    rows = layout.rows;
    cols = layout.cols;
    const bool tall = rows > cols;
    const auto take = [&](std::ptrdiff_t count) { return (scratch += count) - count; };
    core.norm = take(cols);
    core.weight = take(cols);
    core.least = take(cols);
    core.plan = take(7 * (cols / 2 + 1));
    core.rows = core.cols = cols;
    core.height = vectors ? 2 * cols : cols;
    core.x = take(core.height * cols);
    a = tall ? take(rows * cols) : core.x;
    tau = tall ? take(cols) : nullptr;
    u = vectors ? take(cols * cols) : nullptr;
    v = vectors ? take(cols * cols) : nullptr;
    rest = scratch;
    const std::ptrdiff_t column = tall ? rows : core.height;
    pack(item, layout, a, 1, column);
    bring_to_middle(column);
    if (tall) take_triangle();
    if (vectors)
      for (std::ptrdiff_t j = 0; j < cols; ++j)
        for (std::ptrdiff_t i = 0; i < cols; ++i) core.column(j)[cols + i] = broadcast<T>(static_cast<T>(i == j));
    failed = orthogonalize(core, finite) | ~finite;
  }

 private:
  void bring_to_middle(std::ptrdiff_t column) {
    const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
    vec<T> largest = zero<T>();
    finite = ~no_lanes<T>();
    for (std::ptrdiff_t j = 0; j < cols; ++j)
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        const vec<T> size = abs(a[j * column + i]);
        largest = max(size, largest);
        finite = finite & (size < infinity);
      }
    vec<T> mantissa, exponent;
    split_exponent(largest, mantissa, exponent);
    power = select(finite & (largest > zero<T>()), broadcast<T>(middle_exponent<T>) - exponent, zero<T>());
    const vec<T> half = nearest(power * broadcast<T>(static_cast<T>(0.5)));
    const vec<T> first = power_of_two(half), second = power_of_two(power - half);
    for (std::ptrdiff_t j = 0; j < cols; ++j)
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        vec<T>& x = a[j * column + i];
        x = select(finite, x * first * second, zero<T>());
      }
  }

  void take_triangle() {
    triangularize(a, rows, cols, tau);
    for (std::ptrdiff_t j = 0; j < cols; ++j)
      for (std::ptrdiff_t i = 0; i < cols; ++i) core.column(j)[i] = i <= j ? a[j * rows + i] : zero<T>();
  }
};

// Vectors of scratch for Group, and after it: the completion of a basis, U with all its rows.
template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n, bool vectors, bool whole) {
  const std::ptrdiff_t rows = m > n ? m : n, cols = m > n ? n : m;
  const std::ptrdiff_t group =
      3 * cols + 7 * (cols / 2 + 1) + (vectors ? 4 : 1) * cols * cols + (rows > cols ? (rows + 1) * cols : 0);
  if (!vectors) return group;
  const std::ptrdiff_t completion = 2 * cols * cols + cols, all_rows = rows * (whole ? rows : cols);
  return group + (completion > all_rows ? completion : all_rows);
}

// order[j * lanes + l]: the column of lane l with the j-th largest norm. Equal norms keep their order.
template <class T>
void find_order(const vec<T>* norm, std::ptrdiff_t cols, std::int32_t* order) {
  const T* value = reinterpret_cast<const T*>(norm);
  for (int l = 0; l < lanes<T>; ++l)
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      const T x = value[j * lanes<T> + l];
      std::ptrdiff_t k = j;
      for (; k > 0 && value[order[(k - 1) * lanes<T> + l] * lanes<T> + l] < x; --k)
        order[k * lanes<T> + l] = order[(k - 1) * lanes<T> + l];
      order[k * lanes<T> + l] = static_cast<std::int32_t>(j);
    }
}

// The columns of the core divided by their norms, and the turns, into u and v in each lane's order; the singular values
// into core.norm.
template <class T>
void sort_vectors(Group<T>& g) {
  const std::ptrdiff_t n = g.cols;
  const Columns<T>& c = g.core;
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    vec<T>*x = c.column(j), *turned = x + n;
    const vec<T> length = sqrt(c.norm[j]);
    const vec<T> reciprocal = select(length > zero<T>(), broadcast<T>(1) / length, zero<T>());
    // Many turns have changed the length of both by a few rounding errors, by the same ones.
    const vec<T> correction = broadcast<T>(1) / sqrt(inner_product(turned, turned, n));
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      x[i] = x[i] * reciprocal;
      turned[i] = turned[i] * correction;
    }
    c.norm[j] = length * correction;
  }
  std::int32_t* order = reinterpret_cast<std::int32_t*>(c.weight);
  find_order(c.norm, n, order);
  T* value = reinterpret_cast<T*>(c.plan);
  for (std::ptrdiff_t j = 0; j < n; ++j)
    for (int l = 0; l < lanes<T>; ++l) {
      const std::ptrdiff_t from = order[j * lanes<T> + l];
      value[j * lanes<T> + l] = reinterpret_cast<const T*>(c.norm + from)[l];
      const T* x = reinterpret_cast<const T*>(c.column(from)) + l;
      T* to_u = reinterpret_cast<T*>(g.u + j * n) + l;
      T* to_v = reinterpret_cast<T*>(g.v + j * n) + l;
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        to_u[i * lanes<T>] = x[i * lanes<T>];
        to_v[i * lanes<T>] = x[(n + i) * lanes<T>];
      }
    }
  for (std::ptrdiff_t j = 0; j < n; ++j) c.norm[j] = c.plan[j];
}

// NaN in the failed lanes; zeros without a sign, which a converged lane would else get or not by its neighbours' turns.
template <class T>
void finish(vec<T>* x, std::ptrdiff_t count, const mask<T>& failed) {
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan("")));
  for (std::ptrdiff_t e = 0; e < count; ++e) x[e] = select(failed, nan, x[e] + zero<T>());
}

// n x n numbers to the upper left corner of rows x cols, the identity around them. Columns are contiguous.
template <class T>
void extend(const vec<T>* from, std::ptrdiff_t n, vec<T>* to, std::ptrdiff_t rows, std::ptrdiff_t cols) {
  set_identity(to, rows, cols);
  for (std::ptrdiff_t j = 0; j < n; ++j)
    for (std::ptrdiff_t i = 0; i < n; ++i) to[j * rows + i] = from[j * n + i];
}

template <class T>
LaneBits factors(const T* const* a, const Layout& a_layout, T* const* u, const Layout& u_layout, T* const* s,
                 const Layout& s_layout, T* const* vh, const Layout& vh_layout, void* scratch) {
  Group<T> g(a, a_layout, static_cast<vec<T>*>(scratch), true);
  const std::ptrdiff_t n = g.cols;
  sort_vectors(g);
  complete_basis(g.u, n, g.core.norm, g.rest);
  for (std::ptrdiff_t j = 0; j < n; ++j) g.core.norm[j] = scale_by_power(g.core.norm[j], -g.power);
  const Layout left = g.wide ? transposed(vh_layout) : u_layout, right = g.wide ? transposed(u_layout) : vh_layout;
  vec<T>* all = g.u;
  if (g.rows > n) {
    all = g.rest;
    extend(g.u, n, all, g.rows, left.cols);
    apply_reflections(g.a, g.rows, n, g.tau, all, left.cols);
  }
  finish(all, g.rows * left.cols, g.failed);
  finish(g.core.norm, n, g.failed);
  finish(g.v, n * n, g.failed);
  unpack(g.wide ? vh : u, left, all, 1, g.rows);
  unpack(s, s_layout, g.core.norm, 1, 1);
  unpack(g.wide ? u : vh, right, g.v, n, 1);
  return to_bitmask(g.failed);
}

template <class T>
LaneBits values(const T* const* a, const Layout& a_layout, T* const* s, const Layout& s_layout, void* scratch) {
  Group<T> g(a, a_layout, static_cast<vec<T>*>(scratch), false);
  vec<T>* value = g.core.norm;
  for (std::ptrdiff_t j = 0; j < g.cols; ++j) {
    vec<T> x = value[j];
    for (std::ptrdiff_t k = 0; k < j; ++k) {
      const vec<T> y = value[k];
      value[k] = max(y, x);
      x = min(y, x);
    }
    value[j] = x;
  }
  for (std::ptrdiff_t j = 0; j < g.cols; ++j) value[j] = scale_by_power(sqrt(value[j]), -g.power);
  finish(value, g.cols, g.failed);
  unpack(s, s_layout, value, 1, 1);
  return to_bitmask(g.failed);
}

template <class T>
LaneBits pseudo_inverse(const T* const* a, const Layout& a_layout, const T* const* rcond, T* const* x,
                        const Layout& x_layout, void* scratch) {
  Group<T> g(a, a_layout, static_cast<vec<T>*>(scratch), true);
  const std::ptrdiff_t n = g.cols;
  const Columns<T>& c = g.core;
  vec<T> largest = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    c.norm[j] = sqrt(c.norm[j]);
    largest = max(c.norm[j], largest);
  }
  const vec<T> cutoff = largest * gather(rcond);
  // The transpose of the pseudo-inverse of the core: sum of x v' / s^2 over the columns kept.
  for (std::ptrdiff_t e = 0; e < n * n; ++e) g.u[e] = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const mask<T> kept = c.norm[j] > cutoff;
    const vec<T> reciprocal = select(kept, broadcast<T>(1) / c.norm[j], zero<T>());
    vec<T>*left = c.column(j), *right = left + n;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      left[i] = left[i] * reciprocal;
      right[i] = right[i] * reciprocal;
    }
    for (std::ptrdiff_t k = 0; k < n; ++k)
      for (std::ptrdiff_t i = 0; i < n; ++i) g.u[k * n + i] = fma(left[i], right[k], g.u[k * n + i]);
  }
  vec<T>* all = g.u;
  if (g.rows > n) {
    all = g.rest;
    extend(g.u, n, all, g.rows, n);
    apply_reflections(g.a, g.rows, n, g.tau, all, n);
  }
  for (std::ptrdiff_t e = 0; e < g.rows * n; ++e) all[e] = scale_by_power(all[e], g.power);
  finish(all, g.rows * n, g.failed);
  unpack(x, g.wide ? x_layout : transposed(x_layout), all, 1, g.rows);
  return to_bitmask(g.failed);
}

template <class T>
constexpr Svd<T> table = {scratch_vectors<T>, factors<T>, values<T>, pseudo_inverse<T>};

}  // namespace

const Svd<double> svd_f64 = table<double>;
const Svd<float> svd_f32 = table<float>;

}  // namespace mmlfast::MMLFAST_LEVEL
