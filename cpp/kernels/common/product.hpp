// Products of dense matrices inside other kernels: C = start + A B, with the columns of B and C in SIMD lanes.
//
//   a      IN      rows x depth, any strides; elements are broadcast, so it needs no alignment and no padding
//   b      IN      depth x cols, rows contiguous, b_row elements from row to row
//   c      OUT     rows x cols, rows contiguous, c_row elements from row to row; must not overlap a or b
//   start  IN      what is added to: Start::zero; Start::row, one row of `cols` elements for all rows (a bias);
//                  Start::c, what c holds; Start::added_last, what c holds, added to the finished sum (depth <=
//                  k_block)
// cols is a multiple of lanes<T>: callers pad. Nothing is packed: a b_row of an odd number of vectors spreads a panel
// of B over the whole L1 cache, which is what packing is for.
//
// Flops: 2 rows cols depth. A tile of `tile_rows` x `tile_vectors` vectors stays in registers over a block of k_block
// steps; the panel of B that it meets stays in L1 for all rows. Every element of C is one chain of fused
// multiply-adds in the order of k, whatever the tile: the bits do not depend on tiles, blocks or SIMD level.
//
// Source: Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008), section 4.
//
//     c = start + a @ b
#pragma once

#include "kernels/common/fetch_ahead.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Accumulators plus one row of B plus one broadcast fill the 32 (AVX-512, NEON) or 16 (AVX2, SSE) registers.
#if defined(__AVX512F__)
inline constexpr int tile_rows = 8, tile_vectors = 3;
#elif defined(__AVX__) || defined(__aarch64__)
inline constexpr int tile_rows = 6, tile_vectors = 1;
#else
inline constexpr int tile_rows = 2, tile_vectors = 1;
#endif
inline constexpr std::ptrdiff_t k_block = 128;

enum class Start { zero, row, c, added_last };

template <class T>
struct ProductOperands {
  const T* a;
  std::ptrdiff_t a_row, a_col;
  const T* b;
  std::ptrdiff_t b_row;
  T* c;
  std::ptrdiff_t c_row;
};

namespace tile {

// Rows of B that a later tile needs: `lines` lines of them, from so many bytes behind `from` on.
struct Coming {
  const void* from;
  std::ptrdiff_t bytes, lines;
};

// Rows x Vectors vectors of C over `depth` steps, in each of which a line of what is coming is asked for. `from` is
// what to start from, nullptr for zero. Of the operands only the strides count here: what changes from tile to tile is
// passed beside them. (A changed copy of them, loaded in whole registers just after some members were stored, would
// wait for these stores: as long as a small tile takes.)
template <int Rows, int Vectors, bool Ahead, class T>
void run(std::ptrdiff_t depth, const ProductOperands<T>& o, const T* a, const T* b, T* c, const T* from,
         std::ptrdiff_t from_row, bool add, Coming coming) {
  [[maybe_unused]] int vector = 0;
  vec<T> sum[Rows][Vectors];
  _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
    _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) sum[r][v] =
        from == nullptr ? zero<T>() : load(from + r * from_row + v * lanes<T>);
  }
  for (std::ptrdiff_t k = 0; k < depth; ++k, a += o.a_col, b += o.b_row) {
    if constexpr (Ahead) {
      if (k < coming.lines) fetch_line<0, 2>(coming.from, coming.bytes + vector * vec_bytes);
      if (++vector == Vectors) vector = 0, coming.bytes += o.b_row * static_cast<std::ptrdiff_t>(sizeof(T));
    }
    vec<T> row[Vectors];
    _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) row[v] = load(b + v * lanes<T>);
    _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
      const vec<T> x = broadcast<T>(a[r * o.a_row]);
      _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(x, row[v], sum[r][v]);
    }
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
    _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) {
      T* to = c + r * o.c_row + v * lanes<T>;
      store(to, add ? load(to) + sum[r][v] : sum[r][v]);
    }
  }
}

// All rows of one panel of Vectors vectors: full tiles, then what is left in powers of two.
template <int Vectors, bool Ahead, class T>
void panel(std::ptrdiff_t rows, std::ptrdiff_t depth, const ProductOperands<T>& o, const T* a, const T* b, T* c,
           const T* from, std::ptrdiff_t from_row, bool add, const T* next) {
  // In equal shares, a line a step at most; lower tiles at the end ask for nothing.
  const std::ptrdiff_t tiles = Ahead ? (rows + tile_rows - 1) / tile_rows : 1;
  const std::ptrdiff_t share = Ahead ? (depth + tiles - 1) / tiles : 0;
  Coming coming{next, 0, next == nullptr ? 0 : share * Vectors};
  const auto advance = [&](int n) {
    a += n * o.a_row;
    c += n * o.c_row;
    if (from != nullptr) from += n * from_row;
    if constexpr (Ahead) coming.bytes += share * o.b_row * static_cast<std::ptrdiff_t>(sizeof(T));
    rows -= n;
  };
  // Eight rows as 6 + 2 would have too few chains at the end to hide the latency of a multiply-add; 4 + 4 have not.
  const auto is_full = [&] { return rows >= tile_rows && !(tile_rows == 6 && rows == 8); };
  while (is_full()) run<tile_rows, Vectors, Ahead>(depth, o, a, b, c, from, from_row, add, coming), advance(tile_rows);
  if constexpr (tile_rows > 4) {
    while (rows >= 4) run<4, Vectors, false>(depth, o, a, b, c, from, from_row, add, coming), advance(4);
  }
  if constexpr (tile_rows > 2) {
    while (rows >= 2) run<2, Vectors, false>(depth, o, a, b, c, from, from_row, add, coming), advance(2);
  }
  while (rows >= 1) run<1, Vectors, false>(depth, o, a, b, c, from, from_row, add, coming), advance(1);
}

}  // namespace tile

// `Ahead`: rows of B lie far from each other, and out of the near caches; those of the next panel are asked for.
template <class T, bool Ahead = false>
void product(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t depth, const ProductOperands<T>& operands,
             Start start = Start::zero, const T* start_row = nullptr) {
  const bool add = start == Start::added_last;
  for (std::ptrdiff_t k = 0; k == 0 || k < depth; k += k_block) {
    const std::ptrdiff_t steps = depth - k < k_block ? depth - k : k_block;
    for (std::ptrdiff_t j = 0; j < cols;) {
      const T *a = operands.a + k * operands.a_col, *b = operands.b + k * operands.b_row + j;
      T* c = operands.c + j;
      const T* from = c;
      std::ptrdiff_t from_row = operands.c_row;
      if (k == 0 && start != Start::c) {
        from = start == Start::row ? start_row + j : nullptr;
        from_row = 0;
      }
      const std::ptrdiff_t left = (cols - j) / lanes<T>;
      [[maybe_unused]] const auto next = [&](int vectors) -> const T* {
        if constexpr (!Ahead) return nullptr;
        if (left > vectors) return b + vectors * lanes<T>;
        return k + k_block < depth ? operands.b + (k + k_block) * operands.b_row : nullptr;
      };
      if constexpr (tile_vectors >= 3) {
        // Four vectors are two and two: one alone has hardly chains enough, and a load for each multiply-add.
        if (left == 2 || left == 4) {
          tile::panel<2, Ahead>(rows, steps, operands, a, b, c, from, from_row, add, next(2));
          j += 2 * lanes<T>;
          continue;
        }
        if (left >= 3) {
          tile::panel<3, Ahead>(rows, steps, operands, a, b, c, from, from_row, add, next(3));
          j += 3 * lanes<T>;
          continue;
        }
      }
      tile::panel<1, Ahead>(rows, steps, operands, a, b, c, from, from_row, add, next(1));
      j += lanes<T>;
    }
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
