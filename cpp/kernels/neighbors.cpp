#include "kernels/neighbors.hpp"

#include "kernels/common/fma.hpp"
#include "kernels/common/one_vector_tile.hpp"
#include "kernels/neighbors_candidates.hpp"
#include "simd/math/floating_point.hpp"
#include "simd/transpose.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;
using std::uint32_t;

constexpr int wide = lanes<double>;

template <class T>
MMLFAST_INLINE vec<double> from_centre(const T* row, const double* centre, ptrdiff_t left) {
  if (left >= wide) return load_as_double(row) - load(centre);
  alignas(vec_bytes) double buffer[wide] = {};
  for (ptrdiff_t i = 0; i < left; ++i) buffer[i] = static_cast<double>(row[i]) - centre[i];
  return load(buffer);
}

template <class T>
QuantizedLength quantize(const T* row, ptrdiff_t d, const double* centre, double scale, std::int16_t* q) {
  vec<double> square = zero<double>(), error_square = zero<double>();
  for (ptrdiff_t k = 0; k < d; k += wide) {
    const vec<double> x = from_centre(row + k, centre + k, d - k) * broadcast(scale), whole = nearest(x),
                      error = x - whole;
    square = fma(whole, whole, square);
    error_square = fma(error, error, error_square);
    alignas(vec_bytes) double buffer[wide];
    store(buffer, whole);
    const ptrdiff_t left = d + (d & 1) - k;
    for (ptrdiff_t i = 0; i < wide && i < left; ++i) q[k + i] = static_cast<std::int16_t>(buffer[i]);
  }
  return {reduce_add(square), reduce_add(error_square)};
}

template <class T>
double square_from_centre(const T* row, ptrdiff_t d, const double* centre) {
  vec<double> square = zero<double>();
  for (ptrdiff_t k = 0; k < d; k += wide) {
    const vec<double> x = from_centre(row + k, centre + k, d - k);
    square = fma(x, x, square);
  }
  return reduce_add(square);
}

bool scan_directly(const NeighborScan<double>& o, NeighborCursor& cursor) {
  const ptrdiff_t length = o.length;
  return all_tiles(o, cursor, 1, [&](ptrdiff_t panel, ptrdiff_t query) {
    const double *x = o.x + query * length, *y = o.y + panel * length * direct_panel_points;
    vec<double> sum[rows_of_tile];
    _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) sum[r] = zero<double>();
    for (ptrdiff_t k = 0; k < length; ++k, y += direct_panel_points) {
      const vec<double> point = load(y);
      _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
        const vec<double> difference = broadcast(x[r * length + k]) - point;
        sum[r] = fma(difference, difference, sum[r]);
      }
    }
    return take_tile<direct_panel_points>(
        o, panel, query, panel_points, [&](int r) { return sum[r] < broadcast(o.limit[query + r]); },
        [&](int r, double* scores) { store(scores, sum[r]); });
  });
}

// Rows lie anywhere in memory: the next ones are prefetched while these are measured.
template <class T>
MMLFAST_INLINE void fetch_row(const T* row, ptrdiff_t d) {
  constexpr ptrdiff_t line = 64 / static_cast<ptrdiff_t>(sizeof(T)), most = 8;
  for (ptrdiff_t k = 0, n = 0; k < d && n < most; k += line, ++n) __builtin_prefetch(row + k);
}

template <class T>
void squared_distances(const T* x, const T* y, ptrdiff_t d, const uint32_t* index, ptrdiff_t count, double* squares) {
  // Several chains at once: one alone would wait for itself.
  constexpr int chains = 8;
  const auto row_of = [&](ptrdiff_t i) { return y + static_cast<ptrdiff_t>(index[i]) * d; };
  for (ptrdiff_t i = 0; i < count && i < chains; ++i) fetch_row(row_of(i), d);
  for (ptrdiff_t i = 0; i < count; i += chains) {
    const T* row[chains];
    double sum[chains] = {};
    for (int c = 0; c < chains; ++c) {
      row[c] = row_of(i + c < count ? i + c : count - 1);
      if (i + chains + c < count) fetch_row(row_of(i + chains + c), d);
    }
    for (ptrdiff_t k = 0; k < d; ++k) {
      const double own = static_cast<double>(x[k]);
      _Pragma("GCC unroll 8") for (int c = 0; c < chains; ++c) {
        const double difference = own - static_cast<double>(row[c][k]);
        sum[c] = fma(difference, difference, sum[c]);
      }
    }
    for (int c = 0; c < chains && i + c < count; ++c) squares[i + c] = sum[c];
  }
}

// As many rows at once as a register has numbers: their partial sums are transposed and added.
template <class T>
ptrdiff_t near_rows(const T* x, const T* y, ptrdiff_t first, ptrdiff_t count, ptrdiff_t d, T limit, uint32_t* index,
                    bool& in_range) {
  constexpr int width = native_lanes<T>;
  using Unaligned = typename native_of<T>::unaligned;
  const auto at = [](const T* p) -> native<T> { return *reinterpret_cast<const Unaligned*>(p); };
  // The last step overlaps the one before; what has been added counts for nothing.
  const ptrdiff_t last = d - width, whole = d / width * width;
  native<T> weight{};
  for (int i = 0; i < width; ++i) weight[i] = last + i >= whole ? T{1} : T{0};
  ptrdiff_t found = 0;
  native<T> zeros{};  // as long as all squares are finite
  for (ptrdiff_t i = 0; i < count; i += width) {
    const T* row[width];
    native<T> sum[width];
    _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) {
      row[r] = y + (first + (i + r < count ? i + r : count - 1)) * d;
      const native<T> rest = (at(x + last) - at(row[r] + last)) * weight;
      sum[r] = rest * rest;
    }
    for (ptrdiff_t k = 0; k < whole; k += width) {
      const native<T> own = at(x + k);
      _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) {
        const native<T> difference = own - at(row[r] + k);
        sum[r] = op::fma(difference, difference, sum[r]);
      }
    }
    transpose_native<T>(sum);
    for (int r = 1; r < width; ++r) sum[0] += sum[r];
    zeros += sum[0] * T{0};
    for (int r = 0; r < width && i + r < count; ++r)
      if (!(sum[0][r] > limit)) index[found++] = static_cast<uint32_t>(first + i + r);
  }
  for (int r = 0; r < width; ++r)
    if (zeros[r] != 0) in_range = false;
  return found;
}

template <class T>
void pack(const T* rows, ptrdiff_t count, ptrdiff_t d, double* panel) {
  for (ptrdiff_t k = 0; k < d; ++k)
    for (ptrdiff_t l = 0; l < direct_panel_points; ++l)
      panel[k * direct_panel_points + l] = l < count ? static_cast<double>(rows[l * d + k]) : __builtin_inf();
}

}  // namespace

MMLFAST_DEFINE_TABLES(Neighbors, neighbors, rows_of_tile, quantize<T>, square_from_centre<T>, squared_distances<T>,
                      near_rows<T>, pack<T>, scan_directly)

}  // namespace mmlfast::MMLFAST_LEVEL
