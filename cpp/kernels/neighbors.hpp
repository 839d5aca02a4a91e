// The nearest of many points, exactly: what is far away is ruled out by integers, what is left is measured.
//
// A row is brought to integers of 16 bits, q = round((y - centre) scale), so that |q| stays below 2^15 and the products
// of two rows are exact in 32 bits. By the triangle inequality the distance between two rows times `scale` differs from
// the distance between their integers by no more than the lengths of the two errors of rounding. A point whose integers
// are farther than that allows is none of the k nearest; the others are measured by differences in float64.
//
// quantize: one row
//   row      IN       d numbers, contiguous
//   centre   IN       d numbers
//   q        OUT      2 * pairs numbers of 16 bits, zero behind d
//   returns the squares of the lengths of q and of the error, the latter in units of q
// scan: the points whose integers are near enough to some query
//   x        IN       queries, a multiple of query_rows: row i is `pairs` words (two numbers each) at x + i * pairs
//   y        IN       points in panels of 16: word p of point l of a panel at [p * 16 + l]
//   half     IN       |q|^2 / 2 of each point, rounded down; unreachable for places without a point
//   limit    IN       a query takes points with x y - half > limit (the nearer, the larger)
//   best     IN OUT   the k best scores that each query has taken: they raise its limit, to the k-th less `slack`
//   candidates, count OUT  what each query has taken; room for `capacity` each
//   returns false when all is done, true when some query of the tile just done has less than points_of_tile places left
//   (scan_directly: panel_points): the caller makes room and calls again with the same cursor
// squared_distances: from one row to chosen rows, sum (x_k - y_k)^2 in float64
// near_rows: the rows of y whose squared distance from x, in T, is at most `limit`: a filter for few queries, which
//   leaves the points where they are. d >= panel_points. Returns how many; `index` has room for `count`. The relative
//   error of what is compared is below (d + 8) u.
// pack, scan_directly: the same search by differences in float64: `x` rows of d doubles, y in panels of 8 doubles per
//   component; a query takes points with a square of the distance < limit
//
// Flops: 2 d per pair (scan: integer ones), 3 d per pair measured. Bytes: a panel stays in L1 for all queries of a
// call. Accumulation: each square of a distance is one chain of fused multiply-adds in the order of the components; it
// is the same in squared_distances and scan_directly. Accuracy: relative error (d + 2) u at most; exact decisions
// otherwise. Columns of zeros and translations that are exact change no bit. Nothing may be NaN or infinite, except in
// near_rows.
//
// Source: the idea of certified candidates is that of filters in computational geometry (J. R. Shewchuk, Adaptive
// precision floating-point arithmetic and fast robust geometric predicates, 1997).
//
//     d2 = ((x[:, None] - y) ** 2).sum(axis=-1); indices = numpy.argsort(d2, axis=1, kind="stable")[:, :k]
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/dot_products.hpp"

namespace mmlfast {

// Of the panels of scan and scan_directly; and what a tile of scan may take for a query.
inline constexpr std::ptrdiff_t panel_points = 16, direct_panel_points = 8, points_of_tile = 32;
// A half that no limit lets pass: sums of products stay within 2^30 of zero.
inline constexpr std::int32_t unreachable = 1 << 30, lowest_limit = -unreachable;

struct QuantizedLength {
  double square, error_square;
};

template <class Score>
struct NeighborCandidate {
  Score score;  // scan: x y - half, the larger the nearer; scan_directly: the square of the distance
  std::uint32_t index;
};

struct NeighborCursor {
  std::ptrdiff_t panel, query;  // the next tile
};

// Operands of scan (Word: int32, Score: int32) and scan_directly (double).
template <class Word>
struct NeighborScan {
  const Word* x;
  std::ptrdiff_t n_queries, length;  // words, or numbers, of a row
  const Word* y;
  const Word* half;  // scan only
  std::ptrdiff_t last_panel;
  Word* limit;
  NeighborCandidate<Word>* candidates;
  std::ptrdiff_t capacity;
  std::ptrdiff_t* count;
  // scan only, for k <= most_ranked; k = 0: limits do not move by themselves.
  std::ptrdiff_t k;
  Word* best;         // per query, best_length words: from best_start on the k best scores taken, the best first
  const Word* slack;  // per query: how much less than the k-th best is still near enough
};

inline constexpr std::ptrdiff_t most_ranked = 16, best_length = 32, best_start = 16;

template <class T>
struct Neighbors {
  std::ptrdiff_t query_rows;  // of a tile
  QuantizedLength (*quantize)(const T* row, std::ptrdiff_t d, const double* centre, double scale, std::int16_t* q);
  double (*square_from_centre)(const T* row, std::ptrdiff_t d, const double* centre);
  void (*squared_distances)(const T* x, const T* y, std::ptrdiff_t d, const std::uint32_t* index, std::ptrdiff_t count,
                            double* squares);
  // Those of the rows whose squares in T do not exceed the limit; `in_range`, which is left alone else, becomes false
  // if some square is not finite.
  std::ptrdiff_t (*near_rows)(const T* x, const T* y, std::ptrdiff_t first, std::ptrdiff_t count, std::ptrdiff_t d,
                              T limit, std::uint32_t* index, bool& in_range);
  // Up to 8 rows as a panel; places without a point are infinitely far.
  void (*pack)(const T* rows, std::ptrdiff_t count, std::ptrdiff_t d, double* panel);
  bool (*scan_directly)(const NeighborScan<double>& operands, NeighborCursor& cursor);
};

// Apart from the others, since it is compiled once more for processors with dot products.
struct NeighborsScan {
  bool (*scan)(const NeighborScan<std::int32_t>& operands, NeighborCursor& cursor);
};

MMLFAST_KERNEL_TABLES(Neighbors, neighbors)
MMLFAST_KERNEL_TABLE(NeighborsScan, neighbors_scan)

#if MMLFAST_X86_LEVELS
namespace avx512_vnni {
extern const NeighborsScan neighbors_scan;
}
inline const NeighborsScan& best_scan() {
  return simd::dot_products() ? avx512_vnni::neighbors_scan : kernel_of<NeighborsScan>();
}
#else
inline const NeighborsScan& best_scan() { return kernel_of<NeighborsScan>(); }
#endif

}  // namespace mmlfast
