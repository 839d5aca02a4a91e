// Determinants of 2 x 2 and 3 x 3 matrices in lanes by the cofactors of the first column: without pivots, divisions and
// what elimination loses of a product that cancels.
//
// A determinant of 2 x 2 is right to two units in the last place, where neither product leaves the range (Jeannerod,
// Louvet and Muller, Math. Comp. 82 (2013), on Kahan's algorithm). So one of 3 x 3 is that of a matrix whose first
// column differs by 5 u of each entry. Without a fused multiply-add neither is true: 2 x 2 is then within u of the two
// products, which is as good as elimination, and 3 x 3 is left to elimination.
#pragma once

#include "kernels/common/lanes.hpp"

namespace mmlfast::MMLFAST_LEVEL {

#if defined(__FMA__) || defined(__aarch64__)
inline constexpr int most_by_cofactors = 3;
#else
inline constexpr int most_by_cofactors = 2;
#endif

// Numbers of this size, or of the reciprocal one, can be multiplied with each other.
template <class T>
inline constexpr T sqrt_largest = sizeof(T) == 8 ? static_cast<T>(0x1p500) : static_cast<T>(0x1p60);

template <class T, int P>
struct Cofactors {
  vec<T, P> det;
  mask<T, P> usable;   // nothing that matters left the range, and det is not zero
  mask<T, P> regular;  // nor does elimination meet a pivot of zero
};

template <class T, int P>
MMLFAST_INLINE vec<T, P> product_minus_product(const vec<T, P>& a, const vec<T, P>& b, const vec<T, P>& c,
                                               const vec<T, P>& d) {
  const vec<T, P> right = c * d;
  return fma(a, b, -right) + fnma(c, d, right);
}

// The lanes where no pivot can be zero, of a determinant of absolute value `size`. With `largest`, the greatest entry
// of each column, elimination of up to 3 rows gives the factors of a matrix whose entries differ by at most 8 u of
// those (multipliers, products of a rounded reciprocal, are at most 1 + 2 u, what is left of a column grows to 4 times
// its size); its determinant, which is zero if a pivot is, differs by at most 9 x 8 u x 2 times their product, and what
// is computed here by 30 u more: by less than 256 u. Where all is of a middle size, denormal numbers do not matter.
template <int N, class T, int P>
MMLFAST_INLINE mask<T, P> surely_regular(const vec<T, P>& size, const vec<T, P> (&largest)[N]) {
  constexpr T high = sizeof(T) == 8 ? static_cast<T>(0x1p300) : static_cast<T>(0x1p40),
              low = sizeof(T) == 8 ? static_cast<T>(0x1p-300) : static_cast<T>(0x1p-60),
              inverse_error = sizeof(T) == 8 ? static_cast<T>(0x1p45) : static_cast<T>(0x1p16);
  vec<T, P> bound = largest[0] * largest[1], top = max(largest[0], largest[1]);
  if constexpr (N == 3) bound = bound * largest[2], top = max(top, largest[2]);
  return (size * broadcast<T, P>(inverse_error) > bound) & (size > broadcast<T, P>(low)) &
         (top < broadcast<T, P>(high));
}

// a[N * i + j] is element (i, j).
template <int N, class T, int P>
MMLFAST_INLINE Cofactors<T, P> cofactors(const vec<T, P>* a) {
  static_assert(N == 2 || N == 3);
  Cofactors<T, P> r;
  vec<T, P> largest[N];
  _Pragma("GCC unroll 3") for (int j = 0; j < N; ++j) {
    largest[j] = max(abs(a[j]), abs(a[N + j]));
    if constexpr (N == 3) largest[j] = max(largest[j], abs(a[2 * N + j]));
  }
  const vec<T, P> high = broadcast<T, P>(sqrt_largest<T>), low = broadcast<T, P>(1 / sqrt_largest<T>);
  if constexpr (N == 2) {
    r.det = product_minus_product(a[0], a[3], a[1], a[2]);
    const vec<T, P> larger = max(abs(a[0] * a[3]), abs(a[1] * a[2]));
    r.usable = (larger > low) & (larger < high) & (r.det != zero<T, P>());
    r.regular = surely_regular(abs(r.det), largest) & r.usable;
  } else {
    const vec<T, P> first = product_minus_product(a[4], a[8], a[5], a[7]),
                    second = product_minus_product(a[1], a[8], a[2], a[7]),
                    third = product_minus_product(a[1], a[5], a[2], a[4]);
    r.det = fma(a[6], third, fnma(a[3], second, a[0] * first));
    r.usable =
        (largest[0] < high) & (abs(r.det) > low) & (abs(r.det) < broadcast<T, P>(static_cast<T>(__builtin_inf())));
    r.regular = surely_regular(abs(r.det), largest);  // which is usable
  }
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL
