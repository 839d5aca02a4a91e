#include "kernels/power_iteration.hpp"

#include "kernels/common/lanes.hpp"
#include "kernels/common/sparse_rows.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// ---- one item per lane ----

// The exponent of a power of two, in two halves so that neither leaves the range of normal numbers.
template <class T>
struct Power {
  vec<T> first, second;
  MMLFAST_INLINE explicit Power(const vec<T>& exponent) {
    const vec<T> half = nearest(exponent * broadcast<T>(static_cast<T>(0.5)));
    first = power_of_two(half);
    second = power_of_two(exponent - half);
  }
  MMLFAST_INLINE vec<T> operator()(const vec<T>& x) const { return x * first * second; }
};

// Scales every lane by a power of two so that its largest entry is about 1. Returns the exponents that were taken out;
// adds NaN to `poison` where an entry is not finite.
template <class T>
MMLFAST_INLINE vec<T> bring_into_range(vec<T>* x, std::ptrdiff_t count, vec<T>& poison) {
  vec<T> largest = zero<T>();
  for (std::ptrdiff_t e = 0; e < count; ++e) {
    largest = max(abs(x[e]), largest);
    poison = fma(x[e], zero<T>(), poison);
  }
  vec<T> mantissa, exponent;
  split_exponent(largest, mantissa, exponent);
  const Power<T> scale(-exponent);
  for (std::ptrdiff_t e = 0; e < count; ++e) x[e] = scale(x[e]);
  return exponent;
}

// y[i] = sum over j of a[i * n + j] x[j], for R rows at once: R independent chains of fused multiply-adds.
template <int R, class T>
MMLFAST_INLINE void dot_rows(const vec<T>* a, const vec<T>* x, vec<T>* y, std::ptrdiff_t n) {
  vec<T> sum[R];
  for (int r = 0; r < R; ++r) sum[r] = a[r * n] * x[0];
  for (std::ptrdiff_t j = 1; j < n; ++j) {
    const vec<T> xj = x[j];
    _Pragma("GCC unroll 8") for (int r = 0; r < R; ++r) sum[r] = fma(a[r * n + j], xj, sum[r]);
  }
  for (int r = 0; r < R; ++r) y[r] = sum[r];
}

template <int N, class T>
MMLFAST_INLINE void multiply(const vec<T>* a, const vec<T>* x, vec<T>* y, std::ptrdiff_t n) {
  if constexpr (N > 0) {
    dot_rows<N>(a, x, y, N);
  } else {
    std::ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) dot_rows<8>(a + i * n, x, y + i, n);
    if (i + 4 <= n) dot_rows<4>(a + i * n, x, y + i, n), i += 4;
    for (; i < n; ++i) dot_rows<1>(a + i * n, x, y + i, n);
  }
}

// 2^-k with k about half the exponent of q: brings a vector with y'y = q to a norm between 1 and 2.
template <class T>
MMLFAST_INLINE vec<T> inverse_root_power(const vec<T>& q) {
  using I = typename native_of<T>::integer;
  constexpr I bias = Format<T>::bias;
  bits<T> b = as_bits(q);
  MMLFAST_EACH_PART {
    const native_bits<T> exponent = ((b.part[p] & Format<T>::exponent_mask) >> Format<T>::mantissa) - bias;
    b.part[p] = (bias - (exponent >> 1)) << Format<T>::mantissa;
  }
  return from_bits<T>(b);
}

// Unit vectors with their largest component positive, where `stopped`.
template <class T>
MMLFAST_INLINE void fix_signs(vec<T>* x, std::ptrdiff_t n, const mask<T>& stopped) {
  vec<T> largest = zero<T>(), leader = zero<T>();
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const mask<T> larger = abs(x[i]) > largest;
    largest = select(larger, abs(x[i]), largest);
    leader = select(larger, x[i], leader);
  }
  const mask<T> flip = stopped & (leader < zero<T>());
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = select(flip, -x[i], x[i]);
}

template <class T>
struct LaneVectors {
  vec<T>*a, *x, *y, *answer;
};

template <int N, class T>
PowerStopped iterate(const LaneVectors<T>& v, std::ptrdiff_t n_any, const PowerLanes<T>& items,
                     const PowerLimits<T>& limits) {
  const std::ptrdiff_t n = N > 0 ? N : n_any;
  vec<T>*x = v.x, *y = v.y, *answer = v.answer;
  const vec<T> nan = broadcast<T>(static_cast<T>(__builtin_nan(""))), tol = broadcast<T>(limits.tol);
  // Where q s - d^2 can no longer tell the residual from rounding.
  constexpr T eps = sizeof(T) == 8 ? static_cast<T>(0x1p-52) : static_cast<T>(0x1p-23);
  const vec<T> look = broadcast<T>(4 * limits.tol * limits.tol + 8 * static_cast<T>(n + 4) * eps);

  vec<T> poison = zero<T>();
  const vec<T> exponent = bring_into_range(v.a, n * n, poison);
  bring_into_range(x, n, poison);
  const mask<T> poisoned = poison != poison;
  mask<T> active = ~poisoned, converged = no_lanes<T>();
  vec<T> value = nan, residual = nan, count = zero<T>(), s = zero<T>();
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    s = fma(x[i], x[i], s);
    answer[i] = nan;
  }

  for (std::int64_t sweep = 1; sweep <= limits.sweeps && any(active); ++sweep) {
    multiply<N>(v.a, x, y, n);
    vec<T> d = zero<T>(), q = zero<T>();
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      d = fma(x[i], y[i], d);
      q = fma(y[i], y[i], q);
    }
    const vec<T> dd = d * d;
    const mask<T> close = active & (fma(q, s, -dd) <= look * dd);
    const bool last = limits.final && sweep == limits.sweeps;
    if (last || any(close)) {
      const vec<T> mu = d / s;
      vec<T> rr = zero<T>();
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        const vec<T> r = fnma(mu, x[i], y[i]);
        rr = fma(r, r, rr);
      }
      const vec<T> norm = sqrt(s), r = sqrt(rr) / norm;
      const mask<T> reached = close & (r <= tol * abs(mu));
      const mask<T> stops = last ? active : reached;
      if (any(stops)) {
        value = select(stops, mu, value);
        residual = select(stops, r, residual);
        count = select(stops, broadcast<T>(static_cast<T>(sweep)), count);
        for (std::ptrdiff_t i = 0; i < n; ++i) answer[i] = select(stops, x[i] / norm, answer[i]);
        converged = converged | reached;
        active = active & ~stops;
      }
    }
    const vec<T> scale = inverse_root_power(q);
    s = q * scale * scale;
    for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = y[i] * scale;
  }

  count = select(active, broadcast<T>(static_cast<T>(limits.sweeps)), count);
  for (std::ptrdiff_t i = 0; i < n; ++i) answer[i] = select(active, x[i], answer[i]);
  fix_signs(answer, n, ~active);
  const Power<T> unscale(exponent);
  scatter(items.value, unscale(value));
  scatter(items.residual, unscale(residual));
  unpack(items.to, Layout{n, 1, items.to_stride, 1}, answer, 1, 1);
  alignas(vec_bytes) T counts[lanes<T>];
  store(counts, count);
  for (int l = 0; l < lanes<T>; ++l) items.n_sweeps[l] = static_cast<std::int64_t>(counts[l]);
  return {to_bitmask(converged), to_bitmask(~active)};
}

template <int N, class T>
PowerStopped lanes_sized(const T* const* a, const Layout& layout, const PowerLanes<T>& items,
                         const PowerLimits<T>& limits, vec<T>* scratch) {
  const std::ptrdiff_t n = N > 0 ? N : layout.rows;
  vec<T> fixed[N > 0 ? N * (N + 3) : 1];
  vec<T>* work = N > 0 ? fixed : scratch;
  const LaneVectors<T> v{work, work + n * n, work + n * (n + 1), work + n * (n + 2)};
  pack(a, Layout{n, n, layout.row_stride, layout.col_stride}, v.a, n, 1);
  pack(items.from, Layout{n, 1, items.from_stride, 1}, v.x, 1, 1);
  return iterate<N>(v, n, items, limits);
}

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t n) {
  return n * (n + 3);
}

template <class T>
PowerStopped power_lanes(const T* const* a, const Layout& layout, const PowerLanes<T>& items,
                         const PowerLimits<T>& limits, void* scratch) {
  vec<T>* s = static_cast<vec<T>*>(scratch);
  switch (layout.rows) {
    case 1:
      return lanes_sized<1>(a, layout, items, limits, s);
    case 2:
      return lanes_sized<2>(a, layout, items, limits, s);
    case 3:
      return lanes_sized<3>(a, layout, items, limits, s);
    case 4:
      return lanes_sized<4>(a, layout, items, limits, s);
    default:
      return lanes_sized<0>(a, layout, items, limits, s);
  }
}

// ---- one matrix by blocks of rows ----

// sums[0] = x'y, sums[1] = y'y.
template <class T>
MMLFAST_INLINE void block_sums(const T* x, const T* y, std::ptrdiff_t count, double* sums) {
  constexpr int width = lanes<double>;
  vec<double> d = zero<double>(), q = zero<double>();
  std::ptrdiff_t i = 0;
  for (; i + width <= count; i += width) {
    const vec<double> yi = load_as_double(y + i);
    d = fma(load_as_double(x + i), yi, d);
    q = fma(yi, yi, q);
  }
  sums[0] = reduce_add(d);
  sums[1] = reduce_add(q);
  for (; i < count; ++i) {
    const double xi = static_cast<double>(x[i]), yi = static_cast<double>(y[i]);
    sums[0] += xi * yi;
    sums[1] += yi * yi;
  }
}

// R rows of consecutive entries.
template <int R, class T>
MMLFAST_INLINE void dot_contiguous(const T* a, std::ptrdiff_t row_stride, std::ptrdiff_t n, const T* x, T* y,
                                   double scale) {
  constexpr int width = lanes<double>;
  vec<double> even[R], odd[R];
  for (int r = 0; r < R; ++r) even[r] = odd[r] = zero<double>();
  std::ptrdiff_t j = 0;
  for (; j + 2 * width <= n; j += 2 * width) {
    const vec<double> x0 = load_as_double(x + j), x1 = load_as_double(x + j + width);
    _Pragma("GCC unroll 4") for (int r = 0; r < R; ++r) {
      even[r] = fma(load_as_double(a + r * row_stride + j), x0, even[r]);
      odd[r] = fma(load_as_double(a + r * row_stride + j + width), x1, odd[r]);
    }
  }
  if (j + width <= n) {
    const vec<double> x0 = load_as_double(x + j);
    for (int r = 0; r < R; ++r) even[r] = fma(load_as_double(a + r * row_stride + j), x0, even[r]);
    j += width;
  }
  for (int r = 0; r < R; ++r) {
    double sum = reduce_add(even[r] + odd[r]);
    for (std::ptrdiff_t k = j; k < n; ++k)
      sum += static_cast<double>(a[r * row_stride + k]) * static_cast<double>(x[k]);
    y[r] = static_cast<T>(sum * scale);
  }
}

// Up to 512 rows whose columns are consecutive: four columns at a time are added to sums that stay in L1.
constexpr std::ptrdiff_t column_rows = 512;

template <class T>
void add_columns(const T* a, std::ptrdiff_t col_stride, std::ptrdiff_t rows, std::ptrdiff_t n, const T* x, T* y,
                 double scale) {
  constexpr int width = lanes<double>;
  alignas(vec_bytes) double sum[column_rows] = {};
  for (std::ptrdiff_t j = 0; j < n; j += 4) {
    const int columns = j + 4 <= n ? 4 : static_cast<int>(n - j);
    const T* column[4];
    double factor[4];
    for (int c = 0; c < columns; ++c) {
      column[c] = a + (j + c) * col_stride;
      factor[c] = static_cast<double>(x[j + c]);
    }
    std::ptrdiff_t i = 0;
    if (columns == 4) {
      vec<double> f[4];
      for (int c = 0; c < 4; ++c) f[c] = broadcast<double>(factor[c]);
      for (; i + width <= rows; i += width) {
        vec<double> s = load(sum + i);
        _Pragma("GCC unroll 4") for (int c = 0; c < 4; ++c) s = fma(load_as_double(column[c] + i), f[c], s);
        store(sum + i, s);
      }
    }
    for (; i < rows; ++i)
      for (int c = 0; c < columns; ++c) sum[i] += static_cast<double>(column[c][i]) * factor[c];
  }
  for (std::ptrdiff_t i = 0; i < rows; ++i) y[i] = static_cast<T>(sum[i] * scale);
}

template <class T>
void dense_rows(const T* a, const Layout& layout, std::ptrdiff_t first, std::ptrdiff_t last, const T* x, T* y,
                double scale, double* sums) {
  const auto [n_rows, n, row_stride, col_stride] = layout;
  (void)n_rows;
  std::ptrdiff_t i = first;
  if (col_stride == 1) {
    for (; i + 4 <= last; i += 4) dot_contiguous<4>(a + i * row_stride, row_stride, n, x, y + i, scale);
    for (; i < last; ++i) dot_contiguous<1>(a + i * row_stride, row_stride, n, x, y + i, scale);
  } else if (row_stride == 1) {
    for (; i < last; i += column_rows)
      add_columns(a + i, col_stride, last - i < column_rows ? last - i : column_rows, n, x, y + i, scale);
  } else {
    for (; i < last; ++i) {
      double sum = 0;
      for (std::ptrdiff_t j = 0; j < n; ++j)
        sum += static_cast<double>(a[i * row_stride + j * col_stride]) * static_cast<double>(x[j]);
      y[i] = static_cast<T>(sum * scale);
    }
  }
  block_sums(x + first, y + first, last - first, sums);
}

template <class T, class Index>
void sparse_rows(const CsrRows<T, Index>& a, std::ptrdiff_t first, std::ptrdiff_t last, const T* x, T* y, double scale,
                 double* sums) {
  for (std::ptrdiff_t i = first; i < last; ++i) {
    const double sum = sum_row<double>(a.starts[i], a.starts[i + 1], [&](std::int64_t e) {
      return static_cast<double>(a.data[e]) * static_cast<double>(x[a.columns[e]]);
    });
    y[i] = static_cast<T>(sum * scale);
  }
  block_sums(x + first, y + first, last - first, sums);
}

template <class T>
double residual_square(const T* x, const T* y, double mu, std::ptrdiff_t first, std::ptrdiff_t last) {
  constexpr int width = lanes<double>;
  const vec<double> factor = broadcast<double>(mu);
  vec<double> rr = zero<double>();
  std::ptrdiff_t i = first;
  for (; i + width <= last; i += width) {
    const vec<double> r = fnma(factor, load_as_double(x + i), load_as_double(y + i));
    rr = fma(r, r, rr);
  }
  double sum = reduce_add(rr);
  for (; i < last; ++i) {
    const double r = static_cast<double>(y[i]) - mu * static_cast<double>(x[i]);
    sum += r * r;
  }
  return sum;
}

}  // namespace

MMLFAST_DEFINE_TABLES(PowerIteration, power_iteration, scratch_vectors<T>, power_lanes<T>, dense_rows<T>,
                      sparse_rows<T, std::int32_t>, sparse_rows<T, std::int64_t>, residual_square<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
