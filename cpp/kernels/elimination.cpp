#include "kernels/elimination.hpp"

#include "kernels/lanes.hpp"
#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// The factors of one group: a[i * n + j] holds U on and above the diagonal and the multipliers
// below it.
template <class T>
struct Factors {
  vec<T>* a;
  vec<T>* pivot;       // pivot[k]: the row that was exchanged with row k, as a number
  vec<T>* reciprocal;  // 1 / u_kk, where that is safe
  mask<T> singular;
  bool divide;  // some pivot of some lane is so small or large that its reciprocal is not a normal number
};

template <class T>
MMLFAST_INLINE mask<T> reciprocal_is_unsafe(const vec<T>& pivot) {
  const vec<T> size = abs(pivot);
  return (size < broadcast<T>(Format<T>::smallest_normal)) |
         (size > broadcast<T>(static_cast<T>(0.25) / Format<T>::smallest_normal));
}

// x / u_kk. A lane divides only for a pivot of its own: what it computes must not depend on the other lanes.
template <class T>
MMLFAST_INLINE vec<T> over_pivot(const Factors<T>& f, std::ptrdiff_t n, std::ptrdiff_t k, const vec<T>& x) {
  const vec<T> product = x * f.reciprocal[k];
  if (!f.divide) return product;
  const vec<T> pivot = f.a[k * n + k];
  return select(reciprocal_is_unsafe(pivot), x / pivot, product);
}

// Exchanges row k with each lane's pivot row in columns [from, to). Sizes known at compile time use
// a plain sweep over all candidate rows, which keeps everything in registers; otherwise only the
// rows chosen by some lane are touched.
template <int N, class T>
MMLFAST_INLINE void exchange_rows(vec<T>* a, std::ptrdiff_t n, std::ptrdiff_t width, const vec<T>& pivot,
                                  std::ptrdiff_t k, std::ptrdiff_t from, std::ptrdiff_t to) {
  if constexpr (N > 0) {
    for (std::ptrdiff_t i = k + 1; i < N; ++i) {
      const mask<T> here = pivot == broadcast<T>(static_cast<T>(i));
      for (std::ptrdiff_t j = from; j < to; ++j) {
        const vec<T> upper = a[k * width + j], lower = a[i * width + j];
        a[k * width + j] = select(here, lower, upper);
        a[i * width + j] = select(here, upper, lower);
      }
    }
  } else {
    alignas(vec_bytes) T row[lanes<T>];
    store(row, pivot);
    for (int l = 0; l < lanes<T>; ++l) {
      const std::ptrdiff_t i = static_cast<std::ptrdiff_t>(row[l]);
      bool done = i == k || i >= n;
      for (int before = 0; before < l && !done; ++before) done = row[before] == row[l];
      if (done) continue;
      const mask<T> here = pivot == broadcast<T>(row[l]);
      for (std::ptrdiff_t j = from; j < to; ++j) {
        const vec<T> upper = a[k * width + j], lower = a[i * width + j];
        a[k * width + j] = select(here, lower, upper);
        a[i * width + j] = select(here, upper, lower);
      }
    }
  }
}

template <int N, class T>
MMLFAST_INLINE void factor(Factors<T>& f, std::ptrdiff_t n_any) {
  const std::ptrdiff_t n = N > 0 ? N : n_any;
  f.singular = no_lanes<T>();
  f.divide = false;
  vec<T>* a = f.a;
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    vec<T> best = abs(a[k * n + k]), row = broadcast<T>(static_cast<T>(k));
    for (std::ptrdiff_t i = k + 1; i < n; ++i) {
      const vec<T> candidate = abs(a[i * n + k]);
      const mask<T> better = candidate > best;
      best = select(better, candidate, best);
      row = select(better, broadcast<T>(static_cast<T>(i)), row);
    }
    f.pivot[k] = row;
    f.singular = f.singular | (best == zero<T>());
    f.divide = f.divide || any(reciprocal_is_unsafe(best));
    exchange_rows<N>(a, n, n, row, k, k, n);
    f.reciprocal[k] = broadcast<T>(1) / a[k * n + k];

    for (std::ptrdiff_t i = k + 1; i < n; ++i) {
      const vec<T> multiplier = over_pivot(f, n, k, a[i * n + k]);
      a[i * n + k] = multiplier;
      for (std::ptrdiff_t j = k + 1; j < n; ++j) a[i * n + j] = fnma(multiplier, a[k * n + j], a[i * n + j]);
    }
  }
}

// b := U^-1 L^-1 P b for m columns, b[i * m + j].
template <int N, int M, class T>
MMLFAST_INLINE void substitute(const Factors<T>& f, std::ptrdiff_t n_any, vec<T>* b, std::ptrdiff_t m_any) {
  const std::ptrdiff_t n = N > 0 ? N : n_any, m = M > 0 ? M : m_any;
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    exchange_rows<N>(b, n, m, f.pivot[k], k, 0, m);
    for (std::ptrdiff_t i = k + 1; i < n; ++i) {
      const vec<T> multiplier = f.a[i * n + k];
      for (std::ptrdiff_t j = 0; j < m; ++j) b[i * m + j] = fnma(multiplier, b[k * m + j], b[i * m + j]);
    }
  }
  for (std::ptrdiff_t k = n - 1; k >= 0; --k) {
    for (std::ptrdiff_t j = 0; j < m; ++j) b[k * m + j] = over_pivot(f, n, k, b[k * m + j]);
    for (std::ptrdiff_t i = 0; i < k; ++i) {
      const vec<T> entry = f.a[i * n + k];
      for (std::ptrdiff_t j = 0; j < m; ++j) b[i * m + j] = fnma(entry, b[k * m + j], b[i * m + j]);
    }
  }
  if (any(f.singular)) {
    const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan("")));
    for (std::ptrdiff_t e = 0; e < n * m; ++e) b[e] = select(f.singular, nan, b[e]);
  }
}

// Room for the factors: on the stack, where the compiler can keep it in registers, for sizes known
// at compile time.
template <int N, class T>
struct Room {
  vec<T> a[N * N], pivot[N], reciprocal[N];
  Factors<T> factors(vec<T>*, std::ptrdiff_t) { return {a, pivot, reciprocal, {}, false}; }
  static constexpr std::ptrdiff_t used(std::ptrdiff_t) { return 0; }
};
template <class T>
struct Room<0, T> {
  Factors<T> factors(vec<T>* s, std::ptrdiff_t n) { return {s, s + n * n, s + n * n + n, {}, false}; }
  static constexpr std::ptrdiff_t used(std::ptrdiff_t n) { return n * (n + 2); }
};

template <int N, class T>
MMLFAST_INLINE Factors<T> factor_items(Room<N, T>& room, const T* const* a, const Layout& layout, vec<T>* scratch) {
  const std::ptrdiff_t n = N > 0 ? N : layout.rows;
  Factors<T> f = room.factors(scratch, n);
  pack(a, Layout{n, n, layout.row_stride, layout.col_stride}, f.a, n, 1);
  factor<N>(f, n);
  return f;
}

template <int N, int M, class T>
LaneBits solve_sized(const T* const* a, const Layout& a_layout, const T* const* b, const Layout& b_layout, T* const* x,
                     const Layout& x_layout, vec<T>* scratch) {
  const std::ptrdiff_t n = N > 0 ? N : a_layout.rows, m = M > 0 ? M : b_layout.cols;
  Room<N, T> room;
  const Factors<T> f = factor_items<N>(room, a, a_layout, scratch);
  vec<T> fixed[N > 0 && M > 0 ? N * M : 1];
  vec<T>* rhs = N > 0 && M > 0 ? fixed : scratch + Room<N, T>::used(n);
  pack(b, Layout{n, m, b_layout.row_stride, b_layout.col_stride}, rhs, m, 1);
  substitute<N, M>(f, n, rhs, m);
  unpack(x, Layout{n, m, x_layout.row_stride, x_layout.col_stride}, rhs, m, 1);
  return to_bitmask(f.singular);
}

template <int N, class T>
LaneBits inverse_sized(const T* const* a, const Layout& a_layout, T* const* x, const Layout& x_layout,
                       vec<T>* scratch) {
  const std::ptrdiff_t n = N > 0 ? N : a_layout.rows;
  Room<N, T> room;
  const Factors<T> f = factor_items<N>(room, a, a_layout, scratch);
  vec<T> fixed[N > 0 ? N * N : 1];
  vec<T>* inverse = N > 0 ? fixed : scratch + Room<N, T>::used(n);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < n; ++j) inverse[i * n + j] = broadcast<T>(static_cast<T>(i == j));
  }
  substitute<N, N>(f, n, inverse, n);
  unpack(x, Layout{n, n, x_layout.row_stride, x_layout.col_stride}, inverse, n, 1);
  return to_bitmask(f.singular);
}

// The determinant of every lane as mantissa * 2^exponent.
template <int N, class T>
MMLFAST_INLINE mask<T> product_of_pivots(const T* const* a, const Layout& layout, vec<T>* scratch, vec<T>& mantissa,
                                         vec<T>& exponent) {
  const std::ptrdiff_t n = N > 0 ? N : layout.rows;
  Room<N, T> room;
  const Factors<T> f = factor_items<N>(room, a, layout, scratch);
  mantissa = broadcast<T>(1);
  exponent = zero<T>();
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    vec<T> m, e;
    split_exponent(f.a[k * n + k], m, e);
    m = select(f.pivot[k] == broadcast<T>(static_cast<T>(k)), m, -m);
    exponent = exponent + e;
    split_exponent(mantissa * m, mantissa, e);
    exponent = exponent + e;
  }
  // A pivot of zero ends the product, whatever the rows below it made of the division by it.
  mantissa = select(f.singular, zero<T>(), mantissa);
  exponent = select(f.singular, zero<T>(), exponent);
  return f.singular;
}

template <class T>
MMLFAST_INLINE void scatter(T* const* to, const vec<T>& x) {
  run::unpack(to, 0, 1, &x, 1);
}

template <int N, class T>
LaneBits determinant_sized(const T* const* a, const Layout& layout, T* const* det, vec<T>* scratch) {
  vec<T> mantissa, exponent;
  const mask<T> singular = product_of_pivots<N>(a, layout, scratch, mantissa, exponent);
  scatter(det, scale_by_power(mantissa, exponent));
  return to_bitmask(singular);
}

template <int N, class T>
LaneBits log_determinant_sized(const T* const* a, const Layout& layout, T* const* sign, T* const* logabs,
                               vec<T>* scratch) {
  vec<T> mantissa, exponent;
  const mask<T> singular = product_of_pivots<N>(a, layout, scratch, mantissa, exponent);
  const vec<T> one = broadcast<T>(1);
  vec<T> s = select(mantissa == zero<T>(), zero<T>(), copysign(one, mantissa));
  scatter(sign, select(mantissa != mantissa, mantissa, s));
  const vec<T> low = exponent * broadcast<T>(Format<T>::ln2_low);
  scatter(logabs, fma(exponent, broadcast<T>(Format<T>::ln2_high), log(abs(mantissa)) + low));
  return to_bitmask(singular);
}

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t n, std::ptrdiff_t m) {
  return n * (n + 2) + n * m;
}

// The sizes that get code of their own: all loops unrolled, the matrix in registers as far as it
// fits.
#define MMLFAST_BY_SIZE(n, call) \
  switch (n) {                   \
    case 1:                      \
      return call(1);            \
    case 2:                      \
      return call(2);            \
    case 3:                      \
      return call(3);            \
    case 4:                      \
      return call(4);            \
    case 5:                      \
      return call(5);            \
    case 6:                      \
      return call(6);            \
    case 7:                      \
      return call(7);            \
    case 8:                      \
      return call(8);            \
    default:                     \
      return call(0);            \
  }

template <class T>
LaneBits solve(const T* const* a, const Layout& al, const T* const* b, const Layout& bl, T* const* x, const Layout& xl,
               void* scratch) {
  vec<T>* s = static_cast<vec<T>*>(scratch);
  if (bl.cols != 1) return solve_sized<0, 0>(a, al, b, bl, x, xl, s);
#define MMLFAST_CALL(N) solve_sized<N, 1>(a, al, b, bl, x, xl, s)
  MMLFAST_BY_SIZE(al.rows, MMLFAST_CALL)
#undef MMLFAST_CALL
}

template <class T>
LaneBits inverse(const T* const* a, const Layout& al, T* const* x, const Layout& xl, void* scratch) {
  vec<T>* s = static_cast<vec<T>*>(scratch);
#define MMLFAST_CALL(N) inverse_sized<N>(a, al, x, xl, s)
  MMLFAST_BY_SIZE(al.rows, MMLFAST_CALL)
#undef MMLFAST_CALL
}

template <class T>
LaneBits determinant(const T* const* a, const Layout& al, T* const* det, void* scratch) {
  vec<T>* s = static_cast<vec<T>*>(scratch);
#define MMLFAST_CALL(N) determinant_sized<N>(a, al, det, s)
  MMLFAST_BY_SIZE(al.rows, MMLFAST_CALL)
#undef MMLFAST_CALL
}

template <class T>
LaneBits log_determinant(const T* const* a, const Layout& al, T* const* sign, T* const* logabs, void* scratch) {
  vec<T>* s = static_cast<vec<T>*>(scratch);
#define MMLFAST_CALL(N) log_determinant_sized<N>(a, al, sign, logabs, s)
  MMLFAST_BY_SIZE(al.rows, MMLFAST_CALL)
#undef MMLFAST_CALL
}

template <class T>
constexpr Elimination<T> table = {scratch_vectors<T>, solve<T>, inverse<T>, determinant<T>, log_determinant<T>};

}  // namespace

const Elimination<double> elimination_f64 = table<double>;
const Elimination<float> elimination_f32 = table<float>;

}  // namespace mmlfast::MMLFAST_LEVEL
