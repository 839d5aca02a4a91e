// Factors of one large matrix, and solutions by them, in blocks: one panel of columns after the other, what is right of
// it by all threads, while one of them goes ahead with the next panel. Bits do not depend on threads nor on the SIMD
// level.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "kernels/common/layout.hpp"
#include "kernels/elimination_blocks.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// Columns of a panel (measured), a multiple of the lanes of both types; columns right of it go to threads by as many.
inline constexpr Size widest_panel = 96, most_lanes = 16;
constexpr Size panel_width(Size steps) { return steps < 256 ? 32 : steps < 2048 ? 48 : widest_panel; }
// Columns of a band of solutions, and rows that are solved for at a time.
inline constexpr Size solved_band = 48;

// Pivots are 32-bit numbers, and the vectors of a column are counted in T.
template <class T>
inline constexpr Size most_rows = sizeof(T) == 8 ? Size{std::numeric_limits<std::int32_t>::max()} : Size{1} << 28;

// A column-major matrix in working memory, with the zeros after its last row and column that the kernels want. Columns
// are an odd number of lines apart, so that they spread over the caches.
template <class T>
struct BlockMatrix {
  Size rows, cols;
  T* data;

  static Size step(Size rows) {
    constexpr Size line = 64 / static_cast<Size>(sizeof(T));
    return (ceil_div(rows + most_lanes, line) | 1) * line;
  }
  // -1 if there are too many.
  static Size elements(Size rows, Size cols) {
    return checked_product(step(rows), ceil_div(cols, most_lanes) * most_lanes);
  }

  Size step() const { return step(rows); }
  T* at(Size row, Size column) const { return data + column * step() + row; }
  // A copy of a matrix, by all threads where that is worth it. ok, or interrupted.
  Outcome take(const T* item, const Layout& layout) const noexcept { return take(item, layout, false); }
  // Of a square matrix, the lower triangle, and something above it.
  Outcome take_lower(const T* item, const Layout& layout) const noexcept { return take(item, layout, true); }

 private:
  Outcome take(const T* item, const Layout& layout, bool lower) const noexcept;
};

// Rows and columns from `from` on, whose columns are `step` apart, to a matrix of this layout.
template <class T>
void give_block(const T* from, Size step, T* item, const Layout& layout) noexcept;

// LU with partial pivoting, in place: row k was exchanged with row pivot[k] >= k (from 0), for k < min(rows, cols), as
// in LAPACK's getrf. `divides`: what solutions have to know.
template <class T>
Outcome lu_in_blocks(const BlockMatrix<T>& a, std::int32_t* pivot, bool* divides) noexcept;

// x := u^-1 l^-1 x, by one thread; the rows of x before row `first`, a multiple of solved_band, are zero. x.rows: of
// the whole matrix.
template <class T>
void solve_in_blocks(const BlockMatrix<T>& lu, bool divides, const BlockMatrix<T>& x, Size first) noexcept;

// The lower Cholesky factor in place of the lower triangle; what is above it is written over. failed_items: the matrix
// is not positive definite.
template <class T>
Outcome cholesky_in_blocks(const BlockMatrix<T>& a) noexcept;

// Rows r0 .. of one triangle of the factors, in tiles: of(r, j) is what those across the diagonal get.
template <class T, class Of>
void give_triangle(const BlockMatrix<T>& f, Size r0, Size rows, T* to, const Layout& layout, bool lower, Of&& of) {
  constexpr Size tile = 32;
  for (Size j0 = 0; j0 < layout.cols; j0 += tile) {
    const Size cols = std::min(tile, layout.cols - j0);
    T* part = to + r0 * layout.row_stride + j0 * layout.col_stride;
    const Layout tile_layout{rows, cols, layout.row_stride, layout.col_stride};
    const bool whole = lower ? j0 + cols <= r0 : r0 + rows <= j0, empty = lower ? r0 + rows <= j0 : j0 + cols <= r0;
    if (empty)
      set_all(part, tile_layout, T{0});
    else if (whole)
      give_block<T>(f.at(r0, j0), f.step(), part, tile_layout);
    else
      for (Size r = r0; r < r0 + rows; ++r)
        for (Size j = j0; j < j0 + cols; ++j) to[r * layout.row_stride + j * layout.col_stride] = of(r, j);
  }
}

// On one thread, to a factor of two; decides only about threads.
template <class T>
inline constexpr double multiply_add_ns = sizeof(T) == 8 ? 0.024 : 0.012;

// Multiplications that take longer than waking a thread.
inline bool is_worth_a_team(double multiplications) { return multiplications > 1e6; }

// The factors of one matrix: panels are not begun any more after Ctrl-C. Only matrices of many multiplications ask,
// which come one after another (run_matrices), in the thread of the public call.
class InterruptedFactors {
 public:
  explicit InterruptedFactors(double multiplications) : asks_(multiplications > 2e9) {}
  // In the thread that leads the team, between blocks.
  void ask() noexcept {
    if (asks_ && timer_.interrupted()) stop_.store(true, std::memory_order_relaxed);
  }
  bool stopped() const noexcept { return stop_.load(std::memory_order_relaxed); }

 private:
  const bool asks_;
  InterruptTimer timer_;
  std::atomic<bool> stop_{false};
};

}  // namespace mmlfast::drivers
