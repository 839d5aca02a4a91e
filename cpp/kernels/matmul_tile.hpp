// Rows of C = A B: tiles of C in registers, with B and C in contiguous rows. Part of kernels/matmul.
#pragma once

#include <cstdint>

#include "kernels/common/fetch_ahead.hpp"
#include "kernels/common/product.hpp"
#include "kernels/matmul.hpp"
#include "simd/narrow.hpp"

namespace mmlfast::MMLFAST_LEVEL::tiled {

// What of the next item is asked for while this one is multiplied. Small ones are asked for anew in each tile; of
// larger ones each line is asked for once; the largest would push this item out of the second cache. (Measured. Tiles
// of 16 bytes have time enough to ask anew, whatever the size, and less code.)
enum class Ahead { anew, once, nothing };
inline constexpr bool asks_anew_always = native_bytes == 16;
inline constexpr std::ptrdiff_t most_anew = 9'216, most_once = 400'000;  // bytes of A and B

constexpr Ahead ahead_of(std::ptrdiff_t count, std::ptrdiff_t bytes) {
  if (asks_anew_always || bytes <= most_anew) return Ahead::anew;
  return count > 1 && bytes <= most_once ? Ahead::once : Ahead::nothing;
}

// Memory that is asked for line by line, each once: a share in every tile, a line or less in every step.
class Lines {
 public:
  Lines() = default;
  // The bytes of A and of B that follow those of an item, in so many tiles, which may be an estimate.
  static Lines of_next_item(std::ptrdiff_t a_bytes, std::ptrdiff_t b_bytes, std::ptrdiff_t depth,
                            std::ptrdiff_t tiles) {
    return {a_bytes, b_bytes, (a_bytes + b_bytes) / tiles, depth};
  }
  // The rows of A behind each tile, until the end of the panel.
  static Lines of_next_rows(std::ptrdiff_t tile_bytes, std::ptrdiff_t depth) {
    Lines rows{tile_bytes, 0, tile_bytes, depth};
    rows.a_ends_ = false;
    return rows;
  }
  // For an item with these operands.
  void start(const void* a, const void* b) {
    a_left_ = a_bytes_;
    b_ = reinterpret_cast<std::uintptr_t>(b) + static_cast<std::uintptr_t>(b_bytes_);
    at_ = a_left_ > 0 ? reinterpret_cast<std::uintptr_t>(a) + static_cast<std::uintptr_t>(a_bytes_) : b_;
  }
  // Returns where the steps of a tile begin to fetch. What is too much for them is fetched here.
  MMLFAST_INLINE std::uintptr_t tile(std::ptrdiff_t depth) {
    const std::uintptr_t from = at_;
    for (std::ptrdiff_t more = 64 * depth; more < share_; more += 64)
      fetch_line<0, 2>(reinterpret_cast<const void*>(at_), more);
    at_ += static_cast<std::uintptr_t>(share_);
    if (a_ends_ && a_left_ > 0 && (a_left_ -= share_) <= 0) at_ = b_;
    return from;
  }
  std::uintptr_t step() const { return static_cast<std::uintptr_t>(step_); }

 private:
  Lines(std::ptrdiff_t a_bytes, std::ptrdiff_t b_bytes, std::ptrdiff_t share, std::ptrdiff_t depth)
      : a_bytes_(a_bytes), b_bytes_(b_bytes), share_(share), step_(share < 64 * depth ? share / depth + 1 : 64) {}

  std::ptrdiff_t a_bytes_ = 0, b_bytes_ = 0, share_ = 0, step_ = 0, a_left_ = 0;
  std::uintptr_t at_ = 0, b_ = 0;
  bool a_ends_ = true;
};

// From row to row and from column to column; passed beside the pointers, which change from tile to tile.
struct Strides {
  std::ptrdiff_t a_row, a_col, b_row, c_row;
  std::ptrdiff_t a_next, b_next, c_next;  // bytes to the next item
  Ahead ahead;
  Lines* once;            // what is asked for once
  Lines* in_first_panel;  // instead, in the first panel of columns; or null
};

// Tiles have tile_rows rows; of narrow rows, one register each:
inline constexpr int most_narrow_rows = native_bytes == 16 ? 4 : 8;

enum class Columns { whole, partial };

// Rows x Vectors registers of C. `columns` is the number of columns in the last of them if they do not fill it.
template <class T, int Width, int Vectors, Columns kind, int Rows>
void tile(std::ptrdiff_t depth, const Strides& strides, const T* a, const T* b, T* c, int columns) {
  using Row = narrow<T, Width>;
  constexpr int whole = kind == Columns::whole ? Vectors : Vectors - 1;
  Row sum[Rows][Vectors];
  _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
    _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) sum[r][v] = Row::zero();
  }
  [[maybe_unused]] const T* a_tile = a;
  // Not a structured binding: Clang before 16 has none in lambdas.
  const std::ptrdiff_t a_row = strides.a_row, a_col = strides.a_col, b_row = strides.b_row, c_row = strides.c_row;
  [[maybe_unused]] const std::ptrdiff_t a_next = strides.a_next, b_next = strides.b_next, c_next = strides.c_next;
  const auto step = [&]() MMLFAST_INLINE_LAMBDA {
    Row row[Vectors];
    _Pragma("GCC unroll 4") for (int v = 0; v < whole; ++v) row[v] = Row::load(b + v * Width);
    if constexpr (whole < Vectors) row[whole] = Row::load_first(b + whole * Width, columns);
    _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
      const Row x = Row::broadcast(a[r * a_row]);
      _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(x, row[v], sum[r][v]);
    }
    a += a_col;
    b += b_row;
  };
  std::ptrdiff_t k = 0;
  if constexpr (Width == lanes<T>) {
    if (asks_anew_always || strides.ahead == Ahead::anew) {
      for (; k < depth; ++k) {
        fetch_line<0, 2>(a_tile + k * lanes<T>, a_next);  // a tile of A is as many lines as it has columns
        _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) fetch_line<0, 2>(b + v * Width, b_next);
        step();
      }
    } else if (strides.ahead == Ahead::once) {
      std::uintptr_t line = strides.once->tile(depth);
      for (const std::uintptr_t further = strides.once->step(); k < depth; ++k, line += further) {
        __builtin_prefetch(reinterpret_cast<const void*>(line), 0, 2);
        step();
      }
    } else {
      for (; k < depth; ++k) step();
    }
  } else {
    for (; k < depth; ++k) step();
  }
  _Pragma("GCC unroll 8") for (int r = 0; r < Rows; ++r) {
    if constexpr (Width == lanes<T>) {
      _Pragma("GCC unroll 4") for (int v = 0; v < Vectors; ++v) fetch_line<0, 2>(c + r * c_row + v * Width, c_next);
    }
    _Pragma("GCC unroll 4") for (int v = 0; v < whole; ++v) sum[r][v].store(c + r * c_row + v * Width);
    if constexpr (whole < Vectors) sum[r][whole].store_first(c + r * c_row + whole * Width, columns);
  }
}

// All rows of one panel of columns, in tiles of nearly equal height.
template <class T, int Width, int Vectors, Columns kind, int MostRows>
void panel(std::ptrdiff_t rows, std::ptrdiff_t depth, const Strides& strides, const T* a, const T* b, T* c,
           int columns) {
  for (std::ptrdiff_t n_tiles = (rows + MostRows - 1) / MostRows; n_tiles > 0; --n_tiles) {
    const std::ptrdiff_t height = (rows + n_tiles - 1) / n_tiles;
    switch (height) {
#define MMLFAST_HEIGHT(Rows)                                                                               \
  case Rows:                                                                                               \
    if constexpr (Rows <= MostRows) tile<T, Width, Vectors, kind, Rows>(depth, strides, a, b, c, columns); \
    break;
      MMLFAST_HEIGHT(1)
      MMLFAST_HEIGHT(2)
      MMLFAST_HEIGHT(3)
      MMLFAST_HEIGHT(4)
      MMLFAST_HEIGHT(5)
      MMLFAST_HEIGHT(6)
      MMLFAST_HEIGHT(7)
      MMLFAST_HEIGHT(8)
#undef MMLFAST_HEIGHT
      default:
        break;
    }
    a += height * strides.a_row;
    c += height * strides.c_row;
    rows -= height;
  }
}

// The columns behind the last whole vector.
template <class T>
void last_panel(std::ptrdiff_t rows, std::ptrdiff_t depth, const Strides& strides, const T* a, const T* b, T* c,
                int columns) {
  constexpr int full = lanes<T>, half = full / 2, quarter = full / 4;
  constexpr bool masks_cost = native_bytes < 64;
  constexpr int half_rows = native_bytes == 16 ? 3 : most_narrow_rows;
  if (columns > half)
    panel<T, full, 1, Columns::partial, tile_rows>(rows, depth, strides, a, b, c, columns);
  else if (masks_cost && columns == half)
    panel<T, half, 1, Columns::whole, half_rows>(rows, depth, strides, a, b, c, columns);
  else if (columns > quarter)
    panel<T, half, 1, Columns::partial, half_rows>(rows, depth, strides, a, b, c, columns);
  else if (masks_cost && columns == quarter)
    panel<T, quarter, 1, Columns::whole, most_narrow_rows>(rows, depth, strides, a, b, c, columns);
  else
    panel<T, quarter, 1, Columns::partial, most_narrow_rows>(rows, depth, strides, a, b, c, columns);
}

// Copies `vectors` whole vectors of each row of B next to each other: rows that are a multiple of 512 bytes apart
// would meet in a few sets of the L1 cache.
template <class T>
void copy_panel(std::ptrdiff_t depth, const T* b, std::ptrdiff_t b_row, std::ptrdiff_t b_next, int vectors, T* to) {
  for (std::ptrdiff_t k = 0; k < depth; ++k, b += b_row)
    for (int v = 0; v < vectors; ++v, to += lanes<T>) {
      fetch_line<0, 2>(b + v * lanes<T>, b_next);
      store(to, load(b + v * lanes<T>));
    }
}

// One panel of `Vectors` registers, copied first if `copies`; `columns` are in the last of them. Where masks cost next
// to nothing, one and two whole registers are masked too: one copy of the code is enough.
template <int Vectors, class T>
void wide_panel(std::ptrdiff_t rows, std::ptrdiff_t depth, const Strides& strides, const T* a, const T* b, T* c,
                T* work, bool copies, int columns) {
  constexpr int full = lanes<T>, height = Vectors == 4 ? 6 : tile_rows;
  const auto run = [&](const Strides& s, const T* from) {
    if constexpr (Vectors != 2)
      if (columns == full) return panel<T, full, Vectors, Columns::whole, height>(rows, depth, s, a, from, c, full);
    if constexpr (Vectors > 1) panel<T, full, Vectors, Columns::partial, height>(rows, depth, s, a, from, c, columns);
  };
  if (!copies) return run(strides, b);
  copy_panel(depth, b, strides.b_row, strides.b_next, Vectors, work);
  Strides s = strides;
  s.b_row = Vectors * full;
  s.b_next = 0;
  run(s, work);
}

// How many of these registers the next panel of columns takes: three, in tiles of eight rows, are the fastest
// (measured); four, in tiles of six rows, where threes would leave one register over, or two of eight.
constexpr int panel_vectors(std::ptrdiff_t registers) {
  if (registers == 4 || registers == 7 || registers == 8 || registers == 10) return 4;
  return registers == 2 ? 2 : 3;
}

// c = a b for one item. `work`: depth * 4 vectors.
template <class T>
void multiply(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t depth, const Strides& strides, const T* a,
              const T* b, T* c, T* work) {
  constexpr int full = lanes<T>;
  // Narrow panels meet in fewer sets of the cache (measured).
  constexpr std::ptrdiff_t far = tile_vectors == 1 ? 512 : 1088;
  const bool copies = rows >= 24 && depth >= 32 && strides.b_row * static_cast<std::ptrdiff_t>(sizeof(T)) >= far;
  Strides asking_for_rows;
  const Strides* s = &strides;
  if (strides.in_first_panel != nullptr) {
    asking_for_rows = strides;
    asking_for_rows.ahead = Ahead::once;
    asking_for_rows.once = strides.in_first_panel;
    s = &asking_for_rows;
  }
  const auto advance = [&](int vectors) {
    cols -= vectors * full;
    b += vectors * full;
    c += vectors * full;
    s = &strides;
  };
  if constexpr (tile_vectors == 3) {
    // Columns that do not fill a register are in one tile with those before them, unless these are copied.
    while (cols > full) {
      const std::ptrdiff_t registers = copies && cols >= 2 * full ? cols / full : (cols + full - 1) / full;
      const int vectors = panel_vectors(registers);
      const int columns = cols < vectors * full ? static_cast<int>(cols) - (vectors - 1) * full : full;
      const bool copied = copies && columns == full;
      if (vectors == 4)
        wide_panel<4>(rows, depth, *s, a, b, c, work, copied, columns);
      else if (vectors == 3)
        wide_panel<3>(rows, depth, *s, a, b, c, work, copied, columns);
      else
        wide_panel<2>(rows, depth, *s, a, b, c, work, copied, columns);
      advance(vectors);
    }
  } else {
    while (cols >= full) {
      wide_panel<1>(rows, depth, *s, a, b, c, work, copies, full);
      advance(1);
    }
  }
  if (cols > 0) last_panel(rows, depth, *s, a, b, c, static_cast<int>(cols));
}

// Square matrices of a size known to the compiler, one row of B and of C per register, one item after another.
template <int N, class T>
void squares(std::ptrdiff_t count, const MatrixStack<const T>& a, const MatrixStack<const T>& b,
             const MatrixStack<T>& c) {
  constexpr int quarter = lanes<T> / 4, half = lanes<T> / 2,
                width = N <= quarter ? quarter
                        : N <= half  ? half
                                     : 2 * half;
  using Row = narrow<T, width>;
  const T* pa = a.data;
  const T* pb = b.data;
  T* pc = c.data;
  const std::ptrdiff_t a_row = a.layout.row_stride, a_col = a.layout.col_stride, b_row = b.layout.row_stride,
                       c_row = c.layout.row_stride;
  for (std::ptrdiff_t i = 0; i < count; ++i, pa += a.stride, pb += b.stride, pc += c.stride) {
    Row row[N];
    _Pragma("GCC unroll 8") for (int k = 0; k < N; ++k) row[k] =
        N == width ? Row::load(pb + k * b_row) : Row::load_first(pb + k * b_row, N);
    _Pragma("GCC unroll 8") for (int r = 0; r < N; ++r) {
      Row sum = Row::zero();
      _Pragma("GCC unroll 8") for (int k = 0; k < N; ++k) sum =
          fma(Row::broadcast(pa[r * a_row + k * a_col]), row[k], sum);
      if constexpr (N == width)
        sum.store(pc + r * c_row);
      else
        sum.store_first(pc + r * c_row, N);
    }
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::tiled
