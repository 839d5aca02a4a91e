// Centring of one column by its own mean, in place, two passes over memory that is in cache. The same operations in the
// same order whatever the SIMD lanes run over: the rows of one column, eight columns, or one column of eight tables.
// (Lanes over rows are 8 sums per column where the others have one.)
#pragma once

#include <cstddef>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

enum class Along { rows, columns, items };

// What the sums run over: `count` vectors, each `step` doubles behind the one before it (8 but along items).
template <Along A, bool Weighted>
struct Run {
  using V = vec<double>;
  using Index = std::ptrdiff_t;

  double* z;
  Index count, step;
  const double* weights;  // one per row; along items one per row and item

  MMLFAST_INLINE double* at(Index i) const { return z + i * (A == Along::items ? step : 8); }
  MMLFAST_INLINE V weight(Index i) const { return A == Along::columns ? broadcast(weights[i]) : load(weights + i * 8); }

  // sum of w * (x - shift), or with Store of the squares in `squares` too, and the differences are stored; rows of
  // weight 0 give 0, whatever they hold.
  template <bool Store>
  MMLFAST_INLINE V sum(const V& shift, V* squares) const {
    if constexpr (!Weighted && vec_parts > 1) return sum_by_parts<Store>(shift, squares);
    V s[4] = {}, q[4] = {};
    Index i = 0;
    for (; i + 4 <= count; i += 4)
      _Pragma("GCC unroll 4") for (int k = 0; k < 4; ++k) add<Store>(i + k, shift, s[k], q[k]);
    for (int k = 0; i + k < count; ++k) add<Store>(i + k, shift, s[k], q[k]);
    if (Store) *squares = across((q[0] + q[1]) + (q[2] + q[3]));
    return across((s[0] + s[1]) + (s[2] + s[3]));
  }

  // The same sums, one register of each vector after the other: all of them stay in registers.
  template <bool Store>
  MMLFAST_INLINE V sum_by_parts(const V& shift, V* squares) const {
    V all, all_squares;
    for (int p = 0; p < vec_parts; ++p) {
      native<double> s[4] = {}, q[4] = {};
      const auto add_part = [&](Index i, int k) {
        double* place = at(i) + p * native_lanes<double>;
        const native<double> x = load_part<double>(place) - shift.part[p];
        s[k] = s[k] + x;
        if constexpr (Store) q[k] = op::fma(x, x, q[k]);
        if constexpr (Store) store_part(place, x);
      };
      Index i = 0;
      for (; i + 4 <= count; i += 4) _Pragma("GCC unroll 4") for (int k = 0; k < 4; ++k) add_part(i + k, k);
      _Pragma("GCC unroll 4") for (int k = 0; k < 4; ++k) if (i + k < count) add_part(i + k, k);
      all.part[p] = (s[0] + s[1]) + (s[2] + s[3]);
      if constexpr (Store) all_squares.part[p] = (q[0] + q[1]) + (q[2] + q[3]);
    }
    if constexpr (Store) *squares = across(all_squares);
    return across(all);
  }

  template <bool Store>
  MMLFAST_INLINE void add(Index i, const V& shift, V& s, V& q) const {
    V x = load(at(i)) - shift;
    if constexpr (Weighted) {
      const V w = weight(i);
      x = select(w == zero<double>(), zero<double>(), x);
      const V wx = w * x;
      s = s + wx;
      if constexpr (Store) q = fma(wx, x, q);
    } else {
      s = s + x;
      if constexpr (Store) q = fma(x, x, q);
    }
    if constexpr (Store) store(at(i), x);
  }

  static MMLFAST_INLINE V across(const V& x) { return A == Along::rows ? broadcast(reduce_add(x)) : x; }

  // x := (x - shift) * sqrt(w)
  MMLFAST_INLINE void finish(const V& shift) const {
    for (Index i = 0; i < count; ++i) {
      V x = load(at(i)) - shift;
      if constexpr (Weighted) {
        const V w = weight(i);
        x = select(w == zero<double>(), zero<double>(), x * sqrt(w));
      }
      store(at(i), x);
    }
  }
};

struct Mean {
  vec<double> hi, lo;
};

// Subtracts the mean, times the square root of the weights. x0: one of the numbers, of positive weight; differences
// from it make the sum of equal numbers exactly 0. fill(value) is told what may stand in the place of rows that do not
// exist.
template <Along A, bool Weighted, class Fill>
MMLFAST_INLINE Mean centre_column(const Run<A, Weighted>& run, const vec<double>& x0, const vec<double>& sum_of_weights,
                                  Fill&& fill) {
  using V = vec<double>;
  V mean = x0 + run.template sum<false>(x0, nullptr) / sum_of_weights;
  const mask<double> good = abs(mean) <= broadcast(__DBL_MAX__);
  if (!all(good)) {  // infinities: let their plain sum decide between infinity and NaN
    fill(0.0);
    mean = select(good, mean, run.template sum<false>(zero<double>(), nullptr) / sum_of_weights);
  }
  fill(mean.part[0][0]);
  V squares;
  const V sum = run.template sum<true>(mean, &squares);
  // What rounding has left out of the mean. It matters if it adds more than 2^-57 to the squares.
  const V rest = select(good, sum / sum_of_weights, zero<double>());
  const mask<double> matters = sum * sum > broadcast(0x1p-57) * sum_of_weights * squares;
  if (Weighted || any(matters)) run.finish(select(matters, rest, zero<double>()));
  fill(0.0);
  return {mean, rest};
}

}  // namespace mmlfast::MMLFAST_LEVEL
