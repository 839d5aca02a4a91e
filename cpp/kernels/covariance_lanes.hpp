// Moments of eight small tables at a time, one in each lane. A table is packed into scratch memory, which holds it in
// cache; each column is centred there, and pairs of columns are multiplied, tile by tile of m2, in chains over the
// rows.
#pragma once

#include "kernels/common/lanes.hpp"
#include "kernels/covariance.hpp"
#include "kernels/covariance_centre.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace in_lanes {

using V = vec<double>;
using N = native<double>;
using Index = std::ptrdiff_t;

// Eight tables in lanes: element (r, j) is vector r * ld + j.
struct Tables {
  Index n, d, ld;
  V* z;
  const double* weights;  // n vectors, or null
  V total;                // of the weights
  V *m2, *hi, *lo, *out;

  template <class T>
  MMLFAST_INLINE Tables(const T* const* item, const Layout& layout, const double* const* w, Index w_stride,
                        double* scratch)
      : n(layout.rows),
        d(layout.cols),
        ld(covariance_lanes_row(layout.cols)),
        z(reinterpret_cast<V*>(scratch)),
        weights(nullptr) {
    pack(item, layout, z, ld, 1);
    V* next = z + n * ld;
    total = broadcast(static_cast<double>(n));
    if (w != nullptr) {
      pack(w, Layout{n, 1, w_stride, 1}, next, 1, 1);
      weights = reinterpret_cast<const double*>(next);
      total = zero<double>();
      for (Index r = 0; r < n; ++r) total = total + next[r];
      next += n;
    }
    m2 = next;
    hi = m2 + d * (d + 1) / 2;
    lo = hi + d;
    out = lo + d;
    if (n == 0) zeros();
  }

  void zeros() {
    for (Index k = 0; k < d * (d + 1) / 2 + 2 * d; ++k) m2[k] = zero<double>();
  }

  // Column j of the first row of positive weight.
  MMLFAST_INLINE V reference(Index j) const {
    V x = z[(n - 1) * ld + j];
    for (Index r = n - 2; r >= 0; --r) x = select(load(weights + r * 8) == zero<double>(), x, z[r * ld + j]);
    return x;
  }

  MMLFAST_INLINE void centre() {
    if (n == 0) return;
    const auto nothing_to_fill = [](double) {};
    for (Index j = 0; j < d; ++j) {
      double* column = reinterpret_cast<double*>(z + j);
      Mean mean;
      if (weights == nullptr)
        mean = centre_column(Run<Along::items, false>{column, n, ld * 8, nullptr}, z[j], total, nothing_to_fill);
      else
        mean = centre_column(Run<Along::items, true>{column, n, ld * 8, weights}, reference(j), total, nothing_to_fill);
      hi[j] = mean.hi;
      lo[j] = mean.lo;
    }
  }

  // Rows of column j that differ from its mean, if only by so little that their squares are zero.
  MMLFAST_INLINE mask<double> varies(Index j) const {
    mask<double> some = no_lanes<double>();
    for (Index r = 0; r < n; ++r) some = some | (z[r * ld + j] != zero<double>());
    return some;
  }

  // The lanes of numbers of type T in which this sum of squares of column j says too little.
  template <class T>
  MMLFAST_INLINE LaneBits outside(const SafeSquares& safe, const V& square, Index j) const {
    if constexpr (sizeof(T) == 4) return 0;
    const mask<double> unsafe = ~((square >= broadcast(safe.low)) & (square <= broadcast(safe.high)));
    return any(unsafe) ? to_bitmask(unsafe & varies(j)) : 0;
  }

  // Where m2 holds entry (i, j), i <= j: the upper triangle, row by row.
  MMLFAST_INLINE Index entry(Index i, Index j) const { return i * d - i * (i - 1) / 2 + (j - i); }
};

// max(weight - ddof, 0), or NaN where there is no weight.
struct Divisor {
  V by;

  MMLFAST_INLINE Divisor(const V& total, const double* const* ddof) {
    const V left = total - gather(ddof);
    by = select(left > zero<double>(), left, zero<double>());
    by = select(total == zero<double>(), broadcast(__builtin_nan("")), by);
  }
  MMLFAST_INLINE V divide(const V& sum) const { return sum / by; }
};

// Entry (a + i, b + j) of m2 for i < I, j < J; Upper: those with i <= j alone, a being b.
template <int I, int J, bool Upper>
void tile(const Tables& t, Index a, Index b) {
  for (int p = 0; p < vec_parts; ++p) {
    for (Index first = 0; first < t.n; first += rows_per_chain) {
      const Index end = t.n - first < rows_per_chain ? t.n : first + rows_per_chain;
      N sum[I][J] = {};
      const V *za = t.z + first * t.ld + a, *zb = t.z + first * t.ld + b;
      for (Index r = first; r < end; ++r, za += t.ld, zb += t.ld) {
        N y[J];
        _Pragma("GCC unroll 4") for (int j = 0; j < J; ++j) y[j] = zb[j].part[p];
        _Pragma("GCC unroll 4") for (int i = 0; i < I; ++i) {
          const N x = Upper ? y[i] : za[i].part[p];
          _Pragma("GCC unroll 4") for (int j = Upper ? i : 0; j < J; ++j) sum[i][j] = op::fma(x, y[j], sum[i][j]);
        }
      }
      _Pragma("GCC unroll 4") for (int i = 0; i < I; ++i) {
        N* row = &t.m2[t.entry(a + i, b)].part[p];
        _Pragma("GCC unroll 4") for (int j = Upper ? i : 0; j < J; ++j) {
          N& entry = row[j * vec_parts];
          entry = first > 0 ? entry + sum[i][j] : sum[i][j];
        }
      }
    }
  }
}

using Tile = void (*)(const Tables&, Index, Index);
constexpr int tile_rows = native_bytes == 64 ? 4 : 2;  // the sums of a tile and their operands fit the registers
constexpr Tile diagonal[4] = {tile<1, 1, true>, tile<2, 2, true>, tile<3, 3, true>, tile<4, 4, true>};
constexpr Tile beside[4] = {tile<tile_rows, 1, false>, tile<tile_rows, 2, false>, tile<tile_rows, 3, false>,
                            tile<tile_rows, 4, false>};

MMLFAST_INLINE void products(const Tables& t) {
  for (Index b = 0; b < t.d; b += 4) {
    const Index columns = t.d - b < 4 ? t.d - b : 4;
    for (Index a = 0; a < b; a += tile_rows) beside[columns - 1](t, a, b);
    diagonal[columns - 1](t, b, b);
  }
}

template <class T>
LaneBits covariance(const T* const* item, const Layout& layout, const double* const* weights, Index weights_stride,
                    const double* const* ddof, T* const* cov, const Layout& cov_layout, double* scratch) {
  Tables t(item, layout, weights, weights_stride, scratch);
  t.centre();
  products(t);
  const Divisor by(t.total, ddof);
  LaneBits outside = 0;
  for (Index i = 0; i < t.d; ++i) {
    outside |= t.outside<T>(safe_squares, t.m2[t.entry(i, i)], i);
    for (Index j = i; j < t.d; ++j) t.out[i * t.d + j] = t.out[j * t.d + i] = by.divide(t.m2[t.entry(i, j)]);
  }
  unpack(cov, cov_layout, t.out, t.d, 1);
  return outside;
}

template <class T>
LaneBits correlation(const T* const* item, const Layout& layout, const double* const* weights, Index weights_stride,
                     T* const* cor, const Layout& cor_layout, double* scratch) {
  Tables t(item, layout, weights, weights_stride, scratch);
  t.centre();
  products(t);
  const V nan = broadcast(__builtin_nan("")), one = broadcast(1.0);
  LaneBits outside = 0;
  for (Index i = 0; i < t.d; ++i) {
    const V square = t.m2[t.entry(i, i)];
    outside |= t.outside<T>(safe_products, square, i);
    t.hi[i] = select((square > zero<double>()) & (square <= broadcast(__DBL_MAX__)), square, nan);
    t.out[i * t.d + i] = select(t.hi[i] > zero<double>(), one, nan);
  }
  for (Index i = 0; i < t.d; ++i) {
    for (Index j = i + 1; j < t.d; ++j) {
      const V r = t.m2[t.entry(i, j)] / sqrt(t.hi[i] * t.hi[j]);
      const V within = select(r > one, one, select(r < -one, -one, r));
      t.out[i * t.d + j] = t.out[j * t.d + i] = within;
    }
  }
  unpack(cor, cor_layout, t.out, t.d, 1);
  return outside;
}

// The diagonal of m2, columns j .. j + Columns - 1, into m2[0 ..]: the bits of `tile`.
template <int Columns>
MMLFAST_INLINE void squares(const Tables& t, Index j) {
  for (int p = 0; p < vec_parts; ++p) {
    for (Index first = 0; first < t.n; first += rows_per_chain) {
      const Index end = t.n - first < rows_per_chain ? t.n : first + rows_per_chain;
      N sum[Columns] = {};
      const V* z = t.z + first * t.ld + j;
      for (Index r = first; r < end; ++r, z += t.ld) {
        _Pragma("GCC unroll 4") for (int k = 0; k < Columns; ++k) sum[k] = op::fma(z[k].part[p], z[k].part[p], sum[k]);
      }
      for (int k = 0; k < Columns; ++k) {
        N& entry = t.m2[j + k].part[p];
        entry = first > 0 ? entry + sum[k] : sum[k];
      }
    }
  }
}

template <bool Root, class T>
LaneBits variance(const T* const* item, const Layout& layout, const double* const* weights, Index weights_stride,
                  const double* const* ddof, T* const* var, Index var_stride, double* scratch) {
  Tables t(item, layout, weights, weights_stride, scratch);
  t.centre();
  const Divisor by(t.total, ddof);
  Index j = 0;
  for (; j + 4 <= t.d; j += 4) squares<4>(t, j);
  for (; j < t.d; ++j) squares<1>(t, j);
  LaneBits outside = 0;
  for (j = 0; j < t.d; ++j) {
    const V value = by.divide(t.m2[j]);
    t.out[j] = Root ? sqrt(value) : value;
    outside |= t.outside<T>(safe_squares, t.m2[j], j);
  }
  unpack(var, Layout{t.d, 1, var_stride, 1}, t.out, 1, 1);
  return outside;
}

template <class T>
LaneBits mean(const T* const* item, const Layout& layout, const double* const* weights, Index weights_stride,
              T* const* result, Index stride, double* scratch) {
  Tables t(item, layout, weights, weights_stride, scratch);
  t.centre();
  mask<double> good = ~no_lanes<double>();
  for (Index j = 0; j < t.d; ++j) {
    const V value = t.hi[j] + t.lo[j];
    good = good & (abs(value) <= broadcast(__DBL_MAX__));
    t.out[j] = select(t.total == zero<double>(), broadcast(__builtin_nan("")), value);
  }
  unpack(result, Layout{t.d, 1, stride, 1}, t.out, 1, 1);
  return sizeof(T) == 4 ? 0 : to_bitmask(~good);
}

// ---- what an affine map does ----

inline LaneBits of_affine_map(const double* const* a, const Layout& a_layout, const double* const* c,
                              const Layout& c_layout, double* const* mapped, const Layout& mapped_layout,
                              double* scratch) {
  const Index m = a_layout.rows, d = a_layout.cols;
  V* map = reinterpret_cast<V*>(scratch);
  V *cov = map + m * d, *half = cov + d * d, *out = half + m * d;
  pack(a, a_layout, map, d, 1);
  pack(c, c_layout, cov, d, 1);
  const V none = zero<double>();
  mask<double> good = ~no_lanes<double>();
  for (Index i = 0; i < d; ++i)
    for (Index j = i + 1; j < d; ++j) good = good & (cov[i * d + j] == cov[j * d + i]);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < d; ++j) {
      V sum = none;
      for (Index k = 0; k < d; ++k) sum = fma(map[i * d + k], cov[k * d + j], sum);
      half[i * d + j] = sum;
    }
  }
  for (Index i = 0; i < m; ++i) {
    for (Index j = i; j < m; ++j) {
      V sum = none;
      for (Index k = 0; k < d; ++k) sum = fma(half[i * d + k], map[j * d + k], sum);
      good = good & (abs(sum) <= broadcast(__DBL_MAX__));
      out[i * m + j] = out[j * m + i] = sum;
    }
    good = good & (out[i * m + i] >= none);
  }
  unpack(mapped, mapped_layout, out, m, 1);
  return to_bitmask(~good);
}

}  // namespace in_lanes

}  // namespace mmlfast::MMLFAST_LEVEL
