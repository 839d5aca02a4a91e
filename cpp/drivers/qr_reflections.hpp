// Vectors multiplied by the reflections that a matrix was reduced with, in panels, over the threads of a team.
#pragma once

#include <algorithm>

#include "drivers/common/stops.hpp"
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

  // Reflection j: its 1 and what comes behind it.
  void put(Size j, const T* from) const noexcept {
    const Size panel = j / width_, before = j % width_;
    T* const column = v_ + j * column_;
    std::fill_n(column, before, T{0});
    std::copy_n(from, rows_ - first_ - j, column + before);
    const Size rows = rows_ - first_ - panel * width_;
    std::fill(column + rows, column + round_up(rows, items_per_group<T>), T{0});
  }

  // When all are there.
  void join(Team& team, const T* tau) const noexcept {
    team.run(ceil_div(count_, width_), [&](Team::Block panel) {
      const Panel<T> p = at(panel);
      kernel_of<Qr<T>>().join(p.v, column_, p.rows, p.count, tau + panel * width_, t_ + panel * width_ * width_);
    });
  }

  // x := H_0 H_1 .. x for `columns` columns, in rows row_step(columns) apart. take_in(c, own) puts columns c .. c + own
  // into x, with zeros or numbers up to whole vectors; give_out(c, own) is called when they are done.
  template <class TakeIn, class GiveOut>
  Outcome apply(Team& team, T* x, Size columns, TakeIn&& take_in, GiveOut&& give_out) const noexcept {
    const Size row = row_step(columns);
    JoinedOutcome outcome;
    for_each_strip<T>(team, rows_, 0, columns, 0, [&](Size c, Size cols) {
      const Size own = std::min(cols, columns - c);
      take_in(c, own);
      for (Size panel = ceil_div(count_, width_); panel-- > 0;) {
        if (stops(outcome)) return;
        apply_panel(at(panel), false, x + (panel * width_ + first_) * row + c, row, cols, 0);
      }
      give_out(c, own);
    });
    return outcome.get();
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
