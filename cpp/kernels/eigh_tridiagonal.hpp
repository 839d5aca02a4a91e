// The steps of eigh in lanes: reduction to tridiagonal form by reflections, and implicit QL on that form.
//
// The matrix of a group is a[i * ld + j], element (i, j) of every lane; only i >= j is used. The vectors are q[k * ld +
// i], component i of vector k, so that a rotation of two vectors works on two runs of memory.
#pragma once

#include "kernels/lanes.hpp"
#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
struct Tridiagonal {
  std::ptrdiff_t n;
  vec<T>* d;  // n: the diagonal
  vec<T>* e;  // n: e[i] couples i and i + 1; e[n - 1] is unused
  vec<T>* q;  // n x n vectors, or nullptr
  std::ptrdiff_t ld;
  vec<T>*cosine, *sine;  // n: the rotations of a sweep
  mask<T>* coupled;      // n: whether e[i] counts
  mask<T>* block;        // n: scratch of the QL sweeps
};

// Negligible beside its two neighbours on the diagonal, or so small beside the whole matrix that its square would
// leave the range.
template <class T>
inline constexpr T relative_floor = sizeof(T) == 8 ? static_cast<T>(0x1p-120) : static_cast<T>(0x1p-50);

template <class T>
inline constexpr T unit_roundoff = sizeof(T) == 8 ? static_cast<T>(0x1p-53) : static_cast<T>(0x1p-24);

// What a sweep starts from, lane by lane: the topmost block of rows that is still coupled.
template <class T>
struct Block {
  vec<T> first_d, first_e, second_d, last_d;
  mask<T> live;             // lanes with such a block
  std::uint64_t rotations;  // bit i: rotation i belongs to the block of some lane
};

// Decides whether rows i and i + 1 are still coupled, and makes e[i] zero where they are not.
template <class T>
MMLFAST_INLINE void find_coupling(const Tridiagonal<T>& t, const vec<T>& floor, std::ptrdiff_t i) {
  const vec<T> small = max(broadcast<T>(unit_roundoff<T>) * (abs(t.d[i]) + abs(t.d[i + 1])), floor);
  const mask<T> coupled = abs(t.e[i]) > small;
  t.e[i] = select(coupled, t.e[i], zero<T>());
  t.coupled[i] = coupled;
}

// Finds the topmost unreduced block of each lane: block[i] is true where rotation i, of rows i and i + 1, belongs to
// it. Nothing is coupled above row `top`.
template <class T>
MMLFAST_INLINE Block<T> find_blocks(const Tridiagonal<T>& t, std::ptrdiff_t top) {
  Block<T> b{zero<T>(), broadcast<T>(1), zero<T>(), zero<T>(), no_lanes<T>(), 0};
  mask<T> inside = no_lanes<T>();
  for (std::ptrdiff_t i = top; i < t.n - 1; ++i) {
    const mask<T> coupled = t.coupled[i], begins = coupled & ~b.live;
    b.first_d = select(begins, t.d[i], b.first_d);
    b.first_e = select(begins, t.e[i], b.first_e);
    b.second_d = select(begins, t.d[i + 1], b.second_d);
    b.live = b.live | coupled;
    inside = begins | (inside & coupled);
    b.last_d = select(inside, t.d[i + 1], b.last_d);
    t.block[i] = inside;
    b.rotations |= static_cast<std::uint64_t>(any(inside)) << i;
  }
  return b;
}

// Columns k .. k + Width - 1 of the vectors through the rotations from .. to of a sweep: (x, y) := (c x - s y, s x + c
// y) for the vectors i and i + 1. What goes from one rotation to the next stays in registers.
template <int Width, class T>
MMLFAST_INLINE void rotate_columns(const Tridiagonal<T>& t, std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t k) {
  vec<T>* y = t.q + (from + 1) * t.ld + k;
  vec<T> carried[Width];
  _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) carried[j] = y[j];
  for (std::ptrdiff_t i = from; i >= to; --i, y -= t.ld) {
    const vec<T>* x = y - t.ld;
    const vec<T> c = t.cosine[i], s = t.sine[i];
    _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) {
      const vec<T> xj = x[j];
      y[j] = fma(s, xj, c * carried[j]);
      carried[j] = fnma(s, carried[j], c * xj);
    }
  }
  _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) y[j] = carried[j];
}

template <class T>
MMLFAST_INLINE void rotate_vectors(const Tridiagonal<T>& t, std::ptrdiff_t from, std::ptrdiff_t to) {
  constexpr int width = vec_parts == 1 ? 8 : 4;
  std::ptrdiff_t k = 0;
  for (; k + width <= t.n; k += width) rotate_columns<width>(t, from, to, k);
  if (k + 4 <= t.n) {
    rotate_columns<4>(t, from, to, k);
    k += 4;
  }
  if (k + 2 <= t.n) {
    rotate_columns<2>(t, from, to, k);
    k += 2;
  }
  if (k < t.n) rotate_columns<1>(t, from, to, k);
}

// Where a sweep stands, lane by lane.
template <class T>
struct Chase {
  vec<T> start, s, c, p, g;

  Chase() = default;
  // Wilkinson's shift: the eigenvalue of the top 2 x 2 of the block that is nearer to its corner.
  MMLFAST_INLINE explicit Chase(const Block<T>& b) {
    const vec<T> delta = broadcast<T>(static_cast<T>(0.5)) * (b.second_d - b.first_d);
    const vec<T> root = sqrt(fma(delta, delta, b.first_e * b.first_e));
    const vec<T> w = select(delta < zero<T>(), delta - root, delta + root);
    start = (b.last_d - b.first_d) + b.first_e * (b.first_e / w);
    s = c = p = g = zero<T>();
  }
};

// Rotation i of an implicit QL sweep.
template <bool Vectors, class T>
MMLFAST_INLINE void chase(const Tridiagonal<T>& t, Chase<T>& x, std::ptrdiff_t i) {
  const vec<T> one = broadcast<T>(1);
  const mask<T> inside = t.block[i], above = t.block[i + 1], begins = inside & ~above;
  x.s = select(begins, one, x.s);
  x.c = select(begins, one, x.c);
  x.p = select(begins, zero<T>(), x.p);
  x.g = select(begins, x.start, x.g);
  const vec<T> f = x.s * t.e[i], coupling = x.c * t.e[i];
  const vec<T> r = sqrt(fma(x.g, x.g, f * f));
  t.e[i + 1] = select(inside & above, r, t.e[i + 1]);
  // r = 0 is a fresh split: the rest of the sweep turns nothing there.
  const mask<T> turns = inside & (r > zero<T>());
  const vec<T> inverse = one / r;
  x.s = select(turns, f * inverse, zero<T>());
  x.c = select(turns, x.g * inverse, one);
  const vec<T> base = t.d[i + 1] - x.p;
  const vec<T> twice = fma(x.c + x.c, coupling, (t.d[i] - base) * x.s);
  x.p = x.s * twice;
  t.d[i + 1] = select(inside, base + x.p, t.d[i + 1]);
  x.g = fma(x.c, twice, -coupling);
  mask<T> ends = inside;
  if (i > 0) ends = ends & ~t.block[i - 1];
  t.d[i] = select(ends, t.d[i] - x.p, t.d[i]);
  // The shift of a block of two rows is its eigenvalue: what is left is rounding error.
  t.e[i] = select(ends, select(begins, zero<T>(), x.g), t.e[i]);
  if constexpr (Vectors) {
    t.cosine[i] = x.c;
    t.sine[i] = x.s;
  }
}

// Sweeps until all lanes of all groups are diagonal; unconverged[k] are the lanes of group k that did not get there.
// Several groups at once, since each step waits for the one before it.
template <bool Vectors, int Groups, class T>
MMLFAST_INLINE void diagonalize(const Tridiagonal<T> (&t)[Groups], const vec<T> (&floor)[Groups],
                                mask<T> (&unconverged)[Groups]) {
  const std::ptrdiff_t n = t[0].n;
  std::ptrdiff_t from[Groups], to[Groups];
  _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
    to[k] = 0;
    t[k].block[n - 1] = no_lanes<T>();
    for (std::ptrdiff_t i = 0; i < n - 1; ++i) find_coupling(t[k], floor[k], i);
  }
  for (std::ptrdiff_t sweeps = 0; sweeps < 30 * n; ++sweeps) {
    std::ptrdiff_t first = -1, last = n;
    Chase<T> x[Groups];
    _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
      const Block<T> b = find_blocks(t[k], to[k]);
      x[k] = Chase<T>(b);
      unconverged[k] = b.live;
      from[k] = b.rotations == 0 ? -1 : 63 - __builtin_clzll(b.rotations);
      to[k] = b.rotations == 0 ? n : __builtin_ctzll(b.rotations);
      first = from[k] > first ? from[k] : first;
      last = to[k] < last ? to[k] : last;
    }
    if (first < 0) return;
    for (std::ptrdiff_t i = first; i >= last; --i) _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
        if (i > from[k] || i < to[k]) continue;
        chase<Vectors>(t[k], x[k], i);
        // The rows below are done: what becomes of the next sweep can be seen while this one goes on.
        if (i < from[k]) find_coupling(t[k], floor[k], i + 1);
      }
    _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) if (to[k] < n) {
      find_coupling(t[k], floor[k], to[k]);
      if constexpr (Vectors) rotate_vectors(t[k], from[k], to[k]);
    }
  }
}

// Exchanges i and j where they are out of order.
template <bool Vectors, class T>
MMLFAST_INLINE void put_in_order(const Tridiagonal<T>& t, std::ptrdiff_t i, std::ptrdiff_t j) {
  const std::ptrdiff_t n = t.n;
  const vec<T> low = t.d[i], high = t.d[j];
  const mask<T> wrong = high < low;
  if (!any(wrong)) return;
  t.d[i] = select(wrong, high, low);
  t.d[j] = select(wrong, low, high);
  if constexpr (Vectors) {
    vec<T>*x = t.q + i * t.ld, *y = t.q + j * t.ld;
    for (std::ptrdiff_t k = 0; k < n; ++k) {
      const vec<T> xk = x[k], yk = y[k];
      x[k] = select(wrong, yk, xk);
      y[k] = select(wrong, xk, yk);
    }
  }
}

// Ascending, by Batcher's network of exchanges (Knuth, The Art of Computer Programming, vol. 3, algorithm 5.2.2M).
template <bool Vectors, class T>
MMLFAST_INLINE void sort(const Tridiagonal<T>& t) {
  std::ptrdiff_t top = 1;
  while (2 * top < t.n) top *= 2;
  for (std::ptrdiff_t p = top; p > 0; p /= 2) {
    std::ptrdiff_t q = top, r = 0, distance = p;
    for (;;) {
      for (std::ptrdiff_t i = 0; i + distance < t.n; ++i)
        if ((i & p) == r) put_in_order<Vectors>(t, i, i + distance);
      if (q == p) break;
      distance = q - p;
      q /= 2;
      r = p;
    }
  }
}

// A reflection H = 1 - tau v v' with v[0] = 1 that takes x (count elements, `step` apart) to (beta, 0, ...): v and beta
// overwrite x[0] := beta, x[i] := v[i]. A lane whose x is that already has tau = 0.
template <class T>
MMLFAST_INLINE vec<T> make_reflection(vec<T>* x, std::ptrdiff_t step, std::ptrdiff_t count, const vec<T>& floor) {
  vec<T> below = zero<T>();
  for (std::ptrdiff_t i = 1; i < count; ++i) below = fma(x[i * step], x[i * step], below);
  // What is too small to be squared is dropped: it is far below the rounding errors of the whole matrix.
  const mask<T> works = below > floor * floor;
  const vec<T> alpha = x[0], norm = sqrt(fma(alpha, alpha, below));
  const vec<T> beta = select(alpha < zero<T>(), norm, -norm);
  const vec<T> difference = alpha - beta;
  const vec<T> inverse = select(works, broadcast<T>(1) / difference, zero<T>());
  for (std::ptrdiff_t i = 1; i < count; ++i) x[i * step] = x[i * step] * inverse;
  x[0] = select(works, beta, alpha);
  return select(works, -difference / beta, zero<T>());
}

// Rows i .. i + Rows - 1 of the product of a symmetric matrix (lower triangle, m x m) with v, and what they add to the
// rows above them.
template <int Rows, class T>
MMLFAST_INLINE void multiply_rows(const vec<T>* row, std::ptrdiff_t ld, std::ptrdiff_t i, const vec<T>* v, vec<T>* w) {
  vec<T> sum[Rows], factor[Rows];
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    sum[r] = zero<T>();
    factor[r] = v[i + r];
  }
  for (std::ptrdiff_t j = 0; j < i; ++j) {
    vec<T> above = w[j];
    const vec<T> vj = v[j];
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      const vec<T> x = row[r * ld + j];
      sum[r] = fma(x, vj, sum[r]);
      above = fma(x, factor[r], above);
    }
    w[j] = above;
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    _Pragma("GCC unroll 4") for (int c = 0; c < Rows; ++c) {
      const vec<T> x = r < c ? row[c * ld + i + r] : row[r * ld + i + c];
      sum[r] = fma(x, factor[c], sum[r]);
    }
    w[i + r] = sum[r];
  }
}

template <class T>
MMLFAST_INLINE void multiply(const vec<T>* a, std::ptrdiff_t ld, std::ptrdiff_t m, const vec<T>* v, vec<T>* w) {
  std::ptrdiff_t i = 0;
  for (; i + 4 <= m; i += 4) multiply_rows<4>(a + i * ld, ld, i, v, w);
  for (; i < m; ++i) multiply_rows<1>(a + i * ld, ld, i, v, w);
}

// Rows i .. i + Rows - 1 of the lower triangle of A - v w' - w v'. A few elements right of the diagonal are changed
// too.
template <int Rows, class T>
MMLFAST_INLINE void subtract_products(vec<T>* row, std::ptrdiff_t ld, std::ptrdiff_t i, const vec<T>* v,
                                      const vec<T>* w) {
  vec<T> vi[Rows], wi[Rows];
  _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
    vi[r] = v[i + r];
    wi[r] = w[i + r];
  }
  for (std::ptrdiff_t j = 0; j < i + Rows; ++j) {
    const vec<T> vj = v[j], wj = w[j];
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      vec<T>& x = row[r * ld + j];
      x = fnma(wi[r], vj, fnma(vi[r], wj, x));
    }
  }
}

// Reduces a (lower triangle) to tridiagonal form. The reflections' vectors stay in the columns of a, below the
// subdiagonal; t.e has room for the products. w: n vectors of scratch.
template <class T>
MMLFAST_INLINE void tridiagonalize(const Tridiagonal<T>& t, vec<T>* a, vec<T>* tau, vec<T>* w, const vec<T>& floor) {
  const std::ptrdiff_t n = t.n, ld = t.ld;
  for (std::ptrdiff_t k = 0; k < n - 2; ++k) {
    const std::ptrdiff_t m = n - k - 1;
    vec<T>*column = a + (k + 1) * ld + k, *rest = a + (k + 1) * ld + (k + 1);
    const vec<T> factor = make_reflection(column, ld, m, floor);
    t.d[k] = a[k * ld + k];
    t.e[k] = column[0];
    tau[k] = factor;
    vec<T>* v = t.e + k + 1;  // not yet in use, m elements
    v[0] = broadcast<T>(1);
    for (std::ptrdiff_t i = 1; i < m; ++i) v[i] = column[i * ld];
    // w = tau A v - (tau / 2) (tau v' A v) v
    multiply(rest, ld, m, v, w);
    vec<T> dot = zero<T>();
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      w[i] = factor * w[i];
      dot = fma(w[i], v[i], dot);
    }
    dot = dot * factor * broadcast<T>(static_cast<T>(0.5));
    for (std::ptrdiff_t i = 0; i < m; ++i) w[i] = fnma(dot, v[i], w[i]);
    std::ptrdiff_t i = 0;
    for (; i + 4 <= m; i += 4) subtract_products<4>(rest + i * ld, ld, i, v, w);
    for (; i < m; ++i) subtract_products<1>(rest + i * ld, ld, i, v, w);
  }
  if (n > 1) {
    t.d[n - 2] = a[(n - 2) * ld + n - 2];
    t.e[n - 2] = a[(n - 1) * ld + n - 2];
  }
  t.d[n - 1] = a[(n - 1) * ld + n - 1];
  t.e[n - 1] = zero<T>();
}

// x := (1 - tau v v') x for Count vectors of m elements.
template <int Count, class T>
MMLFAST_INLINE void reflect(vec<T>* x, std::ptrdiff_t ld, std::ptrdiff_t m, const vec<T>* v, const vec<T>& tau) {
  vec<T> dot[Count];
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = zero<T>();
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    const vec<T> vi = v[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = fma(vi, x[r * ld + i], dot[r]);
  }
  _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) dot[r] = dot[r] * tau;
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    const vec<T> vi = v[i];
    _Pragma("GCC unroll 4") for (int r = 0; r < Count; ++r) x[r * ld + i] = fnma(dot[r], vi, x[r * ld + i]);
  }
}

// q := the product of the reflections.
template <class T>
MMLFAST_INLINE void form_vectors(const Tridiagonal<T>& t, const vec<T>* a, const vec<T>* tau, vec<T>* v) {
  const std::ptrdiff_t n = t.n, ld = t.ld;
  for (std::ptrdiff_t k = 0; k < n; ++k)
    for (std::ptrdiff_t i = 0; i < n; ++i) t.q[k * ld + i] = broadcast<T>(static_cast<T>(i == k));
  for (std::ptrdiff_t k = n - 3; k >= 0; --k) {
    const std::ptrdiff_t m = n - k - 1;
    v[0] = broadcast<T>(1);
    for (std::ptrdiff_t i = 1; i < m; ++i) v[i] = a[(k + 1 + i) * ld + k];
    std::ptrdiff_t j = 0;
    for (; j + 4 <= m; j += 4) reflect<4>(t.q + (k + 1 + j) * ld + k + 1, ld, m, v, tau[k]);
    for (; j < m; ++j) reflect<1>(t.q + (k + 1 + j) * ld + k + 1, ld, m, v, tau[k]);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
