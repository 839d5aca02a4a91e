#include "kernels/qr.hpp"

#include "kernels/common/reflections.hpp"
#include "kernels/qr_panels.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using reflections::Columns;
using reflections::Range;
using reflections::Reflected;

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t p) {
  return m * leading_dimension(n > p ? n : p) + (p > m ? p : m) * n + 2 * smaller(m, n) + n;
}

// Columns that are not reflected themselves have not been looked at: NaN, overflow, and sizes that lose digits in
// products with the others.
template <class T>
MMLFAST_INLINE void check_other_columns(const Reflected<T>& f, mask<T>& unsafe) {
  for (std::ptrdiff_t j = f.count(); j < f.x.n; ++j) {
    vec<T> square = zero<T>();
    for (std::ptrdiff_t i = 0; i < f.x.m; ++i) square = fma(f.x(i, j), f.x(i, j), square);
    unsafe = unsafe | ~((square > broadcast<T>(Range<T>::low)) & (square < broadcast<T>(Range<T>::high)));
  }
}

// How items were scaled before they were factored, which has to be undone: column j by 2^-exponent[j].
template <class T>
struct Rescaling {
  vec<T>* exponent;
  bool scaled = false;
  mask<T> not_finite = no_lanes<T>();
};

// Factors the items that pack() put into f.x once more: those in the lanes of `unsafe` with all columns at a size of
// about one. N > 0: in the order of factor_sized.
template <int N, class T>
MMLFAST_NOINLINE void factor_with_care(const Reflected<T>& f, const mask<T>& unsafe, Rescaling<T>& t) {
  vec<T> nothing = zero<T>(), mantissa, size;
  t.scaled = true;
  for (std::ptrdiff_t j = 0; j < f.x.n; ++j) {
    const Columns<T> column{&f.x(0, j), f.x.m, 1, f.x.ld};
    const vec<T> big = reflections::largest(column);
    nothing = nothing + (big - big);
    split_exponent(big, mantissa, size);
    t.exponent[j] = select(unsafe, size, zero<T>());
    reflections::scale(column, -t.exponent[j]);
  }
  t.not_finite = nothing != zero<T>();
  mask<T> unused = no_lanes<T>();
  if constexpr (N > 0)
    reflections::factor_sized<true, N, N>(f, unused);
  else
    reflections::factor<true>(f, unused);
}

// R, p x n with rows n apart, from the factors: zeros below the diagonal.
template <int P, int N, class T>
MMLFAST_INLINE void copy_r(const Reflected<T>& f, std::ptrdiff_t p, vec<T>* r) {
  const std::ptrdiff_t rows = P > 0 ? P : p, n = N > 0 ? N : f.x.n, k = smaller(P > 0 ? P : f.x.m, n);
  _Pragma("GCC unroll 4") for (std::ptrdiff_t i = 0; i < rows; ++i) {
    _Pragma("GCC unroll 4") for (std::ptrdiff_t j = 0; j < n; ++j) r[i * n + j] =
        j < i ? zero<T>() : (j == i && i < k ? f.diagonal[i] : f.x(i, j));
  }
}

// Undoes the scaling of R and fills the items that are not finite.
template <class T>
MMLFAST_NOINLINE void finish(const Rescaling<T>& t, vec<T>* r, std::ptrdiff_t rows, std::ptrdiff_t n) {
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const Columns<T> column{r + j, j < rows ? j + 1 : rows, 1, n};
    reflections::scale(column, t.exponent[j]);
    reflections::blank(column, t.not_finite);
  }
}

template <int N, class T>
void factor_sized(const T* const* a, const Layout& a_layout, T* const* q, const Layout& q_layout, T* const* r,
                  const Layout& r_layout) {
  vec<T> x[N * N], upper[N * N], factors[N], diagonal[N], exponent[N];
  const Reflected<T> f{{x, N, N, N}, factors, diagonal};
  Rescaling<T> t{exponent};
  mask<T> unsafe = no_lanes<T>();
  pack_sized<N, N>(a, a_layout, x);
  reflections::factor_sized<false, N, N>(f, unsafe);
  check_other_columns(f, unsafe);
  const bool again = any(unsafe);
  if (again) {
    pack_sized<N, N>(a, a_layout, x);
    factor_with_care<N>(f, unsafe, t);
  }
  copy_r<N, N>(f, N, upper);
  if (again) finish(t, upper, N, N);
  unpack_sized<N, N>(r, r_layout, upper);
  if (q[0] == nullptr) return;
  reflections::form_q_sized<N, N>(f);
  if (again) reflections::blank(f.x, t.not_finite);
  unpack_sized<N, N>(q, q_layout, x);
}

template <class T>
Rescaling<T> factor_any(const T* const* a, const Layout& a_layout, const Reflected<T>& f) {
  Rescaling<T> t{f.diagonal + smaller(f.x.m, f.x.n)};
  mask<T> unsafe = no_lanes<T>();
  pack(a, a_layout, f.x.a, f.x.ld, 1);
  reflections::factor<false>(f, unsafe);
  check_other_columns(f, unsafe);
  if (any(unsafe)) {
    pack(a, a_layout, f.x.a, f.x.ld, 1);
    factor_with_care<0>(f, unsafe, t);
  }
  return t;
}

template <class T>
Reflected<T> in_scratch(const Layout& a_layout, std::ptrdiff_t p, vec<T>* scratch) {
  const std::ptrdiff_t m = a_layout.rows, n = a_layout.cols, k = smaller(m, n);
  vec<T>* x = scratch + 2 * k + n;  // after factors and diagonal, the exponents of Rescaling
  return {{x, m, n, leading_dimension(n > p ? n : p)}, scratch, scratch + k};
}

template <class T>
void factor(const T* const* a, const Layout& a_layout, T* const* q, const Layout& q_layout, T* const* r,
            const Layout& r_layout, void* scratch) {
  const std::ptrdiff_t m = a_layout.rows, n = a_layout.cols, rows = r_layout.rows;
  if (m == n) {
    if (n == 2) return factor_sized<2>(a, a_layout, q, q_layout, r, r_layout);
    if (n == 3) return factor_sized<3>(a, a_layout, q, q_layout, r, r_layout);
    if (n == 4) return factor_sized<4>(a, a_layout, q, q_layout, r, r_layout);
  }
  const std::ptrdiff_t p = q[0] == nullptr ? 0 : q_layout.cols;
  const Reflected<T> f = in_scratch(a_layout, p, static_cast<vec<T>*>(scratch));
  const Rescaling<T> t = factor_any(a, a_layout, f);
  vec<T>* upper = f.x.a + m * f.x.ld;
  copy_r<0, 0>(f, rows, upper);
  if (t.scaled) finish(t, upper, rows, n);
  unpack(r, r_layout, upper, n, 1);
  if (p == 0) return;
  reflections::form_q(f, p);
  if (t.scaled) reflections::blank(Columns<T>{f.x.a, m, p, f.x.ld}, t.not_finite);
  unpack(q, q_layout, f.x.a, f.x.ld, 1);
}

template <class T>
void raw(const T* const* a, const Layout& a_layout, T* const* h, const Layout& h_layout, T* const* tau,
         const Layout& tau_layout, void* scratch) {
  const Reflected<T> f = in_scratch(a_layout, 0, static_cast<vec<T>*>(scratch));
  const Rescaling<T> t = factor_any(a, a_layout, f);
  const std::ptrdiff_t m = a_layout.rows, n = a_layout.cols, k = smaller(m, n);
  for (std::ptrdiff_t j = 0; j < k; ++j) {
    const vec<T> head = j < f.count() ? f.x(j, j) : zero<T>();
    const mask<T> nothing = f.factor[j] == zero<T>();
    f.factor[j] = select(nothing, zero<T>(), f.factor[j] * head * head);
    for (std::ptrdiff_t i = j + 1; i < m; ++i) f.x(i, j) = select(nothing, zero<T>(), f.x(i, j) / head);
    f.x(j, j) = f.diagonal[j];
  }
  if (t.scaled) {
    for (std::ptrdiff_t j = 0; j < n; ++j)
      reflections::scale(Columns<T>{&f.x(0, j), j < k ? j + 1 : k, 1, f.x.ld}, t.exponent[j]);
    reflections::blank(f.x, t.not_finite);
    reflections::blank(Columns<T>{f.factor, k, 1, 1}, t.not_finite);
  }
  unpack(h, h_layout, f.x.a, f.x.ld, 1);
  unpack(tau, tau_layout, f.factor, 1, 1);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Qr, qr, scratch_vectors<T>, factor<T>, raw<T>, qr_panels::copy_in<T>, qr_panels::copy_out<T>,
                      long_columns::gather<T, T>, qr_panels::factor<T>, qr_panels::join<T>, qr_panels::apply<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
