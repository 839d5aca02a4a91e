#include "kernels/neighbors.hpp"

#include "kernels/common/fma.hpp"
#include "kernels/common/one_vector_tile.hpp"
#include "simd/math/floating_point.hpp"
#include "simd/pairs.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::int32_t;
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

// Enters a score in the list of the best ones, which is in descending order behind a highest one.
MMLFAST_INLINE void enter(int32_t score, int32_t* best) {
  const Pairs list = load_pairs(best), shifted = load_pairs(best - 1), own = broadcast_pair(score);
  const mask<float> stays = list > own, moves = own > shifted;
  store_sums(best, select_sums(stays, list, select_sums(moves, shifted, own)));
}

template <class Word>
MMLFAST_INLINE void take(const NeighborScan<Word>& o, ptrdiff_t query, uint32_t hits, const Word* scores,
                         ptrdiff_t first_point) {
  NeighborCandidate<Word>* to = o.candidates + query * o.capacity;
  ptrdiff_t count = o.count[query];
  for (; hits != 0; hits &= hits - 1) {
    const int l = __builtin_ctz(hits);
    to[count++] = {scores[l], static_cast<uint32_t>(first_point + l)};
    if constexpr (sizeof(Word) == 4) {
      if (o.k > 0) enter(scores[l], o.best + query * best_length + best_start);
    }
  }
  o.count[query] = count;
  if constexpr (sizeof(Word) == 4) {
    if (o.k > 0) {
      const int32_t limit = o.best[query * best_length + best_start + o.k - 1] - o.slack[query];
      if (limit > o.limit[query]) o.limit[query] = limit;
    }
  }
}

// All tiles from the cursor on. tile(panel, query) returns whether the memory for some query's candidates is nearly
// full.
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
// whether the memory for some query's candidates is nearly full.
template <ptrdiff_t Points, class Word, class Near, class Save>
MMLFAST_INLINE bool take_tile(const NeighborScan<Word>& o, ptrdiff_t panel, ptrdiff_t query, Near near, Save save) {
  auto some = near(0);
  _Pragma("GCC unroll 16") for (int r = 1; r < rows_of_tile; ++r) some = some | near(r);
  if (__builtin_expect(!any(some), 1)) return false;
  uint32_t hits[rows_of_tile];
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) hits[r] = to_bitmask(near(r));
  alignas(vec_bytes) Word scores[rows_of_tile][Points];
  uint32_t rows = 0;
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
    save(r, scores[r]);
    rows |= static_cast<uint32_t>(hits[r] != 0) << r;
  }
  bool full = false;
  for (; rows != 0; rows &= rows - 1) {
    const int r = __builtin_ctz(rows);
    take(o, query + r, hits[r], scores[r], panel * Points);
    full |= o.count[query + r] > o.capacity - panel_points;
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
    _Pragma("GCC unroll 2") for (ptrdiff_t k = 0; k < length; ++k, y += panel_points) {
      const Pairs point = load_pairs(y);
      _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) sum[r] =
          add_products(broadcast_pair(x[r * length + k]), point, sum[r]);
    }
    return take_tile<panel_points>(
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
    return take_tile<direct_panel_points>(
        o, panel, query, [&](int r) { return sum[r] < broadcast(o.limit[query + r]); },
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

MMLFAST_DEFINE_TABLES(Neighbors, neighbors, rows_of_tile, quantize<T>, square_from_centre<T>, scan,
                      squared_distances<T>, near_rows<T>, pack<T>, scan_directly)

}  // namespace mmlfast::MMLFAST_LEVEL
