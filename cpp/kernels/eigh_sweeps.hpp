// QL on one tridiagonal matrix. The rotations of its sweeps come one after the other, each waiting for the one before
// it; what they do to the vectors does not, and is done afterwards, by many sweeps at a time, on rows of the vectors
// that stay in the first-level cache meanwhile.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/eigh.hpp"
#include "kernels/eigh_tridiagonal.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
MMLFAST_INLINE T root_of(T x) {
  return sizeof(T) == 8 ? static_cast<T>(__builtin_sqrt(x)) : static_cast<T>(__builtin_sqrtf(static_cast<float>(x)));
}
template <class T>
MMLFAST_INLINE T size_of(T x) {
  return x < 0 ? -x : x;
}

// Wilkinson's shift: the eigenvalue of the block (d, e; e, next) that is nearer to d.
template <class T>
T nearer_eigenvalue(T d, T e, T next) {
  const T delta = (next - d) / 2, root = root_of(fma(delta, delta, e * e));
  return fnma(e, e / (delta < 0 ? delta - root : delta + root), d);
}

// Vectors x and x + step.
template <class T>
MMLFAST_INLINE void turn_two(T cosine, T sine, T* x, std::ptrdiff_t step) {
  const vec<T> c = broadcast<T>(cosine), s = broadcast<T>(sine);
  for (T* const end = x + step; x < end; x += lanes<T>) {
    const vec<T> a = load(x), b = load(x + step);
    store(x + step, fma(s, a, c * b));
    store(x, fnma(s, b, c * a));
  }
}

// One sweep over rows top .. bottom, all coupled: the arithmetic of chase(), in which only `p` waits for a square root.
// Gives its rotations, those of the lower rows first, and turns rows of the vectors, `step` numbers from one to the
// next.
template <class T>
void sweep_rows(T* d, T* e, std::ptrdiff_t top, std::ptrdiff_t bottom, Rotation<T>* rotation, T* z,
                std::ptrdiff_t step) {
  const T shift = nearer_eigenvalue(d[top], e[top], d[top + 1]);
  T p = d[bottom] - shift, cosine = 1, sine = 0;
  for (std::ptrdiff_t i = bottom - 1; i >= top; --i, ++rotation) {
    const T coupling = e[i], here = d[i] - shift;
    const T square = fma(p, p, coupling * coupling), length = root_of(square);
    const T inverse = length * (1 / square);  // the processor works on both at once
    const T g = cosine * coupling, h = cosine * p, q = fnma(coupling, g, p * here);
    const T last_cosine = cosine, last_sine = sine;
    e[i + 1] = sine * length;
    sine = coupling * inverse;
    cosine = p * inverse;
    p = q * inverse;
    d[i + 1] = fma(sine, fma(cosine, g, sine * here), h) + shift;
    *rotation = {cosine, sine};
    // By the rotation before: this one is not known yet. Older instructions come first, and the next rotation must not
    // wait for these.
    if (i + 1 < bottom) turn_two(last_cosine, last_sine, z + (i + 1) * step, step);
  }
  turn_two(cosine, sine, z + top * step, step);
  d[top] = fma(cosine, p, shift);
  e[top] = sine * p;
}

template <class T>
bool sweep_until_full(std::ptrdiff_t n, T* d, T* e, T floor, std::ptrdiff_t& first, Rotations<T>& r, T* z,
                      std::ptrdiff_t vectors) {
  const auto coupled = [&](std::ptrdiff_t i) {
    const T beside = unit_roundoff<T> * (size_of(d[i]) + size_of(d[i + 1])), size = size_of(e[i]);
    return size > beside && size > floor;
  };
  std::ptrdiff_t n_rotations = 0;
  r.n_sweeps = 0;
  for (; first < n - 1; ++first) {
    while (coupled(first)) {
      std::ptrdiff_t bottom = first + 1;
      while (bottom < n - 1 && coupled(bottom)) ++bottom;
      e[bottom] = 0;
      if (r.sweeps_left == 0) return true;
      if (r.n_sweeps == r.most_sweeps || n_rotations + bottom - first > r.most_rotations) return false;
      sweep_rows(d, e, first, bottom, r.rotation + n_rotations, z, vectors * lanes<T>);
      r.sweep[r.n_sweeps++] = {static_cast<std::int32_t>(bottom - 1), static_cast<std::int32_t>(first)};
      n_rotations += bottom - first;
      --r.sweeps_left;
    }
    e[first] = 0;
  }
  return true;
}

template <int Width, class T>
void turn_rows(const Rotations<T>& r, T* z) {
  constexpr std::ptrdiff_t step = Width * lanes<T>;
  const Rotation<T>* rotation = r.rotation;
  for (std::ptrdiff_t k = 0; k < r.n_sweeps; ++k) {
    const auto [from, to] = r.sweep[k];
    T* y = z + (from + 1) * step;
    vec<T> carried[Width];
    _Pragma("GCC unroll 4") for (int j = 0; j < Width; ++j) carried[j] = load(y + j * lanes<T>);
    for (std::ptrdiff_t i = from; i >= to; --i, ++rotation, y -= step) {
      const vec<T> c = broadcast<T>(rotation->cosine), s = broadcast<T>(rotation->sine);
      _Pragma("GCC unroll 4") for (int j = 0; j < Width; ++j) {
        const vec<T> x = load(y - step + j * lanes<T>);
        store(y + j * lanes<T>, fma(s, x, c * carried[j]));
        carried[j] = fnma(s, carried[j], c * x);
      }
    }
    _Pragma("GCC unroll 4") for (int j = 0; j < Width; ++j) store(y + j * lanes<T>, carried[j]);
  }
}

template <class T>
void turn(const Rotations<T>& r, T* z, int vectors) {
  static_assert(most_turned_vectors == 4);
  switch (vectors) {
    case 1:
      return turn_rows<1>(r, z);
    case 2:
      return turn_rows<2>(r, z);
    case 3:
      return turn_rows<3>(r, z);
    default:
      return turn_rows<4>(r, z);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
