// Symmetric matrices of 2 and 3 rows in lanes, in closed form: straight code without a loop, so that the processor
// works on the next group while the divisions and square roots of this one are under way.
#pragma once

#include "kernels/common/lanes.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// The 2 x 2 matrix (a, b; b, c): values low <= high, and (x, y), the unit vector of `high`; (-y, x) is that of `low`.
template <class T>
struct Pair {
  vec<T> low, high, x, y;
};

// One Jacobi rotation. Numbers below `floor` are taken for zero where they would be squared.
template <class T>
MMLFAST_INLINE Pair<T> solve_pair(const vec<T>& a, const vec<T>& b, const vec<T>& c, const vec<T>& floor) {
  const vec<T> half = broadcast<T>(static_cast<T>(0.5)), one = broadcast<T>(1);
  const vec<T> d = half * (a - c), size = abs(d);
  const vec<T> u = size + sqrt(fma(d, d, b * b));
  const mask<T> turns = (abs(b) > floor) & (u > zero<T>());
  const vec<T> inverse = one / sqrt(fma(u, u, b * b));
  const vec<T> cosine = select(turns, u * inverse, one), sine = select(turns, b * inverse, zero<T>());
  const vec<T> change = select(turns, b * (b / u), zero<T>());
  const mask<T> falling = d >= zero<T>();
  Pair<T> p;
  p.high = select(falling, a, c) + change;
  p.low = select(falling, c, a) - change;
  p.x = select(falling, cosine, sine);
  p.y = select(falling, sine, cosine);
  return p;
}

// The lower triangle of a symmetric 3 x 3 matrix.
template <class T>
struct Symmetric3 {
  vec<T> xx, yx, yy, zx, zy, zz;
};

template <class T>
struct Vector3 {
  vec<T> x, y, z;
};

template <class T>
MMLFAST_INLINE vec<T> dot(const Vector3<T>& a, const Vector3<T>& b) {
  return fma(a.z, b.z, fma(a.y, b.y, a.x * b.x));
}

template <class T>
MMLFAST_INLINE Vector3<T> product(const Symmetric3<T>& a, const Vector3<T>& v) {
  return {fma(a.zx, v.z, fma(a.yx, v.y, a.xx * v.x)), fma(a.zy, v.z, fma(a.yy, v.y, a.yx * v.x)),
          fma(a.zz, v.z, fma(a.zy, v.y, a.zx * v.x))};
}

// a x + b y
template <class T>
MMLFAST_INLINE Vector3<T> combine(const vec<T>& a, const Vector3<T>& x, const vec<T>& b, const Vector3<T>& y) {
  return {fma(b, y.x, a * x.x), fma(b, y.y, a * x.y), fma(b, y.z, a * x.z)};
}

// cos(arccos(x) / 3) for 0 <= x <= 1, the largest root f of 4 f^3 - 3 f = x: a polynomial good to 1e-7, and two steps
// of Newton's method with one slope.
template <class T>
MMLFAST_INLINE vec<T> cosine_of_third(const vec<T>& x) {
  constexpr double coefficient[] = {0.86602549341841172665,   0.16665781361572165123,   -0.047965167041545826733,
                                    0.023734576817026749794,  -0.012443532709859604383, 0.0049955399522559980186,
                                    -0.0010047751198611144259};
  vec<T> f = broadcast<T>(static_cast<T>(coefficient[6]));
  _Pragma("GCC unroll 6") for (int k = 5; k >= 0; --k) f = fma(f, x, broadcast<T>(static_cast<T>(coefficient[k])));
  const vec<T> three = broadcast<T>(3), four = broadcast<T>(4);
  const vec<T> step = broadcast<T>(static_cast<T>(-1.0 / 3)) / fma(four * f, f, -broadcast<T>(1));
  _Pragma("GCC unroll 2") for (int k = 0; k < 2; ++k) f = fma(step, fma(fma(four * f, f, -three), f, -x), f);
  return f;
}

// The eigenvalue of C (trace 0, norm sqrt(6)) that is furthest from the two others: at least sqrt(3) away.
template <class T>
MMLFAST_INLINE vec<T> isolated_value(const Symmetric3<T>& c) {
  const vec<T> minor_x = fma(c.yy, c.zz, -(c.zy * c.zy)), minor_y = fma(c.yx, c.zz, -(c.zy * c.zx)),
               minor_z = fma(c.yx, c.zy, -(c.yy * c.zx));
  const vec<T> half_det = broadcast<T>(static_cast<T>(0.5)) * fma(c.zx, minor_z, fnma(c.yx, minor_y, c.xx * minor_x));
  const vec<T> f = cosine_of_third(min(abs(half_det), broadcast<T>(1)));
  return copysign(f + f, half_det);
}

// The unit vector of the isolated value: the largest column of the adjugate of C - value.
template <class T>
MMLFAST_INLINE Vector3<T> isolated_vector(Symmetric3<T> c, const vec<T>& value) {
  c.xx = c.xx - value;
  c.yy = c.yy - value;
  c.zz = c.zz - value;
  const vec<T> xx = fma(c.yy, c.zz, -(c.zy * c.zy)), yy = fma(c.xx, c.zz, -(c.zx * c.zx)),
               zz = fma(c.xx, c.yy, -(c.yx * c.yx)), yx = fma(c.zx, c.zy, -(c.yx * c.zz)),
               zx = fma(c.yx, c.zy, -(c.zx * c.yy)), zy = fma(c.yx, c.zx, -(c.zy * c.xx));
  const mask<T> second = yy > xx, third = zz > max(xx, yy);
  Vector3<T> w{select(second, yx, xx), select(second, yy, yx), select(second, zy, zx)};
  w = {select(third, zx, w.x), select(third, zy, w.y), select(third, zz, w.z)};
  const vec<T> inverse = broadcast<T>(1) / sqrt(dot(w, w));
  const Vector3<T> v{w.x * inverse, w.y * inverse, w.z * inverse};
  // The length once more: an axis comes out as exactly that.
  const vec<T> excess =
      broadcast<T>(static_cast<T>(0.5)) * fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, -broadcast<T>(1))));
  return {fnma(v.x, excess, v.x), fnma(v.y, excess, v.y), fnma(v.z, excess, v.z)};
}

// Two unit vectors orthogonal to v and to each other: the rest of the reflection that takes v to an axis (Duff et al.,
// Building an Orthonormal Basis, Revisited, 2017).
template <class T>
MMLFAST_INLINE void complete_basis(const Vector3<T>& v, Vector3<T>& first, Vector3<T>& second) {
  const vec<T> one = broadcast<T>(1), sign = copysign(one, v.z);
  const vec<T> a = -one / (sign + v.z), b = v.x * v.y * a;
  first = {fma(sign * v.x, v.x * a, one), sign * b, -(sign * v.x)};
  second = {b, fma(v.y, v.y * a, sign), -v.y};
}

// The eigenvalues in d, ascending, the vector of d[k] in q[k], for matrices whose size is safe to be squared. The
// isolated eigenvalue is found from the characteristic polynomial, where it is well-conditioned; the two others, which
// may be as close as they like, by a Jacobi rotation in the plane orthogonal to its vector.
//
// Source: D. Eberly, A Robust Eigensolver for 3 x 3 Symmetric Matrices, 2014.
template <bool Vectors, class T>
MMLFAST_INLINE void solve_three(const Symmetric3<T>& a, const vec<T>& floor, vec<T>* d, Vector3<T>* q) {
  const vec<T> third = broadcast<T>(static_cast<T>(1.0 / 3)), half_third = broadcast<T>(static_cast<T>(1.0 / 6));
  const vec<T> mean = (a.xx + a.yy + a.zz) * third;
  Symmetric3<T> b{a.xx - mean, a.yx, a.yy - mean, a.zx, a.zy, a.zz - mean};
  const vec<T> off = fma(b.zy, b.zy, fma(b.zx, b.zx, b.yx * b.yx));
  const vec<T> spread = sqrt((fma(b.zz, b.zz, fma(b.yy, b.yy, b.xx * b.xx)) + (off + off)) * half_third);
  const vec<T> scale = select(spread > floor, broadcast<T>(1) / spread, zero<T>());
  const Symmetric3<T> c{b.xx * scale, b.yx * scale, b.yy * scale, b.zx * scale, b.zy * scale, b.zz * scale};
  const vec<T> value = isolated_value(c);
  const Vector3<T> v = isolated_vector(c, value);
  Vector3<T> first, second;
  complete_basis(v, first, second);

  // From here on the matrix is shifted by the mean only where it is nearly a multiple of the identity: there it makes
  // the small differences exact, elsewhere it would spoil small diagonal elements.
  const vec<T> shift = select(spread * broadcast<T>(8) < abs(mean), mean, zero<T>());
  b.xx = a.xx - shift;
  b.yy = a.yy - shift;
  b.zz = a.zz - shift;
  const Vector3<T> b_first = product(b, first), b_second = product(b, second);
  const Pair<T> pair = solve_pair(dot(first, b_first), dot(second, b_first), dot(second, b_second), floor);
  const vec<T> alone = dot(v, product(b, v));
  const mask<T> lowest = value < zero<T>(), turned = pair.high < pair.low;  // where both are below the floor
  const vec<T> smaller = select(turned, pair.high, pair.low), larger = select(turned, pair.low, pair.high);
  d[0] = select(lowest, alone, smaller) + shift;
  d[1] = select(lowest, smaller, larger) + shift;
  d[2] = select(lowest, larger, alone) + shift;
  if constexpr (Vectors) {
    const auto choose = [](const mask<T>& m, const Vector3<T>& yes, const Vector3<T>& no) {
      return Vector3<T>{select(m, yes.x, no.x), select(m, yes.y, no.y), select(m, yes.z, no.z)};
    };
    const Vector3<T> one = combine(pair.x, first, pair.y, second), other = combine(-pair.y, first, pair.x, second);
    const Vector3<T> high = choose(turned, other, one), low = choose(turned, one, other);
    q[0] = choose(lowest, v, low);
    q[1] = choose(lowest, low, high);
    q[2] = choose(lowest, high, v);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
