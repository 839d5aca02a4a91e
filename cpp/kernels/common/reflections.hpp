// Householder reflections on matrices that are already in lanes: element (i, j) of every item is a[i * ld + j]. For use
// inside other kernels; qr.hpp says what is computed.
//
// Vector v_k stands where it was made, in rows k.. of column k, at its own scale: H_k = 1 - factor[k] v_k v_k'. The
// diagonal of R is kept apart. M and N are the sizes where they are known at compile time (everything is then unrolled
// and stays in registers as far as it fits), else 0.
#pragma once

#include "kernels/common/lanes.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL::reflections {

// Sums of squares between these lose nothing to underflow or overflow, and products of two elements that are not much
// smaller or larger than such a column do neither.
template <class T>
struct Range;
template <>
struct Range<double> {
  static constexpr double low = 0x1p-600, high = 0x1p600;
  // Items with a largest element beyond these are worked on at another scale.
  static constexpr double tiny = 0x1p-900, huge = 0x1p980, shrink = 0x1p-60;
};
template <>
struct Range<float> {
  static constexpr float low = 0x1p-80f, high = 0x1p90f;
  static constexpr float tiny = 0x1p-90f, huge = 0x1p100f, shrink = 0x1p-30f;
};

template <class T>
struct Columns {
  vec<T>* a;
  std::ptrdiff_t m, n, ld;

  MMLFAST_INLINE vec<T>& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const { return a[i * ld + j]; }
};

// The factors of one group of matrices: reflections in x, their factors, the diagonal of R.
template <class T>
struct Reflected {
  Columns<T> x;
  vec<T>*factor, *diagonal;  // min(m, n) each

  // The last row of a square or wide matrix needs no reflection.
  static MMLFAST_INLINE std::ptrdiff_t count(std::ptrdiff_t m, std::ptrdiff_t n) { return m > n ? n : m - 1; }
  MMLFAST_INLINE std::ptrdiff_t count() const { return count(x.m, x.n); }
};

// Sums over rows are split where one sum would wait for itself: body(i, part) for the rows from .. to - 1, the parts
// taking turns.
template <int Parts, class Body>
MMLFAST_INLINE void in_turn(std::ptrdiff_t from, std::ptrdiff_t to, Body&& body) {
  std::ptrdiff_t i = from;
  for (; i + Parts <= to; i += Parts) {
    _Pragma("GCC unroll 4") for (int part = 0; part < Parts; ++part) body(i + part, part);
  }
  if (Parts > 1)
    for (; i < to; ++i) body(i, 0);
}

template <int Parts, class T>
MMLFAST_INLINE vec<T> sum_of(const vec<T>* part) {
  if constexpr (Parts == 4) return (part[0] + part[1]) + (part[2] + part[3]);
  if constexpr (Parts == 2) return part[0] + part[1];
  return part[0];
}

// sum over rows from .. m - 1 of the products of columns j and k.
template <int M, class T>
MMLFAST_INLINE vec<T> dot(const Columns<T>& x, std::ptrdiff_t from, std::ptrdiff_t j, std::ptrdiff_t k) {
  constexpr int parts = M > 0 ? 2 : 4;
  vec<T> sum[parts] = {};
  in_turn<parts>(from, M > 0 ? M : x.m, [&](std::ptrdiff_t i, int part) MMLFAST_INLINE_LAMBDA {
    sum[part] = fma(x(i, j), x(i, k), sum[part]);
  });
  return sum_of<parts>(sum);
}

// With care: the vector of lanes whose squares leave the range is brought to a size near one, and stays there. Zero
// below the diagonal: no reflection.
template <int M, class T>
MMLFAST_NOINLINE void make_with_care(const Reflected<T>& f, std::ptrdiff_t k) {
  const Columns<T>& x = f.x;
  const vec<T> first = x(k, k), low = broadcast<T>(Range<T>::low), high = broadcast<T>(Range<T>::high);
  vec<T> below = dot<M>(x, k + 1, k, k);
  const mask<T> safe = (below > low) & (fma(first, first, below) < high);
  vec<T> rest = zero<T>(), mantissa, exponent;
  for (std::ptrdiff_t i = k + 1; i < x.m; ++i) rest = max(abs(x(i, k)), rest);
  const mask<T> nothing = rest == zero<T>();
  split_exponent(max(abs(first), rest), mantissa, exponent);
  exponent = select(safe | nothing, zero<T>(), exponent);
  for (std::ptrdiff_t i = k; i < x.m; ++i) x(i, k) = select(safe, x(i, k), scale_by_power(x(i, k), -exponent));
  const vec<T> alpha = x(k, k);
  below = dot<M>(x, k + 1, k, k);
  const vec<T> length = sqrt(fma(alpha, alpha, below));
  const vec<T> beta = -copysign(length, alpha);
  x(k, k) = select(nothing, zero<T>(), alpha - beta);
  f.factor[k] = select(nothing, zero<T>(), broadcast<T>(2) / fma(x(k, k), x(k, k), below));
  f.diagonal[k] = select(nothing, first, select(safe, beta, scale_by_power(beta, exponent)));
}

// Makes reflection k from column k. With Care false, lanes that would need it are added to `unsafe`.
template <bool Care, int M, class T>
MMLFAST_INLINE void make(const Reflected<T>& f, std::ptrdiff_t k, mask<T>& unsafe) {
  if constexpr (Care) {
    make_with_care<M>(f, k);
  } else {
    const Columns<T>& x = f.x;
    const vec<T> alpha = x(k, k), below = dot<M>(x, k + 1, k, k), square = fma(alpha, alpha, below);
    unsafe = unsafe | ~((below > broadcast<T>(Range<T>::low)) & (square < broadcast<T>(Range<T>::high)));
    const vec<T> length = sqrt(square);
    const vec<T> beta = -copysign(length, alpha);
    x(k, k) = alpha - beta;
    f.factor[k] = broadcast<T>(2) / fma(x(k, k), x(k, k), below);  // orthogonal whatever the rounding of beta
    f.diagonal[k] = beta;
  }
}

// Columns j .. j + S - 1 of y := H_k times these. Alone: there are no others, which is the same at every SIMD level,
// however wide the strips are there.
template <int S, int M, bool Alone, class T>
MMLFAST_INLINE void apply_one(const Reflected<T>& f, std::ptrdiff_t k, const Columns<T>& y, std::ptrdiff_t j) {
  constexpr int parts = Alone && M == 0 ? 4 : 1;
  const std::ptrdiff_t m = M > 0 ? M : f.x.m;
  vec<T> sum[S][parts] = {}, w[S];
  _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) sum[s][0] = f.x(k, k) * y(k, j + s);
  in_turn<parts>(k + 1, m, [&](std::ptrdiff_t i, int part) MMLFAST_INLINE_LAMBDA {
    const vec<T> v = f.x(i, k);
    _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) sum[s][part] = fma(v, y(i, j + s), sum[s][part]);
  });
  _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) w[s] = sum_of<parts>(sum[s]) * f.factor[k];
  for (std::ptrdiff_t i = k; i < m; ++i) {
    const vec<T> v = f.x(i, k);
    _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) y(i, j + s) = fnma(w[s], v, y(i, j + s));
  }
}

// Columns j .. j + S - 1 of y := H_k+1 H_k times these (Forward), or H_k H_k+1. gram = v_k . v_k+1.
template <bool Forward, int S, bool Alone, class T>
MMLFAST_INLINE void apply_two(const Reflected<T>& f, std::ptrdiff_t k, const vec<T>& gram, const Columns<T>& y,
                              std::ptrdiff_t j) {
  constexpr int parts = Alone ? 2 : 1;
  const std::ptrdiff_t m = f.x.m;
  const Columns<T> x = f.x;
  vec<T> first[S][parts] = {}, second[S][parts] = {}, p[S], q[S];
  _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) first[s][0] = x(k, k) * y(k, j + s);
  in_turn<parts>(k + 1, m, [&](std::ptrdiff_t i, int part) MMLFAST_INLINE_LAMBDA {
    const vec<T> v = x(i, k), w = x(i, k + 1);
    _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) {
      const vec<T> e = y(i, j + s);
      first[s][part] = fma(v, e, first[s][part]);
      second[s][part] = fma(w, e, second[s][part]);
    }
  });
  _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) {
    p[s] = sum_of<parts>(first[s]);
    q[s] = sum_of<parts>(second[s]);
    if (Forward) {
      p[s] = p[s] * f.factor[k];
      q[s] = fnma(gram, p[s], q[s]) * f.factor[k + 1];
    } else {
      q[s] = q[s] * f.factor[k + 1];
      p[s] = fnma(gram, q[s], p[s]) * f.factor[k];
    }
    y(k, j + s) = fnma(p[s], x(k, k), y(k, j + s));
  }
  for (std::ptrdiff_t i = k + 1; i < m; ++i) {
    const vec<T> v = x(i, k), w = x(i, k + 1);
    _Pragma("GCC unroll 8") for (int s = 0; s < S; ++s) y(i, j + s) = fnma(q[s], w, fnma(p[s], v, y(i, j + s)));
  }
}

// How many columns are worked on together: what the registers hold.
inline constexpr int strip = vec_parts == 1 ? 6 : 2;

// body.operator()<S, Alone>(j) for strips of S columns that cover from .. to - 1.
template <class Body>
MMLFAST_INLINE void by_strips(std::ptrdiff_t from, std::ptrdiff_t to, Body&& body) {
  if (to - from == 1) return body.template operator()<1, true>(from);
  std::ptrdiff_t j = from;
  if constexpr (strip > 2) {
    for (; j + 6 < to; j += 4) body.template operator()<4, false>(j);
    if (to - j == 6) return body.template operator()<6, false>(j);
    if (to - j == 5) return body.template operator()<5, false>(j);
    if (to - j == 4) return body.template operator()<4, false>(j);
    if (to - j == 3) return body.template operator()<3, false>(j);
  }
  for (; j + 2 <= to; j += 2) body.template operator()<2, false>(j);
  if (j < to) body.template operator()<1, false>(j);
}

template <class T>
MMLFAST_INLINE vec<T> gram_of_pair(const Reflected<T>& f, std::ptrdiff_t k) {
  return dot<0>(f.x, k + 1, k, k + 1);
}

template <bool Forward, class T>
MMLFAST_NOINLINE void apply_pair(const Reflected<T>& f, std::ptrdiff_t k, const vec<T>& gram, const Columns<T>& y,
                                 std::ptrdiff_t from) {
  by_strips(from, y.n, [&]<int S, bool Alone>(std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA {
    apply_two<Forward, S, Alone>(f, k, gram, y, j);
  });
}

template <class T>
MMLFAST_NOINLINE void apply_single(const Reflected<T>& f, std::ptrdiff_t k, const Columns<T>& y, std::ptrdiff_t from) {
  by_strips(from, y.n,
            [&]<int S, bool Alone>(std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA { apply_one<S, 0, Alone>(f, k, y, j); });
}

// Factors f.x; with `rhs`, its columns become Q' times these on the way.
template <bool Care, class T>
MMLFAST_NOINLINE void factor(const Reflected<T>& f, mask<T>& unsafe, const Columns<T>* rhs = nullptr) {
  const std::ptrdiff_t n = f.x.n, count = f.count();
  std::ptrdiff_t k = 0;
  for (; k + 2 <= count; k += 2) {
    make<Care, 0>(f, k, unsafe);
    apply_one<1, 0, true>(f, k, f.x, k + 1);
    make<Care, 0>(f, k + 1, unsafe);
    if (k + 2 == n && rhs == nullptr) continue;
    const vec<T> gram = gram_of_pair(f, k);
    if (k + 2 < n) apply_pair<true>(f, k, gram, f.x, k + 2);
    if (rhs != nullptr) apply_pair<true>(f, k, gram, *rhs, 0);
  }
  if (k < count) {
    make<Care, 0>(f, k, unsafe);
    apply_single(f, k, f.x, k + 1);
    if (rhs != nullptr) apply_single(f, k, *rhs, 0);
    ++k;
  }
  if (k < n && k < f.x.m) f.diagonal[k] = f.x(k, k), f.factor[k] = zero<T>();
}

// The same for sizes known at compile time, one reflection at a time.
template <bool Care, int M, int N, class T>
MMLFAST_INLINE void factor_sized(const Reflected<T>& f, mask<T>& unsafe) {
  constexpr int count = M > N ? N : M - 1;
  _Pragma("GCC unroll 4") for (int k = 0; k < count; ++k) {
    make<Care, M>(f, k, unsafe);
    _Pragma("GCC unroll 4") for (int j = k + 1; j < N; ++j) apply_one<1, M, true>(f, k, f.x, j);
  }
  if constexpr (count < N) f.diagonal[count] = f.x(count, count);
}

// y := Q y (Forward false: the reflections in falling order) for y of m rows.
template <class T>
MMLFAST_INLINE void multiply(const Reflected<T>& f, const Columns<T>& y) {
  std::ptrdiff_t k = f.count();
  if (k % 2 != 0) {
    --k;
    apply_single(f, k, y, 0);
  }
  for (; k > 0; k -= 2) apply_pair<false>(f, k - 2, gram_of_pair(f, k - 2), y, 0);
}

// Column k of H_k: 1 - factor v_k v_k, times the unit vector; the rows above are zero.
template <int M, class T>
MMLFAST_INLINE void unit_column(const Reflected<T>& f, std::ptrdiff_t k, const Columns<T>& y) {
  const std::ptrdiff_t m = M > 0 ? M : f.x.m;
  const vec<T> c = f.factor[k] * f.x(k, k);
  for (std::ptrdiff_t i = 0; i < k; ++i) y(i, k) = zero<T>();
  y(k, k) = fnma(c, f.x(k, k), broadcast<T>(1));
  for (std::ptrdiff_t i = k + 1; i < m; ++i) y(i, k) = -(c * f.x(i, k));
}

// The vectors in x become the first p columns of Q, in place; p <= x.ld.
template <class T>
MMLFAST_NOINLINE void form_q(const Reflected<T>& f, std::ptrdiff_t p) {
  const std::ptrdiff_t m = f.x.m, count = f.count();
  const Columns<T> y{f.x.a, m, p, f.x.ld};
  for (std::ptrdiff_t j = count; j < p; ++j)
    for (std::ptrdiff_t i = 0; i < m; ++i) y(i, j) = broadcast<T>(static_cast<T>(i == j));
  std::ptrdiff_t k = count;
  if (k % 2 != 0) {
    --k;
    apply_single(f, k, y, k + 1);
    unit_column<0>(f, k, y);
  }
  for (; k > 0;) {
    k -= 2;
    if (k + 2 < p) apply_pair<false>(f, k, gram_of_pair(f, k), y, k + 2);
    unit_column<0>(f, k + 1, y);
    apply_one<1, 0, true>(f, k, y, k + 1);
    unit_column<0>(f, k, y);
  }
}

template <int M, int N, class T>
MMLFAST_INLINE void form_q_sized(const Reflected<T>& f) {
  constexpr int count = M > N ? N : M - 1;
  if constexpr (count < N)
    for (int i = 0; i < M; ++i) f.x(i, count) = broadcast<T>(static_cast<T>(i == count));
  _Pragma("GCC unroll 4") for (int k = count - 1; k >= 0; --k) {
    _Pragma("GCC unroll 4") for (int j = k + 1; j < N; ++j) apply_one<1, M, true>(f, k, f.x, j);
    unit_column<M>(f, k, f.x);
  }
}

// ---- items of extreme size ----

// The exponent of the power of two that brings the largest element of each item, `big`, to a size that is safe to work
// at: zero for most. NaN and infinity: zero.
template <class T>
MMLFAST_INLINE vec<T> safe_exponent(const vec<T>& big) {
  vec<T> mantissa, exponent, shrink_mantissa, shrink;
  split_exponent(big, mantissa, exponent);
  split_exponent(broadcast<T>(Range<T>::shrink), shrink_mantissa, shrink);
  const vec<T> up = select(big < broadcast<T>(Range<T>::tiny), -exponent, zero<T>());
  return select(big > broadcast<T>(Range<T>::huge), shrink, up);
}

// The largest absolute value of each item; NaN where there is NaN or infinity.
template <class T>
MMLFAST_NOINLINE vec<T> largest(const Columns<T>& x) {
  vec<T> big = zero<T>(), nothing = zero<T>();
  for (std::ptrdiff_t i = 0; i < x.m; ++i)
    for (std::ptrdiff_t j = 0; j < x.n; ++j) {
      big = max(abs(x(i, j)), big);
      nothing = nothing + (x(i, j) - x(i, j));
    }
  return big + nothing;
}

template <class T>
MMLFAST_NOINLINE void scale(const Columns<T>& x, const vec<T>& exponent) {
  if (all(exponent == zero<T>())) return;
  for (std::ptrdiff_t i = 0; i < x.m; ++i)
    for (std::ptrdiff_t j = 0; j < x.n; ++j) x(i, j) = scale_by_power(x(i, j), exponent);
}

template <class T>
MMLFAST_NOINLINE void blank(const Columns<T>& x, const mask<T>& lanes_to_blank) {
  if (!any(lanes_to_blank)) return;
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan("")));
  for (std::ptrdiff_t i = 0; i < x.m; ++i)
    for (std::ptrdiff_t j = 0; j < x.n; ++j) x(i, j) = select(lanes_to_blank, nan, x(i, j));
}

}  // namespace mmlfast::MMLFAST_LEVEL::reflections
