#include "kernels/neighbors.hpp"

#include "simd/math.hpp"
#include "simd/pairs.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::int32_t;
using std::ptrdiff_t;
using std::uint32_t;

// Rows of a tile: each takes one vector of sums; what is left of the registers is for one row of points, a broadcast
// and a product.
#if defined(__AVX512F__)
constexpr int rows_of_tile = 12;
#elif defined(__AVX__) || defined(__aarch64__)
constexpr int rows_of_tile = 6;
#else
constexpr int rows_of_tile = 2;
#endif

constexpr int wide = lanes<double>;

MMLFAST_INLINE double fused(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

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

template <class Score>
MMLFAST_INLINE void take(uint32_t hits, const Score* scores, ptrdiff_t first_point, NeighborCandidate<Score>* to,
                         ptrdiff_t& count) {
  for (; hits != 0; hits &= hits - 1) {
    const int l = __builtin_ctz(hits);
    to[count++] = {scores[l], static_cast<uint32_t>(first_point + l)};
  }
}

// All tiles from the cursor on. tile(panel, query) says whether it has left a query with too little room.
template <class Word, class Tile>
MMLFAST_INLINE bool all_tiles(const NeighborScan<Word>& o, NeighborCursor& cursor, Tile tile) {
  for (; cursor.panel < o.last_panel; ++cursor.panel, cursor.query = 0) {
    while (cursor.query < o.n_queries) {
      const ptrdiff_t query = cursor.query;
      cursor.query += rows_of_tile;
      if (tile(cursor.panel, query)) return true;
    }
  }
  return false;
}

// Takes the candidates of a tile. near(r) is a mask, save(r, scores) puts the scores of row r in memory. Returns
// whether some query has too little room left.
template <class Lane, ptrdiff_t Points, class Word, class Near, class Save>
MMLFAST_INLINE bool take_tile(const NeighborScan<Word>& o, ptrdiff_t panel, ptrdiff_t query, Near near, Save save) {
  uint32_t hits[rows_of_tile], some = 0;
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
    hits[r] = to_bitmask(near(r));
    some |= hits[r];
  }
  if (__builtin_expect(some == 0, 1)) return false;
  alignas(vec_bytes) Word scores[rows_of_tile][Points];
  uint32_t rows = 0;
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
    save(r, scores[r]);
    rows |= static_cast<uint32_t>(hits[r] != 0) << r;
  }
  bool full = false;
  for (; rows != 0; rows &= rows - 1) {
    const int r = __builtin_ctz(rows);
    ptrdiff_t& count = o.count[query + r];
    take(hits[r], scores[r], panel * Points, o.candidates + (query + r) * o.capacity, count);
    full |= count > o.capacity - panel_points;
  }
  return full;
}

bool scan(const NeighborScan<int32_t>& o, NeighborCursor& cursor) {
  const ptrdiff_t length = o.length;
  return all_tiles(o, cursor, [&](ptrdiff_t panel, ptrdiff_t query) {
    const int32_t *x = o.x + query * length, *y = o.y + panel * length * panel_points;
    Pairs sum[rows_of_tile];
    Pairs start = load_pairs(o.half + panel * panel_points);
    MMLFAST_EACH_PART start.part[p] = -start.part[p];
    _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) sum[r] = start;
    for (ptrdiff_t k = 0; k < length; ++k, y += panel_points) {
      const Pairs point = load_pairs(y);
      _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) sum[r] =
          add_products(broadcast_pair(x[r * length + k]), point, sum[r]);
    }
    return take_tile<float, panel_points>(
        o, panel, query, [&](int r) { return sum[r] > broadcast_pair(o.limit[query + r]); },
        [&](int r, int32_t* scores) { store_sums(scores, sum[r]); });
  });
}

bool scan_directly(const NeighborScan<double>& o, NeighborCursor& cursor) {
  const ptrdiff_t length = o.length;
  return all_tiles(o, cursor, [&](ptrdiff_t panel, ptrdiff_t query) {
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
    return take_tile<double, direct_panel_points>(
        o, panel, query, [&](int r) { return sum[r] < broadcast(o.limit[query + r]); },
        [&](int r, double* scores) { store(scores, sum[r]); });
  });
}

// Several chains at once: one alone would wait for itself.
template <int Count, class T>
MMLFAST_INLINE void chains(const T* x, const T* y, ptrdiff_t d, const uint32_t* index, double* squares) {
  const T* row[Count];
  double sum[Count] = {};
  for (int c = 0; c < Count; ++c) row[c] = y + static_cast<ptrdiff_t>(index[c]) * d;
  for (ptrdiff_t k = 0; k < d; ++k) {
    const double own = static_cast<double>(x[k]);
    _Pragma("GCC unroll 8") for (int c = 0; c < Count; ++c) {
      const double difference = own - static_cast<double>(row[c][k]);
      sum[c] = fused(difference, difference, sum[c]);
    }
  }
  for (int c = 0; c < Count; ++c) squares[c] = sum[c];
}

template <class T>
void squared_distances(const T* x, const T* y, ptrdiff_t d, const uint32_t* index, ptrdiff_t count, double* squares) {
  ptrdiff_t i = 0;
  for (; i + 8 <= count; i += 8) chains<8>(x, y, d, index + i, squares + i);
  for (; i < count; ++i) chains<1>(x, y, d, index + i, squares + i);
}

template <class T>
void pack(const T* rows, ptrdiff_t count, ptrdiff_t d, double* panel) {
  for (ptrdiff_t k = 0; k < d; ++k)
    for (ptrdiff_t l = 0; l < direct_panel_points; ++l)
      panel[k * direct_panel_points + l] = l < count ? static_cast<double>(rows[l * d + k]) : __builtin_inf();
}

template <class T>
constexpr Neighbors<T> table = {rows_of_tile,         quantize<T>, square_from_centre<T>, scan,
                                squared_distances<T>, pack<T>,     scan_directly};

}  // namespace

const Neighbors<double> neighbors_f64 = table<double>;
const Neighbors<float> neighbors_f32 = table<float>;

}  // namespace mmlfast::MMLFAST_LEVEL
