#include "kernels/lstsq.hpp"

#include "kernels/one_sided_jacobi.hpp"
#include "kernels/reflections.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using reflections::Columns;
using reflections::Reflected;

// One group of problems. With r = min(m, n): f holds the factors of A, or of A' if it is wide; y (max(m, n) x k) starts
// as b and becomes x; g (r columns of r + k) is R and Q'b for the rotations.
template <class T>
struct Problem {
  Reflected<T> f;
  Columns<T> y;
  std::ptrdiff_t r, k;
  bool wide;
  vec<T>*g, *s, *residual;
  vec<T> a_exponent, b_exponent;  // powers of two that A and b were multiplied with
  mask<T> not_finite, failed;

  MMLFAST_INLINE vec<T> upper(std::ptrdiff_t i, std::ptrdiff_t j) const { return i == j ? f.diagonal[i] : f.x(i, j); }
};

constexpr std::ptrdiff_t smaller(std::ptrdiff_t m, std::ptrdiff_t n) { return m < n ? m : n; }

constexpr std::ptrdiff_t leading_dimension(std::ptrdiff_t r) { return r % 8 == 0 && r >= 16 ? r + 1 : r; }

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
  const std::ptrdiff_t r = smaller(m, n), longer = m + n - r;
  return longer * (leading_dimension(r) + k) + r * (r + k) + 3 * r + k;
}

template <class T>
Problem<T> in_scratch(const Layout& a, std::ptrdiff_t k, vec<T>* scratch) {
  const std::ptrdiff_t m = a.rows, n = a.cols, r = smaller(m, n), longer = m + n - r, ld = leading_dimension(r);
  Problem<T> p;
  p.r = r;
  p.k = k;
  p.wide = m < n;
  p.f = {{scratch, longer, r, ld}, scratch + longer * (ld + k), scratch + longer * (ld + k) + r};
  p.y = {scratch + longer * ld, longer, k, k};
  p.s = p.f.diagonal + r;
  p.residual = p.s + r;
  p.g = p.residual + k;
  p.a_exponent = p.b_exponent = zero<T>();
  p.not_finite = p.failed = no_lanes<T>();
  return p;
}

template <class T>
MMLFAST_INLINE void pack_both(const Problem<T>& p, const T* const* a, const Layout& al, const T* const* b,
                              const Layout& bl) {
  pack(a, p.wide ? Layout{al.cols, al.rows, al.col_stride, al.row_stride} : al, p.f.x.a, p.f.x.ld, 1);
  pack(b, bl, p.y.a, p.k, 1);
}

// The sums of squares of the rows from .. to - 1 of each column of y, to residual.
template <class T>
MMLFAST_INLINE void squares_of_columns(const Problem<T>& p, std::ptrdiff_t from, std::ptrdiff_t to) {
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    p.residual[j] = reflections::dot<0>(Columns<T>{p.y.a, to, p.k, p.k}, from, j, j);
}

// Factors A, and b along with it if A is not wide; residual is set.
template <class T>
MMLFAST_INLINE void factor(Problem<T>& p, const T* const* a, const Layout& al, const T* const* b, const Layout& bl) {
  using Range = reflections::Range<T>;
  const Columns<T>* along = p.wide ? nullptr : &p.y;
  mask<T> unsafe = no_lanes<T>();
  pack_both(p, a, al, b, bl);
  reflections::factor<false>(p.f, unsafe, along);
  const vec<T> last = abs(p.f.diagonal[p.r - 1]);
  unsafe = unsafe | ~(last < broadcast<T>(Range::huge));
  squares_of_columns(p, 0, bl.rows);
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    unsafe = unsafe | ~((p.residual[j] > broadcast<T>(Range::low)) & (p.residual[j] < broadcast<T>(Range::high)));
  if (any(unsafe)) {
    pack_both(p, a, al, b, bl);
    const Columns<T> rhs{p.y.a, bl.rows, p.k, p.k};
    const vec<T> a_size = reflections::largest(p.f.x), b_size = reflections::largest(rhs);
    p.not_finite = (a_size != a_size) | (b_size != b_size);
    const vec<T> one = broadcast<T>(1);
    p.a_exponent = reflections::safe_exponent(select(p.not_finite, one, a_size));
    p.b_exponent = reflections::safe_exponent(select(p.not_finite, one, b_size));
    reflections::scale(p.f.x, p.a_exponent);
    reflections::scale(rhs, p.b_exponent);
    reflections::factor<true>(p.f, unsafe, along);
  }
  if (!p.wide) squares_of_columns(p, p.r, bl.rows);
}

// Rotates R (its rows, or its columns if A is wide) and Q'b. Returns the exponent of the power of two that g was
// divided by; s is set, at the scale of R, in the order of the columns of g.
template <class T>
MMLFAST_INLINE vec<T> rotate(Problem<T>& p) {
  const std::ptrdiff_t r = p.r, ld = r + p.k;
  vec<T> big = zero<T>(), mantissa, exponent;
  for (std::ptrdiff_t i = 0; i < r; ++i)
    for (std::ptrdiff_t j = i; j < r; ++j) big = max(abs(p.upper(i, j)), big);
  split_exponent(big, mantissa, exponent);
  exponent = select(p.not_finite, zero<T>(), exponent);
  const vec<T> factor = power_of_two(-exponent);
  for (std::ptrdiff_t c = 0; c < r; ++c) {
    vec<T>* column = p.g + c * ld;
    for (std::ptrdiff_t i = 0; i < r; ++i) {
      const bool zero_here = p.wide ? i > c : i < c;
      column[i] = zero_here ? zero<T>() : factor * (p.wide ? p.upper(i, c) : p.upper(c, i));
    }
    for (std::ptrdiff_t j = 0; j < p.k; ++j) column[r + j] = p.y(c, j);
  }
  p.failed = p.not_finite | jacobi::orthogonalise(p.g, r, r, ld, ld);
  for (std::ptrdiff_t c = 0; c < r; ++c) {
    vec<T> square = zero<T>();
    for (std::ptrdiff_t i = 0; i < r; ++i) square = fma(p.g[c * ld + i], p.g[c * ld + i], square);
    p.s[c] = sqrt(square);
  }
  return exponent;
}

// R y = Q'b, or R'y = b if A is wide, in the first r rows of y.
template <class T>
MMLFAST_INLINE void substitute(const Problem<T>& p) {
  for (std::ptrdiff_t step = 0; step < p.r; ++step) {
    const std::ptrdiff_t i = p.wide ? step : p.r - 1 - step;
    const vec<T> diagonal = p.f.diagonal[i];
    for (std::ptrdiff_t j = 0; j < p.k; ++j) {
      vec<T> e = p.y(i, j);
      if (p.wide)
        for (std::ptrdiff_t c = 0; c < i; ++c) e = fnma(p.f.x(c, i), p.y(c, j), e);
      else
        for (std::ptrdiff_t c = i + 1; c < p.r; ++c) e = fnma(p.f.x(i, c), p.y(c, j), e);
      p.y(i, j) = e / diagonal;
    }
  }
}

// In the lanes of `deficient`: y from the singular values above `smallest`.
template <class T>
__attribute__((noinline)) void from_singular_values(const Problem<T>& p, mask<T> deficient, vec<T> smallest,
                                                    vec<T> exponent) {
  const std::ptrdiff_t r = p.r, ld = r + p.k;
  const vec<T> factor = power_of_two(-exponent);
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    for (std::ptrdiff_t i = 0; i < r; ++i) {
      vec<T> sum = zero<T>();
      for (std::ptrdiff_t c = 0; c < r; ++c) {
        const vec<T> part = (p.g[c * ld + i] / p.s[c]) * (p.g[c * ld + r + j] / p.s[c]);
        sum = sum + select(p.s[c] > smallest, part, zero<T>());
      }
      p.y(i, j) = select(deficient, sum * factor, p.y(i, j));
    }
}

// Falling order in every lane, by exchanges of neighbours.
template <class T>
MMLFAST_INLINE void sort_falling(vec<T>* s, std::ptrdiff_t n) {
  for (std::ptrdiff_t end = n; end > 1; --end)
    for (std::ptrdiff_t i = 0; i + 1 < end; ++i) {
      const vec<T> a = s[i], b = s[i + 1];
      s[i] = max(a, b);
      s[i + 1] = min(a, b);
    }
}

// Lanes that have full rank for certain: 1 / norm(R^-1), which no singular value is below, is well above `threshold`
// times norm(R), which no singular value is above. Works in g.
template <class T>
MMLFAST_INLINE mask<T> certainly_full(const Problem<T>& p, const vec<T>& threshold) {
  const std::ptrdiff_t r = p.r;
  vec<T>* reciprocal = p.s;
  vec<T> size = zero<T>(), inverse_size = zero<T>();
  for (std::ptrdiff_t i = 0; i < r; ++i) reciprocal[i] = broadcast<T>(1) / p.f.diagonal[i];
  for (std::ptrdiff_t j = 0; j < r; ++j) {
    vec<T>* inverse = p.g;  // column j of it
    for (std::ptrdiff_t i = j; i >= 0; --i) {
      vec<T> e = i == j ? broadcast<T>(1) : zero<T>();
      for (std::ptrdiff_t c = i + 1; c <= j; ++c) e = fnma(p.f.x(i, c), inverse[c], e);
      inverse[i] = e * reciprocal[i];
      inverse_size = fma(inverse[i], inverse[i], inverse_size);
      const vec<T> own = p.upper(i, j);
      size = fma(own, own, size);
    }
  }
  const vec<T> margin = threshold * broadcast<T>(2);
  return (size * margin) * (inverse_size * margin) < broadcast<T>(1);
}

template <class T>
MMLFAST_INLINE vec<T> threshold(const Problem<T>& p, const T* const* rcond) {
  const T eps = sizeof(T) == 8 ? static_cast<T>(0x1p-52) : static_cast<T>(0x1p-23);
  const vec<T> given = gather(rcond), none = broadcast<T>(eps * static_cast<T>(p.f.x.m));
  const vec<T> lapack = broadcast<T>(eps / 2);
  const mask<T> inside = (given > zero<T>()) & (given < broadcast<T>(1));
  return select(inside, given, select(given == given, lapack, none));
}

template <class T>
LaneBits solve(const T* const* a, const Layout& al, const T* const* b, const Layout& bl, const T* const* rcond,
               T* const* x, const Layout& xl, T* const* residuals, const Layout& rl, std::int64_t* const* rank,
               T* const* s, const Layout& sl, void* scratch) {
  Problem<T> p = in_scratch(al, bl.cols, static_cast<vec<T>*>(scratch));
  factor(p, a, al, b, bl);
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan(""))), one = broadcast<T>(1),
               limit = threshold(p, rcond);
  vec<T> exponent = zero<T>(), smallest = zero<T>(), count = broadcast<T>(static_cast<T>(p.r));
  mask<T> deficient = no_lanes<T>();
  p.failed = p.not_finite;
  if (s[0] != nullptr || !all(certainly_full(p, limit) | p.not_finite)) {
    exponent = rotate(p);
    vec<T> largest = zero<T>();
    for (std::ptrdiff_t c = 0; c < p.r; ++c) largest = max(p.s[c], largest);
    smallest = limit * largest;
    count = zero<T>();
    for (std::ptrdiff_t c = 0; c < p.r; ++c) {
      const mask<T> counts = p.s[c] > smallest;
      count = count + select(counts, one, zero<T>());
      deficient = deficient | ~counts;
    }
  }
  substitute(p);
  if (any(deficient)) from_singular_values(p, deficient, smallest, exponent);
  if (p.wide) {
    for (std::ptrdiff_t i = p.r; i < p.y.m; ++i)
      for (std::ptrdiff_t j = 0; j < p.k; ++j) p.y(i, j) = zero<T>();
    reflections::multiply(p.f, p.y);
  }
  if (s[0] != nullptr) {
    sort_falling(p.s, p.r);
    for (std::ptrdiff_t c = 0; c < p.r; ++c) p.s[c] = scale_by_power(p.s[c], exponent - p.a_exponent);
    reflections::blank(Columns<T>{p.s, p.r, 1, 1}, p.failed);
    unpack(s, sl, p.s, 1, 1);
  }
  const Columns<T> solution{p.y.a, al.cols, p.k, p.k};
  reflections::scale(solution, p.a_exponent - p.b_exponent);
  const Columns<T> residual{p.residual, 1, p.k, p.k};
  reflections::scale(residual, -p.b_exponent - p.b_exponent);
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    p.residual[j] = p.wide ? nan : select(deficient | p.failed, nan, p.residual[j]);
  reflections::blank(solution, p.failed);
  count = select(p.failed, zero<T>(), count);
  unpack(x, xl, p.y.a, p.k, 1);
  unpack(residuals, rl, p.residual, 1, 1);
  alignas(vec_bytes) T counts[lanes<T>];
  store(counts, count);
  for (int l = 0; l < lanes<T>; ++l) *rank[l] = static_cast<std::int64_t>(counts[l]);
  return to_bitmask(p.failed);
}

template <class T>
constexpr Lstsq<T> table = {scratch_vectors<T>, solve<T>};

}  // namespace

const Lstsq<double> lstsq_f64 = table<double>;
const Lstsq<float> lstsq_f32 = table<float>;

}  // namespace mmlfast::MMLFAST_LEVEL
