#include "kernels/elimination.hpp"

#include "kernels/common/with_size.hpp"
#include "kernels/elimination_cofactors.hpp"
#include "kernels/elimination_columns.hpp"
#include "kernels/elimination_panels.hpp"
#include "kernels/elimination_small.hpp"
#include "simd/math/logarithm.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// Pivot k with the sign of the exchange of row k with `row`.
template <class T>
MMLFAST_INLINE vec<T> with_sign(const vec<T>& pivot, const vec<T>& row, std::ptrdiff_t k) {
  return select(row == broadcast<T>(static_cast<T>(k)), pivot, -pivot);
}

// N > 0: the size, known at compile time, worked on in registers. N = 0: any size, worked on in scratch memory.
template <int N, class T>
struct Group : SmallFactors<N, T> {
  Group(const T* const* item, const Layout& layout, vec<T>*) {
    pack_sized<N, N>(item, layout, &this->a[0][0]);
    if constexpr (N <= 4)
      factor(*this);
    else
      factor_out_of_line(*this);  // a call costs nothing beside the work
  }
  static constexpr std::ptrdiff_t size() { return N; }
  MMLFAST_INLINE vec<T> signed_pivot(std::ptrdiff_t k) const { return with_sign(this->a[k][k], this->pivot[k], k); }
};

template <class T>
struct Group<0, T> : PanelFactors<T> {
  Group(const T* const* item, const Layout& layout, vec<T>* scratch, bool move_multipliers = false)
      : PanelFactors<T>(scratch, layout.rows, layout.cols) {
    pack(item, layout, this->a, this->ld, 1);
    static_cast<UnsafePivots<T>&>(*this) = factor_panels(scratch, this->n, this->cols, move_multipliers);
  }
  std::ptrdiff_t size() const { return this->n; }
  MMLFAST_INLINE vec<T> signed_pivot(std::ptrdiff_t k) const {
    return with_sign(this->a[k * this->ld + k], this->pivot[k], k);
  }
};

// The right-hand sides come after the factors.
template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t n, std::ptrdiff_t m) {
  return PanelFactors<T>::vectors(n, n) + n + n * (m == n ? leading_dimension(n) : m);
}

template <class T>
MMLFAST_INLINE void blank_singular(const mask<T>& singular, vec<T>* x, std::ptrdiff_t count) {
  if (!any(singular)) return;
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan("")));
  for (std::ptrdiff_t e = 0; e < count; ++e) x[e] = select(singular, nan, x[e]);
}

template <int N, class T>
LaneBits solve_small(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout, T* const* x,
                     const Layout& x_layout) {
  const Group<N, T> f(a, a_layout, nullptr);
  vec<T> rhs[N][1];
  pack_sized<N, 1>(b, b_layout, &rhs[0][0]);
  substitute(f, rhs);
  blank_singular(f.singular, &rhs[0][0], N);
  unpack_sized<N, 1>(x, x_layout, &rhs[0][0]);
  return to_bitmask(f.singular);
}

template <class T>
LaneBits solve_any(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout, T* const* x,
                   const Layout& x_layout, vec<T>* scratch) {
  const std::ptrdiff_t n = a_layout.rows, m = b_layout.cols;
  const Group<0, T> f(a, a_layout, scratch);
  vec<T>* rhs = scratch + PanelFactors<T>::vectors(n, n);
  pack(b, b_layout, rhs, m, 1);
  substitute<true>(f, rhs, m, m);
  blank_singular(f.singular, rhs, n * m);
  unpack(x, x_layout, rhs, m, 1);
  return to_bitmask(f.singular);
}

// The same operations in the same order as solve_any: bit-identical.
template <int N, class T>
LaneBits solve_by_columns(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout,
                          T* const* x, const Layout& x_layout, vec<T>* scratch) {
  vec<T> matrix[N * N], rhs[N];
  pack_sized<N, N>(a, a_layout, matrix);
  pack_sized<N, 1>(b, b_layout, rhs);
  ColumnFactors<N, T> f[vec_parts];
  if (!factor(f, matrix)) return solve_any(a, a_layout, b, b_layout, x, x_layout, scratch);
  ColumnRows<N, T> c[vec_parts];
  unrolled(0, vec_parts, [&](int p) MMLFAST_INLINE_LAMBDA {
    unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { c[p][i] = part_of(rhs[i], p); });
  });
  substitute(f, c);
  unrolled(0, vec_parts, [&](int p) MMLFAST_INLINE_LAMBDA {
    unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA { rhs[i].part[p] = c[p][i].part[0]; });
  });
  unpack_sized<N, 1>(x, x_layout, rhs);
  return 0;
}

template <int N, class T>
LaneBits inverse_small(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout) {
  const Group<N, T> f(a, a_layout, nullptr);
  vec<T> inverse[N][N];
  unrolled(0, N, [&](int i) MMLFAST_INLINE_LAMBDA {
    unrolled(0, N, [&](int j) MMLFAST_INLINE_LAMBDA { inverse[i][j] = broadcast<T>(static_cast<T>(i == j)); });
  });
  substitute(f, inverse);
  blank_singular(f.singular, &inverse[0][0], N * N);
  unpack_sized<N, N>(x, x_layout, &inverse[0][0]);
  return to_bitmask(f.singular);
}

// inverse[i * ld + j] from the factors; `order` is scratch for n vectors. Up to 8 rows, a column of the inverse stays
// in registers.
template <class T>
MMLFAST_INLINE void invert(const Group<0, T>& f, vec<T>* order, vec<T>* inverse) {
  find_order(f, order);
  switch (f.n) {
    case 5:
      return invert_by_columns<5>(f, order, inverse);
    case 6:
      return invert_by_columns<6>(f, order, inverse);
    case 7:
      return invert_by_columns<7>(f, order, inverse);
    case 8:
      return invert_by_columns<8>(f, order, inverse);
    default:
      permuted_identity(f, order, inverse);
      return substitute<false>(f, inverse, f.n, f.ld);
  }
}

template <class T>
LaneBits inverse_any(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout, vec<T>* scratch) {
  const std::ptrdiff_t n = a_layout.rows;
  const Group<0, T> f(a, a_layout, scratch, true);
  vec<T>*order = scratch + PanelFactors<T>::vectors(n, n), *inverse = order + n;
  invert(f, order, inverse);
  blank_singular(f.singular, inverse, n * f.ld);
  unpack(x, x_layout, inverse, f.ld, 1);
  return to_bitmask(f.singular);
}

// The same operations in the same order as inverse_any: bit-identical.
template <int N, class T>
LaneBits inverse_by_columns(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout,
                            vec<T>* scratch) {
  vec<T> matrix[N * N], inverse[N * N];
  pack_sized<N, N>(a, a_layout, matrix);
  ColumnFactors<N, T> f[vec_parts];
  if (!factor(f, matrix)) return inverse_any(a, a_layout, x, x_layout, scratch);
  for (int p = 0; p < vec_parts; ++p) {
    ColumnRows<N, T> order;
    move_multipliers(f[p], order);
    invert(f[p], order, inverse, p);
  }
  unpack_sized<N, N>(x, x_layout, inverse);
  return 0;
}

// The product of the pivots, zero for a singular lane. False if in some other lane it left the range where no partial
// product overflows or underflows.
template <class F, class T, int P>
MMLFAST_INLINE bool plain_product(const F& f, const mask<T, P>& singular, vec<T, P>& product) {
  const vec<T, P> low = broadcast<T, P>(1 / (static_cast<T>(16) * sqrt_largest<T>)),
                  high = broadcast<T, P>(sqrt_largest<T>);
  mask<T, P> within = ~no_lanes<T, P>();
  product = broadcast<T, P>(1);
  for (std::ptrdiff_t k = 0; k < f.size(); ++k) {
    product = product * f.signed_pivot(k);
    within = within & (abs(product) > low) & (abs(product) < high);
  }
  product = select(singular, zero<T, P>(), product);
  return all(within | singular);
}

// The same as mantissa * 2^exponent, whatever its size. A pivot of zero ends the product, whatever the rows below it
// made of the division by it.
template <class F, class T>
MMLFAST_INLINE void split_product(const F& f, vec<T>& mantissa, vec<T>& exponent) {
  mantissa = broadcast<T>(1);
  exponent = zero<T>();
  for (std::ptrdiff_t k = 0; k < f.size(); ++k) {
    vec<T> m, e;
    split_exponent(f.signed_pivot(k), m, e);
    exponent = exponent + e;
    split_exponent(mantissa * m, mantissa, e);
    exponent = exponent + e;
  }
  mantissa = select(f.singular, zero<T>(), mantissa);
  exponent = select(f.singular, zero<T>(), exponent);
}

// Determinants by cofactors, and the lanes where they are to be taken instead of what elimination gave: elimination
// says which are zero.
template <class T>
MMLFAST_NOINLINE mask<T> better_by_cofactors(const T* const* item, const Layout& layout, const mask<T>& singular,
                                             vec<T>& det) {
  return with_size<2, most_by_cofactors>(layout.rows, [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (N == 0) {
      return no_lanes<T>();
    } else {
      vec<T> matrix[N * N];
      pack_sized<N, N>(item, layout, matrix);
      const Cofactors<T, vec_parts> c = cofactors<N>(matrix);
      det = c.det;
      return c.usable & ~singular;
    }
  });
}

// One number for each item; side by side, in one store.
template <class T>
MMLFAST_INLINE void put_numbers(T* const* to, const vec<T>& x) {
  if (to[1] == to[0] + 1 && to[lanes<T> - 1] == to[0] + (lanes<T> - 1))
    store(to[0], x);
  else
    scatter(to, x);
}

template <int N, class T>
LaneBits determinant_sized(const T* const* a, const Layout& layout, T* const* det, vec<T>* scratch) {
  const Group<N, T> f(a, layout, scratch);
  vec<T> product;
  if (!plain_product(f, f.singular, product)) {
    vec<T> exponent;
    split_product(f, product, exponent);
    product = scale_by_power(product, exponent);
  }
  if constexpr (N == 0) {
    vec<T> better = product;
    product = select(better_by_cofactors(a, layout, f.singular, better), better, product);
  }
  put_numbers(det, product);
  return to_bitmask(f.singular);
}

// The same answers as determinant_sized<0>, which is needed only where a pivot might be zero or a number leaves the
// range.
template <int N, class T>
LaneBits determinant_by_cofactors(const T* const* a, const Layout& layout, T* const* det, vec<T>* scratch) {
  vec<T> matrix[N * N];
  pack_sized<N, N>(a, layout, matrix);
  const Cofactors<T, vec_parts> c = cofactors<N>(matrix);
  if (!all(c.regular)) return determinant_sized<0>(a, layout, det, scratch);
  put_numbers(det, c.det);
  return 0;
}

// The same operations in the same order as determinant_sized<0>: bit-identical.
template <int N, class T>
LaneBits determinant_by_columns(const T* const* a, const Layout& layout, T* const* det, vec<T>* scratch) {
  vec<T> matrix[N * N], result;
  pack_sized<N, N>(a, layout, matrix);
  ColumnFactors<N, T> f[vec_parts];
  bool sound = factor(f, matrix);
  for (int p = 0; p < vec_parts; ++p) {
    vec<T, 1> product;
    sound = sound && plain_product(f[p], no_lanes<T, 1>(), product);
    result.part[p] = product.part[0];
  }
  if (!sound) return determinant_sized<0>(a, layout, det, scratch);
  put_numbers(det, result);
  return 0;
}

template <class T>
LaneBits log_determinant(const T* const* a, const Layout& layout, T* const* sign, T* const* logabs, void* scratch) {
  const Group<0, T> f(a, layout, static_cast<vec<T>*>(scratch));
  vec<T> mantissa, exponent;
  split_product(f, mantissa, exponent);
  vec<T> better = mantissa;
  const mask<T> taken = better_by_cofactors(a, layout, f.singular, better);
  mantissa = select(taken, better, mantissa);
  exponent = select(taken, zero<T>(), exponent);
  const vec<T> s = select(mantissa == zero<T>(), zero<T>(), copysign(broadcast<T>(1), mantissa));
  scatter(sign, select(mantissa != mantissa, mantissa, s));
  const vec<T> low = exponent * broadcast<T>(Format<T>::ln2_low);
  scatter(logabs, fma(exponent, broadcast<T>(Format<T>::ln2_high), log(abs(mantissa)) + low));
  return to_bitmask(f.singular);
}

template <class T>
std::ptrdiff_t lu_scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n) {
  return PanelFactors<T>::vectors(m, n) + m + m * smaller(m, n);
}

template <class T>
void lu(const T* const* a, const Layout& a_layout, std::int32_t* order, T* const* l, const Layout& l_layout,
        T* const* u, const Layout& u_layout, void* scratch) {
  const std::ptrdiff_t m = a_layout.rows, n = a_layout.cols, steps = smaller(m, n);
  const Group<0, T> f(a, a_layout, static_cast<vec<T>*>(scratch), true);
  vec<T>*rows = f.a + PanelFactors<T>::vectors(m, n), *lower = rows + m;
  find_order(f, rows);
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    alignas(vec_bytes) T row[lanes<T>];
    store(row, rows[i]);
    for (int lane = 0; lane < lanes<T>; ++lane) order[lane * m + i] = static_cast<std::int32_t>(row[lane]);
  }
  for (std::ptrdiff_t i = 0; i < m; ++i)
    for (std::ptrdiff_t j = 0; j < steps; ++j) {
      vec<T>& entry = f.a[i * f.ld + j];
      lower[i * steps + j] = j < i ? entry : broadcast<T>(static_cast<T>(i == j));
      if (j < i) entry = zero<T>();
    }
  unpack(l, l_layout, lower, steps, 1);
  unpack(u, u_layout, f.a, f.ld, 1);
}

// Sizes with unrolled code. With AVX-512 most of the matrix stays in registers; with fewer registers the larger of
// these sizes spill, and are still faster than loops.
template <int N>
inline constexpr bool unrolls = N >= 1 && N <= (vec_parts == 1 ? 8 : 4);

// Sizes worked on column by column: with two registers to a vector, a column of whole vectors would not stay in them.
template <int N>
inline constexpr bool goes_by_columns = N >= 5 && N <= 8 && vec_parts == 2;

template <class T>
LaneBits solve(const T* const* a, const Layout& al, const T* const* b, const Layout& bl, T* const* x, const Layout& xl,
               void* memory) {
  vec<T>* scratch = static_cast<vec<T>*>(memory);
  return with_size<1, 8>(bl.cols == 1 ? al.rows : 0, [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (unrolls<N>)
      return solve_small<N>(a, al, b, bl, x, xl);
    else if constexpr (goes_by_columns<N>)
      return solve_by_columns<N>(a, al, b, bl, x, xl, scratch);
    else
      return solve_any(a, al, b, bl, x, xl, scratch);
  });
}

template <class T>
LaneBits inverse(const T* const* a, const Layout& al, T* const* x, const Layout& xl, void* memory) {
  vec<T>* scratch = static_cast<vec<T>*>(memory);
  return with_size<1, 8>(al.rows, [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (unrolls<N> && N <= 4)
      return inverse_small<N>(a, al, x, xl);
    else if constexpr (goes_by_columns<N>)
      return inverse_by_columns<N>(a, al, x, xl, scratch);
    else
      return inverse_any(a, al, x, xl, scratch);
  });
}

template <class T>
LaneBits determinant(const T* const* a, const Layout& layout, T* const* det, void* memory) {
  vec<T>* scratch = static_cast<vec<T>*>(memory);
  return with_size<1, 8>(layout.rows, [&]<int N>(std::integral_constant<int, N>) {
    if constexpr (N >= 2 && N <= most_by_cofactors)
      return determinant_by_cofactors<N>(a, layout, det, scratch);
    else if constexpr (goes_by_columns<N>)
      return determinant_by_columns<N>(a, layout, det, scratch);
    else
      return determinant_sized<unrolls<N> ? N : 0>(a, layout, det, scratch);
  });
}

template <class T>
bool looks_good(const Solved<T>& s, T condition, T backward) {
  int good = 1;  // without branches
  const T* row = s.a;
  for (std::ptrdiff_t r = 0; r < s.rows; ++r, row += s.row) {
    vec<T> size = zero<T>(), plain = zero<T>(), absolute = zero<T>();
    const auto add = [&](const vec<T>& a, const vec<T>& y, const vec<T>& x) MMLFAST_INLINE_LAMBDA {
      const vec<T> product = a * x;
      size = fma(abs(a), abs(y), size);
      plain = plain + product;
      absolute = absolute + abs(product);
    };
    std::ptrdiff_t k = 0;
    for (; k + lanes<T> <= s.n; k += lanes<T>) add(load(row + k), load(s.y + k), load(s.x + k));
    if (const int left = static_cast<int>(s.n - k); left > 0)
      add(load_first(row + k, left), load_first(s.y + k, left), load_first(s.x + k, left));
    const T right = s.b[r * s.step], distance = right - reduce_add(plain), length = right < 0 ? -right : right;
    good &= static_cast<int>(reduce_add(size) * condition < static_cast<T>(0.5));
    good &= static_cast<int>((distance < 0 ? -distance : distance) <= backward * (length + reduce_add(absolute)));
  }
  return good != 0;
}

// Measured. A vector of two registers reads twice as much of what the first cache does not hold in each step; wider and
// narrower registers cross at the largest order or beyond.
template <class T>
inline constexpr FastestLanes fastest_lanes = native_bytes != 32 ? FastestLanes{max_lane_order, max_lane_order}
                                              : sizeof(T) == 8   ? FastestLanes{96, 60}
                                                                 : FastestLanes{108, 76};

}  // namespace

MMLFAST_DEFINE_TABLES(Elimination, elimination, scratch_vectors<T>, solve<T>, inverse<T>, determinant<T>,
                      log_determinant<T>, lu_scratch_vectors<T>, lu<T>, looks_good<T>, fastest_lanes<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
