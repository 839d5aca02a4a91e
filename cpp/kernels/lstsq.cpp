#include "kernels/lstsq.hpp"

#include "kernels/common/reflections.hpp"
#include "kernels/lstsq_jacobi.hpp"

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
  vec<T>*a_exponent, *b_exponent;  // of the powers of two that the columns of A and b were multiplied with
  bool scaled;                     // are any of them not zero?
  mask<T> not_finite, failed;

  MMLFAST_INLINE vec<T> upper(std::ptrdiff_t i, std::ptrdiff_t j) const { return i == j ? f.diagonal[i] : f.x(i, j); }
};

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k) {
  const std::ptrdiff_t r = smaller(m, n), longer = m + n - r;
  return longer * (leading_dimension(r) + k) + r * (r + 2) + 3 * r + 2 * k + n;
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
  p.a_exponent = p.residual + k;
  p.b_exponent = p.a_exponent + n;
  p.g = p.b_exponent + k;
  p.scaled = false;
  p.not_finite = p.failed = no_lanes<T>();
  return p;
}

template <class T>
MMLFAST_INLINE void pack_both(const Problem<T>& p, const T* const* a, const Layout& al, const T* const* b,
                              const Layout& bl) {
  pack_inlined(a, p.wide ? Layout{al.cols, al.rows, al.col_stride, al.row_stride} : al, p.f.x.a, p.f.x.ld, 1);
  pack_inlined(b, bl, p.y.a, p.k, 1);
}

// The sums of squares of the rows from .. to - 1 of each column of y, to residual.
template <class T>
MMLFAST_INLINE void squares_of_columns(const Problem<T>& p, std::ptrdiff_t from, std::ptrdiff_t to) {
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    p.residual[j] = reflections::dot<0>(Columns<T>{p.y.a, to, p.k, p.k}, from, j, j);
}

// The columns of A (the rows of f.x if it is wide) and b at a safe scale in the lanes of `unsafe`: if it is not wide,
// each column by itself, else all of A by one power, since the smallest x depends on the scales of the columns.
template <class T>
MMLFAST_NOINLINE void bring_to_safe_scale(Problem<T>& p, mask<T> unsafe, std::ptrdiff_t rows) {
  const std::ptrdiff_t n = p.wide ? p.f.x.m : p.f.x.n;
  const Columns<T> rhs{p.y.a, rows, p.k, p.k};
  const vec<T> a_size = reflections::largest(p.f.x), b_size = reflections::largest(rhs);
  p.not_finite = (a_size != a_size) | (b_size != b_size);
  p.scaled = true;
  const mask<T> finite = unsafe & ~p.not_finite;
  const auto exponent_for = [&](const Columns<T>& x) {
    vec<T> mantissa, exponent;
    split_exponent(select(finite, reflections::largest(x), broadcast<T>(1)), mantissa, exponent);
    return -exponent;
  };
  const vec<T> common = reflections::safe_exponent(select(finite, a_size, broadcast<T>(1)));
  for (std::ptrdiff_t j = 0; j < n; ++j)
    p.a_exponent[j] = p.wide ? common : exponent_for(Columns<T>{p.f.x.a + j, p.f.x.m, 1, p.f.x.ld});
  for (std::ptrdiff_t j = 0; j < p.k; ++j) p.b_exponent[j] = exponent_for(Columns<T>{p.y.a + j, rows, 1, p.k});
  for (std::ptrdiff_t i = 0; i < p.f.x.m; ++i)
    for (std::ptrdiff_t j = 0; j < p.f.x.n; ++j)
      p.f.x(i, j) = scale_by_power(p.f.x(i, j), p.a_exponent[p.wide ? i : j]);
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = 0; j < p.k; ++j) p.y(i, j) = scale_by_power(p.y(i, j), p.b_exponent[j]);
}

// Factors A, and b along with it if A is not wide; residual is set.
template <class T>
MMLFAST_INLINE void factor(Problem<T>& p, const T* const* a, const Layout& al, const T* const* b, const Layout& bl) {
  using Range = reflections::Range<T>;
  const Columns<T>* along = p.wide ? nullptr : &p.y;
  mask<T> unsafe = no_lanes<T>();
  pack_both(p, a, al, b, bl);
  reflections::factor<false>(p.f, unsafe, along);
  const vec<T> last = p.f.diagonal[p.r - 1], square = last * last;  // of a square A, no reflection has looked at it
  unsafe = unsafe | ~((square > broadcast<T>(Range::low)) & (square < broadcast<T>(Range::high)));
  squares_of_columns(p, 0, bl.rows);
  for (std::ptrdiff_t j = 0; j < p.k; ++j)
    unsafe = unsafe | ~((p.residual[j] > broadcast<T>(Range::low)) & (p.residual[j] < broadcast<T>(Range::high)));
  if (any(unsafe)) {
    pack_both(p, a, al, b, bl);
    bring_to_safe_scale(p, unsafe, bl.rows);
    reflections::factor<true>(p.f, unsafe, along);
  }
  if (!p.wide) squares_of_columns(p, p.r, bl.rows);
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

// Element (i, j) of R with the columns of A at their own scale, times a power of two that brings the largest near one.
template <class T>
struct AtOneScale {
  const Problem<T>& p;
  vec<T> exponent, factor;

  MMLFAST_INLINE vec<T> column_exponent(std::ptrdiff_t j) const { return p.a_exponent[p.wide ? 0 : j]; }

  MMLFAST_INLINE explicit AtOneScale(const Problem<T>& of) : p(of) {
    vec<T> big = zero<T>(), mantissa;
    for (std::ptrdiff_t j = 0; j < p.r; ++j) {
      vec<T> column = zero<T>();
      for (std::ptrdiff_t i = 0; i <= j; ++i) column = max(abs(p.upper(i, j)), column);
      if (p.scaled) {  // only the exponents are compared, as the columns together may not fit the range
        vec<T> own;
        split_exponent(column, mantissa, own);
        own = select(column == zero<T>(), broadcast<T>(-4096), own - column_exponent(j));
        exponent = j == 0 ? own : max(own, exponent);
      }
      big = max(column, big);
    }
    if (!p.scaled) split_exponent(big, mantissa, exponent);
    exponent = select(p.not_finite | (exponent == broadcast<T>(-4096)), zero<T>(), exponent);
    factor = power_of_two(-exponent);
  }

  MMLFAST_INLINE vec<T> operator()(std::ptrdiff_t i, std::ptrdiff_t j) const {
    if (!p.scaled) return factor * p.upper(i, j);
    return scale_by_power(p.upper(i, j), -(exponent + column_exponent(j)));
  }
};

// The singular values of A, in falling order, to s: by rotations of the rows of R, or of its columns if A is wide.
template <class T>
MMLFAST_NOINLINE void find_singular_values(Problem<T>& p) {
  const std::ptrdiff_t r = p.r;
  const AtOneScale<T> upper(p);
  for (std::ptrdiff_t c = 0; c < r; ++c)
    for (std::ptrdiff_t i = 0; i < r; ++i) {
      const bool zero_here = p.wide ? i > c : i < c;
      p.g[c * r + i] = zero_here ? zero<T>() : p.wide ? upper(i, c) : upper(c, i);
    }
  p.failed = p.not_finite | jacobi::orthogonalise(p.g, r, r, r, r);
  for (std::ptrdiff_t c = 0; c < r; ++c) {
    vec<T> square = zero<T>();
    for (std::ptrdiff_t i = 0; i < r; ++i) square = fma(p.g[c * r + i], p.g[c * r + i], square);
    p.s[c] = sqrt(square);
  }
  sort_falling(p.s, r);
  for (std::ptrdiff_t c = 0; c < r; ++c) p.s[c] = scale_by_power(p.s[c], upper.exponent);
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

// Lanes that have full rank for certain once the columns of A have length one. B being R with such columns,
// 1 / norm(B^-1), which no singular value is below, is above `limit` times norm(B), which no singular value is above.
// (Norms: roots of sums of squares.) Of a wide A, R does not know the lengths of the columns: none is above norm(R).
// Works in g.
template <class T>
MMLFAST_INLINE mask<T> certainly_full(const Problem<T>& p, const vec<T>& limit) {
  const std::ptrdiff_t r = p.r;
  vec<T>*reciprocal = p.s, *inverse = p.g, *square = p.g + r;
  vec<T> all_squares = zero<T>(), inverse_size = zero<T>();
  for (std::ptrdiff_t j = 0; j < r; ++j) {
    reciprocal[j] = broadcast<T>(1) / p.f.diagonal[j];
    vec<T> sum = p.f.diagonal[j] * p.f.diagonal[j];
    for (std::ptrdiff_t i = 0; i < j; ++i) sum = fma(p.f.x(i, j), p.f.x(i, j), sum);
    square[j] = p.wide ? broadcast<T>(1) : sum;
    all_squares = all_squares + sum;
  }
  for (std::ptrdiff_t j = 0; j < r; ++j) {  // column j of the inverse
    inverse[j] = reciprocal[j];
    inverse_size = fma(inverse[j] * square[j], inverse[j], inverse_size);
    for (std::ptrdiff_t i = j - 1; i >= 0; --i) {
      vec<T> e = zero<T>();
      for (std::ptrdiff_t c = j; c > i; --c) e = fnma(p.f.x(i, c), inverse[c], e);  // what is newest is waited for last
      inverse[i] = e * reciprocal[i];
      inverse_size = fma(inverse[i] * square[i], inverse[i], inverse_size);
    }
  }
  const vec<T> size = p.wide ? all_squares : broadcast<T>(static_cast<T>(r));
  return (size * limit) * (inverse_size * limit) < broadcast<T>(1);
}

// The limit for certainly_full(): twice what counts as zero, but at least where the rounding errors of the lanes begin
// to matter (measured: less than u (4 + m / 30), by columns that are dependent); for a wide A, whose x has not the
// accuracy of A with columns of length one, where they are a thousandth part of the digits.
template <class T>
MMLFAST_INLINE vec<T> certain_limit(const Problem<T>& p, const T* const* rcond) {
  const T unit = sizeof(T) == 8 ? static_cast<T>(0x1p-53) : static_cast<T>(0x1p-24);
  const T wide = sizeof(T) == 8 ? static_cast<T>(0x1p-13) : static_cast<T>(0x1p-9);
  const T noise = unit * (16 + static_cast<T>(p.f.x.m) / 4), least = p.wide && wide > noise ? wide : noise;
  const vec<T> given = gather(rcond), two = broadcast<T>(2);
  const mask<T> inside = (given > zero<T>()) & (given < broadcast<T>(1));
  const vec<T> lengths = broadcast<T>(p.wide ? static_cast<T>(p.f.x.m) : static_cast<T>(1));
  const vec<T> none = broadcast<T>(unit * static_cast<T>(p.wide ? p.f.x.m : p.f.x.n));
  return max(two * sqrt(lengths) * select(inside, given, none), broadcast<T>(least));
}

template <class T>
LaneBits solve(const T* const* a, const Layout& al, const T* const* b, const Layout& bl, const T* const* rcond,
               T* const* x, const Layout& xl, T* const* residuals, const Layout& rl, std::int64_t* const* rank,
               T* const* s, const Layout& sl, LaneBits* uncertain, void* scratch) {
  Problem<T> p = in_scratch(al, bl.cols, static_cast<vec<T>*>(scratch));
  factor(p, a, al, b, bl);
  p.failed = p.not_finite;
  const vec<T> limit = certain_limit(p, rcond);
  mask<T> full = no_lanes<T>();
  if (s[0] != nullptr) {
    find_singular_values(p);
    reflections::blank(Columns<T>{p.s, p.r, 1, 1}, p.failed);
    unpack(s, sl, p.s, 1, 1);
    // Where these say so, certainly_full() does too: no length and no norm is above the largest, nor norm(R^-1) above
    // the root of r over the smallest.
    const vec<T> twice = limit * broadcast<T>(2 * static_cast<T>(p.r));
    if (!p.scaled) full = p.s[p.r - 1] > p.s[0] * twice;
  }
  if (!all(full | p.failed)) full = certainly_full(p, limit);
  *uncertain = to_bitmask(~(full | p.failed));
  substitute(p);
  if (p.wide) {
    for (std::ptrdiff_t i = p.r; i < p.y.m; ++i)
      for (std::ptrdiff_t j = 0; j < p.k; ++j) p.y(i, j) = zero<T>();
    reflections::multiply(p.f, p.y);
  }
  const Columns<T> solution{p.y.a, al.cols, p.k, p.k}, residual{p.residual, 1, p.k, p.k};
  if (p.scaled)
    for (std::ptrdiff_t j = 0; j < p.k; ++j) {
      for (std::ptrdiff_t i = 0; i < al.cols; ++i)
        p.y(i, j) = scale_by_power(p.y(i, j), p.a_exponent[i] - p.b_exponent[j]);
      p.residual[j] = scale_by_power(p.residual[j], -p.b_exponent[j] - p.b_exponent[j]);
    }
  reflections::blank(solution, p.failed);
  reflections::blank(residual, p.failed);
  unpack(x, xl, p.y.a, p.k, 1);
  unpack(residuals, rl, p.residual, 1, 1);
  const LaneBits failed = to_bitmask(p.failed);
  for (int l = 0; l < lanes<T>; ++l) *rank[l] = (failed >> l) & 1 ? 0 : p.r;
  return failed;
}

}  // namespace

MMLFAST_DEFINE_TABLES(Lstsq, lstsq, scratch_vectors<T>, solve<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
