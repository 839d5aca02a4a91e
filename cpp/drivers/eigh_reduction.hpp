// One symmetric matrix to tridiagonal form by reflections (kernels/eigh_reduction.hpp), over the threads of a team.
#pragma once

#include "drivers/qr_reflections.hpp"
#include "kernels/eigh_reduction.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// d and e of Q'AQ, and the reflections of Q. Of A the triangle below the diagonal waits in rows: row i has what is in
// column i + 1 of A from its diagonal on. Reflection j has its 1 in row j of that, and makes column j of A
// e[j] and zeros.
template <class T>
class TridiagonalReduction {
 public:
  explicit TridiagonalReduction(Size n) noexcept;

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept;

  // Takes the lower triangle of a matrix. Gives its largest absolute value, infinity if it is not finite.
  T take(Team& team, const T* a, const Layout& l) const noexcept;

  // Multiplied by 2^exponent.
  void scale(int exponent) const noexcept;

  // n numbers d, n - 1 numbers e. The reflections go to `panels`, if there are any, with their tau.
  Outcome run(Team& team, T* d, T* e, T* tau, const ReflectionPanels<T>* panels) const noexcept;

 private:
  static constexpr Size tile = reduction_tile, width = most_in_reduction;
  struct Step;

  // Vectors of reflections, what they are multiplied with, and the former once more: any of two families can come
  // before the other.
  T* v(Size k) const noexcept { return panel_ + k * row_; }
  T* w(Size k) const noexcept { return panel_ + (width + k) * row_; }

  void multiply(Team& team, const Step& s, Corrections<T>& c) const noexcept;
  void update(Team& team, Size from) const noexcept;

  Size n_, rows_, row_;
  T *first_ = nullptr, *a_ = nullptr;                       // column 0 of A; the others
  T *panel_ = nullptr, *sums_ = nullptr, *next_ = nullptr;  // vectors of row_ numbers
};

}  // namespace mmlfast::drivers
