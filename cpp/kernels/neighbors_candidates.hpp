// What the scans of neighbors.cpp and neighbors_scan.cpp share: tile after tile of queries and points, and the
// candidates that are taken from one.
#pragma once

#include "kernels/common/one_vector_tile.hpp"
#include "kernels/neighbors.hpp"
#include "simd/pairs.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Enters a score in the list of the best ones, which is in descending order behind a highest one.
MMLFAST_INLINE void enter(std::int32_t score, std::int32_t* best) {
  const Pairs list = load_pairs(best), shifted = load_pairs(best - 1), own = broadcast_pair(score);
  const mask<float> stays = list > own, moves = own > shifted;
  store_sums(best, select_sums(stays, list, select_sums(moves, shifted, own)));
}

template <class Word>
MMLFAST_INLINE void take(const NeighborScan<Word>& o, std::ptrdiff_t query, std::uint32_t hits, const Word* scores,
                         std::ptrdiff_t first_point) {
  NeighborCandidate<Word>* to = o.candidates + query * o.capacity;
  std::ptrdiff_t count = o.count[query];
  for (; hits != 0; hits &= hits - 1) {
    const int l = __builtin_ctz(hits);
    to[count++] = {scores[l], static_cast<std::uint32_t>(first_point + l)};
    if constexpr (sizeof(Word) == 4) {
      if (o.k > 0) enter(scores[l], o.best + query * best_length + best_start);
    }
  }
  o.count[query] = count;
  if constexpr (sizeof(Word) == 4) {
    if (o.k > 0) {
      const std::int32_t limit = o.best[query * best_length + best_start + o.k - 1] - o.slack[query];
      if (limit > o.limit[query]) o.limit[query] = limit;
    }
  }
}

// All tiles from the cursor on, of so many panels each. tile(panel, query) returns whether the memory for some query's
// candidates is nearly full.
template <class Word, class Tile>
MMLFAST_INLINE bool all_tiles(const NeighborScan<Word>& o, NeighborCursor& cursor, std::ptrdiff_t panels, Tile tile) {
  for (; cursor.panel < o.last_panel; cursor.panel += panels, cursor.query = 0) {
    while (cursor.query < o.n_queries) {
      const std::ptrdiff_t query = cursor.query;
      cursor.query += rows_of_tile;
      if (tile(cursor.panel, query)) return true;
    }
  }
  return false;
}

// Takes the candidates of a panel of Points points. near(r) is a mask, save(r, scores) puts the scores of row r in
// memory. Returns whether there are less than `room` places left for some query's candidates.
template <std::ptrdiff_t Points, class Word, class Near, class Save>
MMLFAST_INLINE bool take_tile(const NeighborScan<Word>& o, std::ptrdiff_t panel, std::ptrdiff_t query,
                              std::ptrdiff_t room, Near near, Save save) {
  auto some = near(0);
  _Pragma("GCC unroll 16") for (int r = 1; r < rows_of_tile; ++r) some = some | near(r);
  if (__builtin_expect(!any(some), 1)) return false;
  std::uint32_t hits[rows_of_tile];
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) hits[r] = to_bitmask(near(r));
  alignas(vec_bytes) Word scores[rows_of_tile][Points];
  std::uint32_t rows = 0;
  _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
    save(r, scores[r]);
    rows |= static_cast<std::uint32_t>(hits[r] != 0) << r;
  }
  bool full = false;
  for (; rows != 0; rows &= rows - 1) {
    const int r = __builtin_ctz(rows);
    take(o, query + r, hits[r], scores[r], panel * Points);
    full |= o.count[query + r] > o.capacity - room;
  }
  return full;
}

}  // namespace mmlfast::MMLFAST_LEVEL
