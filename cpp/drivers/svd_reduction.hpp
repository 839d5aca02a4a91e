// One matrix to upper bidiagonal form by reflections from both sides (kernels/eigh_reduction.hpp), over the threads of
// a team.
#pragma once

#include "drivers/qr_reflections.hpp"
#include "kernels/eigh_reduction.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// Of A, m x n, m >= n, columns lie in rows of working memory. Reflection j from the left has its 1 in row j and makes
// column j d[j] and zeros below; the one from the right, in column j + 1, makes row j e[j] and zeros behind.
template <class T>
class BidiagonalReduction {
 public:
  BidiagonalReduction(Size m, Size n) noexcept;

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept;

  // a: m x n by columns, finite. n numbers d, n - 1 numbers e, n and n - 1 numbers tau; the reflections go to `left`
  // and `right`, if these are not nullptr.
  Outcome run(Team& team, const T* a, T* d, T* e, T* left_tau, T* right_tau, const ReflectionPanels<T>* left,
              const ReflectionPanels<T>* right) const noexcept;

 private:
  static constexpr Size tile = reduction_tile, width = most_in_reduction;

  // A + V Y' + X U': the vectors of reflections from the left and from the right, and what belongs to them. V and X are
  // as long as columns, Y and U as rows.
  T* v(Size k) const noexcept { return long_ + k * row_; }
  T* x(Size k) const noexcept { return long_ + (width + k) * row_; }
  T* y(Size k) const noexcept { return short_ + k * short_row_; }
  T* u(Size k) const noexcept { return short_ + (width + k) * short_row_; }

  void reflect_column(Size j, T& tau, T& d, const ReflectionPanels<T>* left) const noexcept;
  void find_y(Team& team, Size j, T tau) const noexcept;
  void find_x(Team& team, Size j, T tau) const noexcept;
  void update(Team& team, Size from) const noexcept;
  void gather_rows(Size from) const noexcept;

  Size m_, n_, rows_, columns_, row_, short_row_;  // rows_: m, columns_: n in whole tiles
  T* a_ = nullptr;                                 // columns_ x row_
  T *long_ = nullptr, *sums_ = nullptr, *next_column_ = nullptr;
  T *short_ = nullptr, *products_ = nullptr, *next_row_ = nullptr;
  T* panel_rows_ = nullptr;  // those of A that the panel will need
};

}  // namespace mmlfast::drivers
