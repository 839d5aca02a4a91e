// Rotations that make the columns of a small matrix in lanes orthogonal, one-sided Jacobi: for use inside other
// kernels.
//
// Column p of each item is the vectors g[p * ld .. p * ld + rows - 1]; what follows up to g[p * ld + length - 1] is
// rotated along. On return the columns' lengths are the singular values. Sizes near one are the caller's business:
// squares must neither overflow nor vanish.
//
// Pairs are visited in the order of a round-robin tournament, so that neighbours in time are independent of each other
// and overlap in the processor. A lane in which a pair is orthogonal to working precision does not change.
#pragma once

#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL::jacobi {

inline constexpr int most_sweeps = 40;

// Orthogonalises columns p and q; the lanes that rotated are added to `rotated`.
template <class T>
MMLFAST_INLINE void rotate(vec<T>* p, vec<T>* q, std::ptrdiff_t rows, std::ptrdiff_t length, const vec<T>& tolerance,
                           mask<T>& rotated) {
  vec<T> pp = zero<T>(), qq = zero<T>(), pq = zero<T>();
  for (std::ptrdiff_t i = 0; i < rows; ++i) {
    pp = fma(p[i], p[i], pp);
    qq = fma(q[i], q[i], qq);
    pq = fma(p[i], q[i], pq);
  }
  const mask<T> turn = pq * pq > tolerance * (pp * qq);
  if (!any(turn)) return;
  rotated = rotated | turn;
  // tan of the angle, the smaller of the two: t = 2 pq / (d + sign(d) sqrt(d^2 + 4 pq^2))
  const vec<T> d = qq - pp, twice = pq + pq, one = broadcast<T>(1);
  const vec<T> root = sqrt(fma(d, d, twice * twice));
  const vec<T> t = twice / (d + copysign(root, d));
  const vec<T> c = one / sqrt(fma(t, t, one)), s = c * t;
  for (std::ptrdiff_t i = 0; i < length; ++i) {
    const vec<T> x = p[i], y = q[i];
    p[i] = select(turn, fnma(s, y, c * x), x);
    q[i] = select(turn, fma(s, x, c * y), y);
  }
}

// True in lanes whose columns are not orthogonal after all sweeps.
template <class T>
mask<T> orthogonalise(vec<T>* g, std::ptrdiff_t columns, std::ptrdiff_t rows, std::ptrdiff_t length,
                      std::ptrdiff_t ld) {
  const T unit = sizeof(T) == 8 ? static_cast<T>(0x1p-53) : static_cast<T>(0x1p-24);
  const T relative = unit * static_cast<T>(columns);
  const vec<T> tolerance = broadcast<T>(relative * relative);
  const std::ptrdiff_t players = columns + columns % 2, around = players - 1;
  mask<T> rotated = no_lanes<T>();
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    rotated = no_lanes<T>();
    for (std::ptrdiff_t round = 0; round < around; ++round) {
      for (std::ptrdiff_t k = 0; k < players / 2; ++k) {
        // Player `around` stays, the others go round.
        std::ptrdiff_t p = (round + k) % around, q = k == 0 ? around : (round + around - k) % around;
        if (p > q) {
          const std::ptrdiff_t other = p;
          p = q;
          q = other;
        }
        if (q < columns) rotate(g + p * ld, g + q * ld, rows, length, tolerance, rotated);
      }
    }
    if (!any(rotated)) break;
  }
  return rotated;
}

}  // namespace mmlfast::MMLFAST_LEVEL::jacobi
