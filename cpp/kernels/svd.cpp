#include "kernels/svd.hpp"

#include "kernels/svd_bidiagonal.hpp"
#include "kernels/svd_graded.hpp"
#include "kernels/svd_jacobi.hpp"
#include "kernels/svd_reflections.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// The exponent that the largest element of an item is brought to: squares of columns, multiplied by what weights can
// grow to in a sweep, stay in range, and so do squares of columns smaller by nearly as much.
template <class T>
inline constexpr T middle_exponent = sizeof(T) == 8 ? 460 : 38;

// Columns smaller than the largest of the item by more than this have exponents of their own (svd_graded.hpp): at the
// scale of the item their squares, or what is left of them after some turns, would vanish, or the differences of
// squares overflow.
template <class T>
inline constexpr T far_smaller = sizeof(T) == 8 ? static_cast<T>(0x1p-500) : static_cast<T>(0x1p-56);

// And so have those of items that end with squares of lengths further apart than this: some turns have not been made.
template <class T>
inline constexpr T far_squares = sizeof(T) == 8 ? static_cast<T>(0x1p1000) : static_cast<T>(0x1p118);

// Columns in units this far apart: what counts as zero beside the largest may count beside its own column.
inline constexpr int uneven_ratio = 256;
// And this far: what turns give of small singular values is worth their time.
inline constexpr int uneven_values = 8;

// Many columns turn in blocks of two: where their number is odd, one of zeros, which never turns, is added. Below
// this number that is no gain.
constexpr std::ptrdiff_t fewest_evened = 13;
constexpr std::ptrdiff_t turned_columns(std::ptrdiff_t cols) { return cols >= fewest_evened ? cols + cols % 2 : cols; }

constexpr Layout transposed(const Layout& l) { return {l.cols, l.rows, l.col_stride, l.row_stride}; }

// One group of items with rows >= cols: a wide matrix comes as its transpose.
template <class T>
struct Group {
  std::ptrdiff_t rows, cols;
  bool wide, vectors, reduces, turns;  // by a bidiagonal form, by Jacobi's turns
  vec<T>*a, *tau;                      // rows > cols: the reflections
  Columns<T> core;                     // cols x cols
  vec<T>*u, *v;                        // sorted vectors, cols x cols each
  vec<T>* rest;                        // what is left of the scratch memory
  vec<T> power;                        // the item was multiplied by 2^power
  vec<T>* exponent;  // in the lanes of `far`: column j was multiplied by 2^-exponent[j], and power is 0
  bool graded = false;
  mask<T> finite, failed, far, uneven;
  mask<T> reduced = no_lanes<T>();  // singular values, not squares of norms, are in `value`
  vec<T>* value;

  Group(const T* const* item, const Layout& given, vec<T>* scratch, bool with_vectors, bool equilibrate = false)
      : wide(given.rows < given.cols), vectors(with_vectors) {
    const Layout layout = wide ? transposed(given) : given;
    rows = layout.rows;
    cols = layout.cols;
    reduces = !vectors && cols > most_turned_values;
    turns = !reduces || (cols <= most_graded_values && !equilibrate);
    const bool tall = rows > cols;
    const auto take = [&](std::ptrdiff_t count) { return (scratch += count) - count; };
    const std::ptrdiff_t turned = turned_columns(cols);
    // In this order: where they are not needed, norm and weight, and least to plan, are the memory of a bidiagonal
    // form.
    core.norm = take(turned);
    core.weight = take(turned);
    core.least = take(turned);
    exponent = take(cols);
    core.plan = take(7 * (turned / 2 + 1));
    core.rows = core.cols = cols;
    core.height = vectors ? 2 * cols : cols;
    core.x = take(core.height * turned);
    a = tall ? take(rows * cols) : core.x;
    tau = tall ? take(cols) : nullptr;
    u = vectors ? take(cols * cols) : nullptr;
    v = vectors ? take(cols * cols) : nullptr;
    value = vectors ? nullptr : take(cols);
    rest = scratch;
    const std::ptrdiff_t column = tall ? rows : core.height;
    failed = far = no_lanes<T>();
    if (reduces) reduce(item, layout, column, equilibrate);
    if (all(reduced)) {
      failed = failed | ~finite;
      return;
    }
    work(item, layout, column, equilibrate);
    mask<T> again = failed & ~far & ~reduced;
    if (any(uneven)) again = again | (too_far() & ~reduced);
    if (any(again)) {
      far = far | again;
      work(item, layout, column, equilibrate);
    }
    failed = failed | ~finite;
  }

  // x_j, which was worked on at the scale of column j, at the scale of the item.
  vec<T> unscaled(const vec<T>& x, std::ptrdiff_t j) const {
    return scale_by_power(x, graded ? exponent[j] - power : -power);
  }

 private:
  // The core of the items. The lanes of `far` are brought to scale column by column, and so are those that turn out to
  // need it at once.
  void prepare(const T* const* item, const Layout& layout, std::ptrdiff_t column, bool equilibrate) {
    pack(item, layout, a, 1, column);
    if (equilibrate && wide) level_rows(column);
    bring_to_middle(column, equilibrate && !wide);
    if (rows > cols) take_triangle();
    if (equilibrate && !wide) level_lengths();
  }

  void reduce(const T* const* item, const Layout& layout, std::ptrdiff_t column, bool equilibrate) {
    prepare(item, layout, column, equilibrate);
    reduced = turns ? ~(uneven & finite) : ~no_lanes<T>();
    if (!any(reduced)) return;
    failed = reduced & bidiagonal_values(cols, core.x, core.height, core.norm, core.least);
    for (std::ptrdiff_t j = 0; j < cols; ++j) value[j] = core.norm[j];
  }

  void work(const T* const* item, const Layout& layout, std::ptrdiff_t column, bool equilibrate) {
    prepare(item, layout, column, equilibrate);
    if (vectors)
      for (std::ptrdiff_t j = 0; j < cols; ++j)
        for (std::ptrdiff_t i = 0; i < cols; ++i) core.column(j)[cols + i] = broadcast<T>(static_cast<T>(i == j));
    Columns<T> even = core;
    even.cols = turned_columns(cols);
    if (even.cols > cols)
      for (std::ptrdiff_t i = 0; i < core.height; ++i) even.column(cols)[i] = zero<T>();
    failed = (failed & reduced) | orthogonalize(even, finite & ~far & ~reduced);
    if (graded) failed = failed | orthogonalize_graded(core, exponent, far);
  }

  mask<T> too_far() const {
    vec<T> largest = zero<T>(), smallest = broadcast<T>(static_cast<T>(__builtin_inf()));
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      const vec<T>& norm = core.norm[j];
      largest = max(norm, largest);
      smallest = select((norm > zero<T>()) & (norm < smallest), norm, smallest);
    }
    return finite & ~far & (largest > smallest * broadcast<T>(far_squares<T>));
  }

  // Rows of a wide item's transpose, which are the columns of the item, to lengths between 1/2 and 2, by powers of two.
  void level_rows(std::ptrdiff_t column) {
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      vec<T> largest = zero<T>(), square = zero<T>(), mantissa, shift;
      for (std::ptrdiff_t j = 0; j < cols; ++j) largest = max(abs(a[j * column + i]), largest);
      split_exponent(largest, mantissa, shift);
      for (std::ptrdiff_t j = 0; j < cols; ++j) {
        vec<T>& x = a[j * column + i];
        x = scale_by_power(x, -shift);
        square = fma(x, x, square);
      }
      split_exponent(square, mantissa, shift);
      const vec<T> factor = power_of_two(-nearest(shift * broadcast<T>(static_cast<T>(0.5))));
      for (std::ptrdiff_t j = 0; j < cols; ++j) a[j * column + i] = a[j * column + i] * factor;
    }
  }

  // Columns of the core, whose largest entries were between 1/2 and 2 when they were columns of the item, the same.
  void level_lengths() {
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      vec<T>*x = core.column(j), mantissa, shift;
      split_exponent(inner_product(x, x, cols), mantissa, shift);
      const vec<T> factor = power_of_two(-nearest(shift * broadcast<T>(static_cast<T>(0.5))));
      for (std::ptrdiff_t i = 0; i < cols; ++i) x[i] = x[i] * factor;
    }
  }

  // Item times 2^power, so that its largest element is of a middle size, or, in the lanes of `separate`, every column
  // times a power of its own, so that its largest element is about one.
  void scale_columns(std::ptrdiff_t column, const mask<T>& separate) {
    vec<T> by = power, mantissa, size;
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      vec<T>* const x = a + j * column;
      if (graded) {
        vec<T> largest = zero<T>();
        for (std::ptrdiff_t i = 0; i < rows; ++i) largest = max(abs(x[i]), largest);
        split_exponent(largest, mantissa, size);
        exponent[j] = select(separate, size, zero<T>());
        by = power - exponent[j];
      }
      const vec<T> half = nearest(by * broadcast<T>(static_cast<T>(0.5)));
      const vec<T> first = power_of_two(half), second = power_of_two(by - half);
      for (std::ptrdiff_t i = 0; i < rows; ++i) x[i] = select(finite, x[i] * first * second, zero<T>());
    }
  }

  void bring_to_middle(std::ptrdiff_t column, bool equilibrate) {
    const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
    vec<T> largest = zero<T>(), smallest = infinity, mantissa, size;
    finite = ~no_lanes<T>();
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      vec<T> of_column = zero<T>();
      for (std::ptrdiff_t i = 0; i < rows; ++i) {
        const vec<T> here = abs(a[j * column + i]);
        of_column = max(here, of_column);
        finite = finite & (here < infinity);
      }
      largest = max(of_column, largest);
      smallest = min(of_column, smallest);
    }
    const vec<T> little = largest * broadcast<T>(static_cast<T>(1.0 / (reduces ? uneven_values : uneven_ratio)));
    uneven = smallest < little;
    if (any(uneven) && turns) look_apart(column, largest, little);
    split_exponent(largest, mantissa, size);
    const mask<T> separate = equilibrate ? finite : far;
    graded = any(separate);
    power = select(finite & (largest > zero<T>()) & ~separate, broadcast<T>(middle_exponent<T>) - size, zero<T>());
    scale_columns(column, separate);
    // Lengths of one are what is wanted, not what has to be undone.
    if (equilibrate) graded = false, far = no_lanes<T>();
  }

  // The same without columns of zeros, which are not small but not there.
  MMLFAST_NOINLINE void look_apart(std::ptrdiff_t column, const vec<T>& largest, const vec<T>& little) {
    vec<T> smallest = largest;
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      vec<T> of_column = zero<T>();
      for (std::ptrdiff_t i = 0; i < rows; ++i) of_column = max(abs(a[j * column + i]), of_column);
      smallest = select(of_column > zero<T>(), min(of_column, smallest), smallest);
    }
    uneven = smallest < little;
    far = far | (finite & (smallest < largest * broadcast<T>(far_smaller<T>)));
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
  const std::ptrdiff_t turned = turned_columns(cols), core = turned * cols;
  const std::ptrdiff_t group = 3 * turned + cols + 7 * (turned / 2 + 1) +
                               (vectors ? 2 * core + 2 * cols * cols : core + cols) +
                               (rows > cols ? (rows + 1) * cols : 0);
  if (!vectors) return group;
  const std::ptrdiff_t completion = 2 * cols * cols + cols, all_rows = rows * (whole ? rows : cols);
  return group + (completion > all_rows ? completion : all_rows);
}

// order[j * lanes + l]: the column of lane l with the j-th largest norm, or, if there are exponents, the j-th in the
// order of make_comparable. Equal norms keep their order.
template <class T>
void find_order(const vec<T>* norm, const vec<T>* exponent, std::ptrdiff_t cols, std::int32_t* order) {
  const T *value = reinterpret_cast<const T*>(norm), *grade = reinterpret_cast<const T*>(exponent);
  const auto less = [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    if (grade != nullptr && grade[i] != grade[j]) return grade[i] < grade[j];
    return value[i] < value[j];
  };
  for (int l = 0; l < lanes<T>; ++l)
    for (std::ptrdiff_t j = 0; j < cols; ++j) {
      std::ptrdiff_t k = j;
      for (; k > 0 && less(order[(k - 1) * lanes<T> + l] * lanes<T> + l, j * lanes<T> + l); --k)
        order[k * lanes<T> + l] = order[(k - 1) * lanes<T> + l];
      order[k * lanes<T> + l] = static_cast<std::int32_t>(j);
    }
}

// Up to so many columns change places in all lanes at once.
inline constexpr std::ptrdiff_t most_exchanged = 8;

// The order of find_order by exchanges of neighbours, which are selections, where the gathering of elements lane by
// lane would take longer.
template <class T>
void exchange_columns(const Columns<T>& c, vec<T>* exponent) {
  const auto exchange = [](const mask<T>& which, vec<T>& x, vec<T>& y) {
    const vec<T> first = select(which, y, x);
    y = select(which, x, y);
    x = first;
  };
  for (std::ptrdiff_t j = 1; j < c.cols; ++j)
    for (std::ptrdiff_t k = j; k > 0; --k) {
      mask<T> less = c.norm[k - 1] < c.norm[k];
      if (exponent != nullptr) less = (exponent[k - 1] < exponent[k]) | (less & ~(exponent[k] < exponent[k - 1]));
      if (!any(less)) break;
      vec<T>*x = c.column(k - 1), *y = c.column(k);
      for (std::ptrdiff_t i = 0; i < c.height; ++i) exchange(less, x[i], y[i]);
      exchange(less, c.norm[k - 1], c.norm[k]);
      if (exponent != nullptr) exchange(less, exponent[k - 1], exponent[k]);
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
  if (g.graded) make_comparable(c.norm, g.exponent, n, g.far);
  if (n <= most_exchanged) {
    exchange_columns(c, g.graded ? g.exponent : nullptr);
    for (std::ptrdiff_t j = 0; j < n; ++j)
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        g.u[j * n + i] = c.column(j)[i];
        g.v[j * n + i] = c.column(j)[n + i];
      }
    return;
  }
  std::int32_t* order = reinterpret_cast<std::int32_t*>(c.weight);
  find_order(c.norm, g.graded ? g.exponent : nullptr, n, order);
  T *value = reinterpret_cast<T*>(c.plan), *grade = value + n * lanes<T>;
  for (std::ptrdiff_t j = 0; j < n; ++j)
    for (int l = 0; l < lanes<T>; ++l) {
      const std::ptrdiff_t from = order[j * lanes<T> + l];
      value[j * lanes<T> + l] = reinterpret_cast<const T*>(c.norm + from)[l];
      if (g.graded) grade[j * lanes<T> + l] = reinterpret_cast<const T*>(g.exponent + from)[l];
      const T* x = reinterpret_cast<const T*>(c.column(from)) + l;
      T* to_u = reinterpret_cast<T*>(g.u + j * n) + l;
      T* to_v = reinterpret_cast<T*>(g.v + j * n) + l;
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        to_u[i * lanes<T>] = x[i * lanes<T>];
        to_v[i * lanes<T>] = x[(n + i) * lanes<T>];
      }
    }
  for (std::ptrdiff_t j = 0; j < n; ++j) c.norm[j] = c.plan[j];
  for (std::ptrdiff_t j = 0; j < n && g.graded; ++j) g.exponent[j] = c.plan[n + j];
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
  for (std::ptrdiff_t j = 0; j < n; ++j) g.core.norm[j] = g.unscaled(g.core.norm[j], j);
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

// The lengths of the columns in descending order.
template <class T>
void take_lengths(const Group<T>& g, SingularValuesOf what) {
  vec<T>* value = g.core.norm;
  for (std::ptrdiff_t j = 0; j < g.cols; ++j) value[j] = sqrt(value[j]);
  if (what == SingularValuesOf::item) {
    for (std::ptrdiff_t j = 0; j < g.cols; ++j) value[j] = g.unscaled(value[j], j);
  } else if (g.graded) {
    vec<T> top = g.exponent[0];
    for (std::ptrdiff_t j = 1; j < g.cols; ++j) top = max(g.exponent[j], top);
    for (std::ptrdiff_t j = 0; j < g.cols; ++j) value[j] = scale_by_power(value[j], g.exponent[j] - top);
  }
  for (std::ptrdiff_t j = 0; j < g.cols; ++j) {
    vec<T> x = value[j];
    for (std::ptrdiff_t k = 0; k < j; ++k) {
      const vec<T> y = value[k];
      value[k] = max(y, x);
      x = min(y, x);
    }
    value[j] = x;
  }
}

template <class T>
LaneBits values(const T* const* a, const Layout& a_layout, SingularValuesOf what, T* const* s, const Layout& s_layout,
                void* scratch) {
  Group<T> g(a, a_layout, static_cast<vec<T>*>(scratch), false, what == SingularValuesOf::columns_of_length_one);
  vec<T>* value = g.core.norm;
  if (!all(g.reduced)) take_lengths(g, what);
  for (std::ptrdiff_t j = 0; j < g.cols && any(g.reduced); ++j) {
    const vec<T> x = what == SingularValuesOf::item ? g.unscaled(g.value[j], j) : g.value[j];
    value[j] = select(g.reduced, x, value[j]);
  }
  finish(value, g.cols, g.failed);
  unpack(s, s_layout, value, 1, 1);
  return to_bitmask(g.failed);
}

// Which singular values count: the mask of column j is kept[j] > 0. g.core.norm has their square roots already, and
// with them g.exponent is comparable; returns the exponent of the smallest of those that count.
template <class T>
vec<T> choose_graded(Group<T>& g, const vec<T>& rcond, vec<T>* kept) {
  const std::ptrdiff_t n = g.cols;
  make_comparable(g.core.norm, g.exponent, n, g.far);
  vec<T> top = g.exponent[0], largest = zero<T>(), lowest = broadcast<T>(static_cast<T>(8 * Format<T>::bias));
  for (std::ptrdiff_t j = 1; j < n; ++j) top = max(g.exponent[j], top);
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    kept[j] = scale_by_power(g.core.norm[j], g.exponent[j] - top);
    largest = max(kept[j], largest);
  }
  const vec<T> cutoff = largest * rcond;
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const mask<T> counts = (kept[j] > cutoff) | ((cutoff == zero<T>()) & (g.core.norm[j] > zero<T>()));
    kept[j] = select(counts, broadcast<T>(1), zero<T>());
    lowest = select(counts, min(g.exponent[j], lowest), lowest);
  }
  return lowest;
}

template <class T>
LaneBits pseudo_inverse(const T* const* a, const Layout& a_layout, const T* const* rcond, T* const* x,
                        const Layout& x_layout, void* scratch) {
  Group<T> g(a, a_layout, static_cast<vec<T>*>(scratch), true);
  const std::ptrdiff_t n = g.cols;
  const Columns<T>& c = g.core;
  vec<T>*kept = c.weight, largest = zero<T>(), lowest = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    c.norm[j] = sqrt(c.norm[j]);
    largest = max(c.norm[j], largest);
  }
  const vec<T> cutoff = largest * gather(rcond);
  for (std::ptrdiff_t j = 0; j < n; ++j) kept[j] = c.norm[j] - cutoff;
  if (g.graded) lowest = choose_graded(g, gather(rcond), kept);
  // The transpose of the pseudo-inverse of the core: sum of x v' / s^2 over the columns kept.
  mask<T> dropped = no_lanes<T>();
  for (std::ptrdiff_t e = 0; e < n * n; ++e) g.u[e] = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const mask<T> counts = kept[j] > zero<T>();
    dropped = dropped | ~counts;
    const vec<T> reciprocal = select(counts, broadcast<T>(1) / c.norm[j], zero<T>());
    vec<T> for_right = reciprocal;
    if (g.graded) for_right = scale_by_power(reciprocal, lowest - g.exponent[j]);
    vec<T>*left = c.column(j), *right = left + n;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      left[i] = left[i] * reciprocal;
      right[i] = right[i] * for_right;
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
  for (std::ptrdiff_t e = 0; e < g.rows * n; ++e) all[e] = scale_by_power(all[e], g.power - lowest);
  finish(all, g.rows * n, g.failed);
  unpack(x, g.wide ? x_layout : transposed(x_layout), all, 1, g.rows);
  return to_bitmask(dropped & g.uneven & ~g.failed);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Svd, svd, scratch_vectors<T>, factors<T>, values<T>, pseudo_inverse<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
