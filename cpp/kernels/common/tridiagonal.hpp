// QL in lanes on symmetric tridiagonal matrices, and the order of what it finds; and one reflection.
//
// A group has the diagonal d, the couplings e and, if they are wanted, the vectors q[k * ld + i], component i of vector
// k, so that a rotation of two vectors works on two runs of memory. Explicit shifts, Wilkinson's for the topmost block
// of each lane; a lane that is done turns nothing any more. Sources: see eigh.hpp.
#pragma once

#include "kernels/common/lanes.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
struct Tridiagonal {
  std::ptrdiff_t n;
  vec<T>* d;  // n: the diagonal
  vec<T>* e;  // n: e[i] couples i and i + 1; e[n - 1] is unused
  vec<T>* q;  // n x n vectors, or nullptr
  std::ptrdiff_t ld;
  vec<T>*cosine, *sine;  // n: the rotations of a sweep
};

// Negligible beside its two neighbours on the diagonal, or so small beside the whole matrix that its square would
// leave the range.
template <class T>
inline constexpr T relative_floor = sizeof(T) == 8 ? static_cast<T>(0x1p-120) : static_cast<T>(0x1p-50);

template <class T>
inline constexpr T unit_roundoff = sizeof(T) == 8 ? static_cast<T>(0x1p-53) : static_cast<T>(0x1p-24);

// The topmost two rows of each lane that are still coupled: what a sweep takes its shift from.
template <class T>
struct Top {
  vec<T> d = zero<T>(), e = broadcast<T>(1), next_d = zero<T>();

  // Looks for them from row `first` on, and makes the couplings above them zero: they are negligible. `idle` are the
  // lanes that have none left; nothing below the topmost two rows has to be looked at, and most lanes are found at
  // once.
  MMLFAST_INLINE Top(const Tridiagonal<T>& t, const vec<T>& floor, std::ptrdiff_t first, mask<T>& idle) {
    mask<T> found = idle;
    for (std::ptrdiff_t i = first; i < t.n - 1 && !all(found); ++i) {
      const vec<T> here = t.d[i], next = t.d[i + 1];
      const vec<T> small = max(broadcast<T>(unit_roundoff<T>) * (abs(here) + abs(next)), floor);
      const mask<T> these = (abs(t.e[i]) > small) & ~found;
      t.e[i] = select(found | these, t.e[i], zero<T>());
      d = select(these, here, d);
      e = select(these, t.e[i], e);
      next_d = select(these, next, next_d);
      found = found | these;
    }
    idle = idle | ~found;
  }

  // Wilkinson's shift: the eigenvalue of these two rows that is nearer to the first of them.
  MMLFAST_INLINE vec<T> shift() const {
    const vec<T> delta = broadcast<T>(static_cast<T>(0.5)) * (next_d - d);
    const vec<T> root = sqrt(fma(delta, delta, e * e));
    const vec<T> w = select(delta < zero<T>(), delta - root, delta + root);
    return fnma(e, e / w, d);
  }
};

// The rows of a group in which some lane still has work: couplings first .. last, none if first > last.
struct Range {
  std::ptrdiff_t first, last;

  template <class T>
  MMLFAST_INLINE void shrink(const vec<T>* e) {
    while (first <= last && !any(e[last] != zero<T>())) --last;
    while (first <= last && !any(e[first] != zero<T>())) ++first;
  }
};

// Columns k .. k + Width - 1 of the vectors through the rotations from .. to of a sweep: (x, y) := (c x - s y, s x + c
// y) for the vectors i and i + 1. What goes from one rotation to the next stays in registers.
template <int Width, class T>
MMLFAST_INLINE void rotate_columns(const vec<T>* cosine, const vec<T>* sine, std::ptrdiff_t from, std::ptrdiff_t to,
                                   vec<T>* q, std::ptrdiff_t ld, std::ptrdiff_t k) {
  vec<T>* y = q + (from + 1) * ld + k;
  vec<T> carried[Width];
  _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) carried[j] = y[j];
  for (std::ptrdiff_t i = from; i >= to; --i, y -= ld) {
    const vec<T>* x = y - ld;
    const vec<T> c = cosine[i], s = sine[i];
    _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) {
      const vec<T> xj = x[j];
      y[j] = fma(s, xj, c * carried[j]);
      carried[j] = fnma(s, carried[j], c * xj);
    }
  }
  _Pragma("GCC unroll 8") for (int j = 0; j < Width; ++j) y[j] = carried[j];
}

// All n columns. Inlined: where n is small, a call and what it makes the sweep save cost several per cent.
template <class T>
MMLFAST_INLINE void rotate_vectors(const vec<T>* cosine, const vec<T>* sine, std::ptrdiff_t from, std::ptrdiff_t to,
                                   vec<T>* q, std::ptrdiff_t ld, std::ptrdiff_t n) {
  constexpr int width = vec_parts == 1 ? 8 : 4;
  std::ptrdiff_t k = 0;
  for (; k + width <= n; k += width) rotate_columns<width>(cosine, sine, from, to, q, ld, k);
  if (k + 4 <= n) {
    rotate_columns<4>(cosine, sine, from, to, q, ld, k);
    k += 4;
  }
  if (k + 2 <= n) {
    rotate_columns<2>(cosine, sine, from, to, q, ld, k);
    k += 2;
  }
  if (k < n) rotate_columns<1>(cosine, sine, from, to, q, ld, k);
}

// Where a sweep stands, lane by lane.
template <class T>
struct Chase {
  vec<T> shift, p, c, s;

  Chase() = default;
  MMLFAST_INLINE Chase(const Top<T>& top, const vec<T>& last_d)
      : shift(top.shift()), p(last_d - shift), c(broadcast<T>(1)), s(zero<T>()) {}
};

// Rotation i of a QL sweep with an explicit shift. The sweep goes through all rows of the lane that are coupled, those
// below its topmost block too; where rows are not coupled it starts afresh by itself, and rows on their own it leaves
// as they are, to the last bit. So it does not matter at which row below all coupled ones the lanes set out together.
// Couplings up to `floor`, whose squares would leave the range, are none.
template <bool Vectors, class T>
MMLFAST_INLINE void chase(const Tridiagonal<T>& t, Chase<T>& x, const vec<T>& floor, std::ptrdiff_t i) {
  const vec<T> one = broadcast<T>(1), e = t.e[i], d = t.d[i] - x.shift;
  const mask<T> coupled = abs(e) > floor, below = x.s != zero<T>();
  const vec<T> square = fma(x.p, x.p, e * e), r = sqrt(square);
  const vec<T> inverse = r * (one / square);  // the processor works on both at once
  const vec<T> g = x.c * e, h = x.c * x.p, q = fnma(e, g, x.p * d);
  t.e[i + 1] = x.s * select(coupled, r, x.p);
  x.s = select(coupled, e * inverse, zero<T>());
  x.c = select(coupled, x.p * inverse, one);
  x.p = select(coupled, q * inverse, d);
  const vec<T> turned = fma(x.s, fma(x.c, g, x.s * d), h) + x.shift;
  t.d[i + 1] = select(coupled, turned, select(below, turned, t.d[i + 1]));
  if constexpr (Vectors) {
    t.cosine[i] = x.c;
    t.sine[i] = x.s;
  }
}

// The first row of a sweep: what the next rotation would do to it if it were none, to the last bit.
template <class T>
MMLFAST_INLINE void finish(const Tridiagonal<T>& t, const Chase<T>& x, std::ptrdiff_t i) {
  t.d[i] = select(x.s != zero<T>(), x.c * x.p + x.shift, t.d[i]);
  t.e[i] = x.s * x.p;
}

// Sweeps until all lanes of all groups are diagonal; unconverged[k] are the lanes of group k that did not get there.
// Several groups at once, since each step waits for the one before it.
template <bool Vectors, int Groups, class T>
MMLFAST_INLINE void diagonalize(const Tridiagonal<T> (&t)[Groups], const vec<T> (&floor)[Groups],
                                mask<T> (&unconverged)[Groups]) {
  const std::ptrdiff_t n = t[0].n;
  mask<T> idle[Groups];
  Range rows[Groups];
  _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
    idle[k] = no_lanes<T>();
    rows[k] = {0, n - 2};
  }
  for (std::ptrdiff_t sweeps = 0; sweeps < 30 * n; ++sweeps) {
    std::ptrdiff_t first = n, last = -1;
    Chase<T> x[Groups];
    _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
      const Top<T> top(t[k], floor[k], rows[k].first, idle[k]);
      rows[k].shrink(t[k].e);
      x[k] = Chase<T>(top, t[k].d[rows[k].last + 1]);
      if (rows[k].first > rows[k].last) continue;
      first = rows[k].first < first ? rows[k].first : first;
      last = rows[k].last > last ? rows[k].last : last;
    }
    if (first > last) return;
    for (std::ptrdiff_t i = last; i >= first; --i) _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
        if (Groups > 1 && (i > rows[k].last || i < rows[k].first)) continue;
        chase<Vectors>(t[k], x[k], floor[k], i);
      }
    _Pragma("GCC unroll 2") for (int k = 0; k < Groups; ++k) {
      if (rows[k].first > rows[k].last) continue;
      finish(t[k], x[k], rows[k].first);
      if constexpr (Vectors) rotate_vectors(t[k].cosine, t[k].sine, rows[k].last, rows[k].first, t[k].q, t[k].ld, n);
    }
  }
  for (int k = 0; k < Groups; ++k)
    for (std::ptrdiff_t i = 0; i < n - 1; ++i) unconverged[k] = unconverged[k] | (t[k].e[i] != zero<T>());
}

// Exchanges i and j where they are out of order.
template <bool Vectors, class T>
MMLFAST_INLINE void put_in_order(std::ptrdiff_t n, vec<T>* d, vec<T>* q, std::ptrdiff_t ld, std::ptrdiff_t i,
                                 std::ptrdiff_t j) {
  const vec<T> low = d[i], high = d[j];
  const mask<T> wrong = high < low;
  if (!any(wrong)) return;
  d[i] = select(wrong, high, low);
  d[j] = select(wrong, low, high);
  if constexpr (Vectors) {
    vec<T>*x = q + i * ld, *y = q + j * ld;
    for (std::ptrdiff_t k = 0; k < n; ++k) {
      const vec<T> xk = x[k], yk = y[k];
      x[k] = select(wrong, yk, xk);
      y[k] = select(wrong, xk, yk);
    }
  }
}

// Ascending, by Batcher's network of exchanges (Knuth, The Art of Computer Programming, vol. 3, algorithm 5.2.2M).
template <bool Vectors, class T>
MMLFAST_NOINLINE void sort(std::ptrdiff_t n, vec<T>* d, vec<T>* vectors, std::ptrdiff_t ld) {
  std::ptrdiff_t top = 1;
  while (2 * top < n) top *= 2;
  for (std::ptrdiff_t p = top; p > 0; p /= 2) {
    std::ptrdiff_t q = top, r = 0, distance = p;
    for (;;) {
      for (std::ptrdiff_t i = 0; i + distance < n; ++i)
        if ((i & p) == r) put_in_order<Vectors>(n, d, vectors, ld, i, i + distance);
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

}  // namespace mmlfast::MMLFAST_LEVEL
