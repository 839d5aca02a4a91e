// Elimination in lanes for sizes known at compile time, n <= 8: everything unrolled, the matrix in registers as far as
// it fits. The same operations in the same order as in elimination_panels.hpp, hence the same bits.
#pragma once

#include "kernels/common/lanes.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Lanes with a pivot so small or so large that its reciprocal is not a normal number: they divide where the others
// multiply, so that no lane's bits depend on its neighbours.
template <class T>
struct FragileLanes {
  static constexpr T smallest = Format<T>::smallest_normal, largest = static_cast<T>(0.25) / smallest;
  mask<T> lane = no_lanes<T>();
  bool some = false;

  MMLFAST_INLINE void add(const vec<T>& pivot_size) {
    lane = lane | (pivot_size < broadcast<T>(smallest)) | (pivot_size > broadcast<T>(largest));
    some = any(lane);
  }
  MMLFAST_INLINE vec<T> quotient(const vec<T>& x, const vec<T>& pivot, const vec<T>& reciprocal) const {
    const vec<T> product = x * reciprocal;
    if (!some) return product;
    // Nothing but zeros below a pivot of zero: they stay, as in LAPACK.
    return select(lane, x / select(pivot == zero<T>(), broadcast<T>(1), pivot), product);
  }
};

// The factors of one group: a[i][j] holds U on and above the diagonal and the multipliers below it.
template <int N, class T>
struct SmallFactors {
  vec<T> a[N][N], pivot[N], reciprocal[N];
  mask<T> singular;
  FragileLanes<T> fragile;

  MMLFAST_INLINE vec<T> over_pivot(int k, const vec<T>& x) const { return fragile.quotient(x, a[k][k], reciprocal[k]); }
};

// Exchanges row k of c with each lane's pivot row, in columns [from, M).
template <int N, int M, class T>
MMLFAST_INLINE void exchange_rows(const vec<T>& pivot, int k, vec<T> (&c)[N][M], int from) {
  unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
    const mask<T> here = pivot == broadcast<T>(static_cast<T>(i));
    unrolled(from, M, [&](int j) MMLFAST_INLINE_LAMBDA {
      const vec<T> upper = c[k][j], lower = c[i][j];
      c[k][j] = select(here, lower, upper);
      c[i][j] = select(here, upper, lower);
    });
  });
}

template <int N, class T>
MMLFAST_INLINE void factor(SmallFactors<N, T>& f) {
  f.singular = no_lanes<T>();
  unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
    vec<T> best = abs(f.a[k][k]), row = broadcast<T>(static_cast<T>(k));
    unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
      const vec<T> candidate = abs(f.a[i][k]);
      const mask<T> better = candidate > best;
      best = select(better, candidate, best);
      row = select(better, broadcast<T>(static_cast<T>(i)), row);
    });
    f.pivot[k] = row;
    f.singular = f.singular | (best == zero<T>());
    f.fragile.add(best);
    exchange_rows<N, N>(row, k, f.a, k);
    f.reciprocal[k] = broadcast<T>(1) / f.a[k][k];
    unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
      const vec<T> multiplier = f.a[i][k] = f.over_pivot(k, f.a[i][k]);
      unrolled(k + 1, N, [&](int j) MMLFAST_INLINE_LAMBDA { f.a[i][j] = fnma(multiplier, f.a[k][j], f.a[i][j]); });
    });
  });
}

// The same, compiled once for all callers.
template <int N, class T>
MMLFAST_NOINLINE void factor_out_of_line(SmallFactors<N, T>& f) {
  factor(f);
}

// b := A^-1 b
template <int N, int M, class T>
MMLFAST_INLINE void substitute(const SmallFactors<N, T>& f, vec<T> (&b)[N][M]) {
  unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
    exchange_rows<N, M>(f.pivot[k], k, b, 0);
    unrolled(k + 1, N, [&](int i) MMLFAST_INLINE_LAMBDA {
      unrolled(0, M, [&](int j) MMLFAST_INLINE_LAMBDA { b[i][j] = fnma(f.a[i][k], b[k][j], b[i][j]); });
    });
  });
  unrolled(0, N, [&](int from_the_end) MMLFAST_INLINE_LAMBDA {
    const int k = N - 1 - from_the_end;
    unrolled(0, M, [&](int j) MMLFAST_INLINE_LAMBDA { b[k][j] = f.over_pivot(k, b[k][j]); });
    unrolled(0, k, [&](int i) MMLFAST_INLINE_LAMBDA {
      unrolled(0, M, [&](int j) MMLFAST_INLINE_LAMBDA { b[i][j] = fnma(f.a[i][k], b[k][j], b[i][j]); });
    });
  });
}

}  // namespace mmlfast::MMLFAST_LEVEL
