// Vectors multiplied by the reflections that LAPACK has reduced a matrix with, in panels, over the threads of a team.
#pragma once

#include <algorithm>

#include "drivers/qr_panels.hpp"
#include "kernels/common/spread_stride.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Reflections 0 .. count - 1 of vectors of so many rows: number j has its 1 in row j + first.
template <class T>
class ReflectionPanels {
 public:
  ReflectionPanels(Size rows, Size count, Size first) noexcept
      : rows_(rows),
        count_(count),
        first_(first),
        width_(reflections_of_panel(count)),
        column_(spread_stride<T>(rows)) {}

  void lay_out(Divider& divider) noexcept {
    v_ = divider.take<T>(checked_product(count_, column_));
    t_ = divider.take<T>(width_ * (count_ + width_));
  }
  // Numbers from row to row of the vectors, of which there are `columns`.
  static Size row_step(Size columns) noexcept { return spread_stride<T>(columns + items_per_group<T>); }

  // What is behind the 1 of reflection j begins at a + j * next + (j + first + 1) * step, and goes on in steps of
  // `step`.
  void gather(Team& team, const T* a, Size step, Size next, const T* tau) const noexcept {
    team.run(ceil_div(count_, width_), [&](Team::Block panel) {
      const Panel<T> p = at(panel);
      T* const to_panel = v_ + panel * width_ * column_;
      for (Size j = 0; j < p.count; ++j) {
        T* const column = to_panel + j * column_;
        const Size number = panel * width_ + j;
        const T* const from = a + number * next + (number + first_ + 1) * step;
        std::fill_n(column, j, T{0});
        column[j] = 1;
        for (Size i = j + 1; i < p.rows; ++i) column[i] = from[(i - j - 1) * step];
        std::fill(column + p.rows, column + round_up(p.rows, items_per_group<T>), T{0});
      }
      kernel_of<Qr<T>>().join(to_panel, column_, p.rows, p.count, tau + panel * width_, t_ + panel * width_ * width_);
    });
  }

  // x := H_0 H_1 .. x for `columns` columns, in rows row_step(columns) apart. take_in(c, own) puts columns c .. c + own
  // into x, with zeros or numbers up to whole vectors; give_out(c, own) is called when they are done.
  template <class TakeIn, class GiveOut>
  void apply(Team& team, T* x, Size columns, TakeIn&& take_in, GiveOut&& give_out) const noexcept {
    const Size row = row_step(columns);
    for_each_strip<T>(team, rows_, 0, columns, 0, [&](Size c, Size cols) {
      const Size own = std::min(cols, columns - c);
      take_in(c, own);
      for (Size panel = ceil_div(count_, width_); panel-- > 0;)
        apply_panel(at(panel), false, x + (panel * width_ + first_) * row + c, row, cols, 0);
      give_out(c, own);
    });
  }

 private:
  Panel<T> at(Size panel) const noexcept {
    const Size before = panel * width_;
    return {v_ + before * column_, t_ + before * width_, column_, rows_ - first_ - before,
            std::min(width_, count_ - before)};
  }

  Size rows_, count_, first_, width_, column_;
  T *v_ = nullptr, *t_ = nullptr;
};

}  // namespace mmlfast::drivers
