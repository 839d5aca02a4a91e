#include "drivers/eigh_reduction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "drivers/common/reduction_shares.hpp"

namespace mmlfast::drivers {

using Shares = ReductionShares;

// Reflection j, number k of its panel.
template <class T>
struct TridiagonalReduction<T>::Step {
  Size j, k, begin, end, parts, threads;
};

template <class T>
TridiagonalReduction<T>::TridiagonalReduction(Size n) noexcept
    : n_(n), rows_(round_up(n - 1, tile)), row_(spread_stride<T>(rows_)) {}

template <class T>
void TridiagonalReduction<T>::lay_out(Divider& divider) noexcept {
  a_ = divider.take<T>(checked_product(rows_, row_));
  panel_ = divider.take<T>(3 * width * row_);
  sums_ = divider.take<T>(Shares::most_parts * row_);
  next_ = divider.take<T>(row_);
  first_ = divider.take<T>(n_);
}

template <class T>
T TridiagonalReduction<T>::take(Team& team, const T* from, const Layout& l) const noexcept {
  const Size m = n_ - 1;
  for (Size i = 0; i < n_; ++i) first_[i] = from[i * l.row_stride];
  T largest = largest_finite(first_, n_);
  team.run(rows_ / tile, [&](Team::Block t) {
    const Size begin = t * tile, count = std::min(tile, m - begin);
    T* const rows = a_ + begin * row_ + begin;
    kernel_of<Qr<T>>().gather(from + (begin + 1) * (l.row_stride + l.col_stride),
                              Layout{m - begin, count, l.row_stride, l.col_stride}, rows, row_);
    for (Size i = 0; i < tile; ++i) {
      for (Size j = 0; j < i && i < count; ++j) rows[i * row_ + j] = rows[j * row_ + i];
      const Size filled = i < count ? m - begin : 0;
      std::fill(rows + i * row_ + filled, rows + i * row_ + rows_ - begin, T{0});
    }
  });
  for (Size i = 0; i < m; ++i) largest = std::max(largest, largest_finite(a_ + i * row_ + i, m - i));
  return largest;
}

template <class T>
void TridiagonalReduction<T>::scale(int exponent) const noexcept {
  multiply_by_power(first_, n_, exponent);
  for (Size i = 0; i < n_ - 1; ++i)
    multiply_by_power(a_ + i * row_ + i / tile * tile, rows_ - i / tile * tile, exponent);
}

// w: the matrix times v, less what the reflections before have to do with it; next: the column that comes after.
template <class T>
void TridiagonalReduction<T>::multiply(Team& team, const Step& s, Corrections<T>& c) const noexcept {
  const Reduction<T>& kernel = kernel_of<Reduction<T>>();
  const Families<T> others{w(0), v(0), row_, s.k};
  c.count = s.k;
  for (Size k = 0; k < s.k; ++k) {
    c.next_left[k] = w(k)[s.j];
    c.next_right[k] = v(k)[s.j];
  }
  team.run(s.threads, [&](Team::Block thread) {
    for (Size part = thread; part < s.parts; part += s.threads)
      kernel.symmetric(a_, row_, s.j, n_ - 1, part, s.parts, v(s.k), sums_ + part * row_);
    others.multiply(thread, s.threads, v(s.k), s.begin, s.end, c.y_left, c.y_right);
  });
  const Size threads = Shares::threads_for_vectors(s.end - s.begin, s.k, s.threads);
  team.run(threads, [&](Team::Block thread) {
    const TileRange range(s.begin, s.end, thread, threads);
    kernel.correct(range.begin, range.end, c, s.parts, sums_, row_, a_ + s.j * row_, w(s.k), next_);
  });
}

template <class T>
void TridiagonalReduction<T>::update(Team& team, Size from) const noexcept {
  const Size tiles = (rows_ - from) / tile, parts = Shares::parts_of(n_),
             threads = Shares::threads(tiles * tile, parts);
  std::copy_n(v(0), width * row_, v(2 * width));
  team.run(threads, [&](Team::Block thread) {
    for (Size t = from / tile; t < rows_ / tile; ++t) {
      if (t % parts % threads != thread) continue;
      const Size begin = t * tile;
      kernel_of<Reduction<T>>().add(tile, rows_ - begin, 2 * width, v(0) + begin, row_, w(0) + begin, row_,
                                    a_ + begin * row_ + begin, row_);
    }
  });
}

template <class T>
Outcome TridiagonalReduction<T>::run(Team& team, T* d, T* e, T* tau, const ReflectionPanels<T>* panels) const noexcept {
  const Reduction<T>& kernel = kernel_of<Reduction<T>>();
  const Size m = n_ - 1, parts = Shares::parts_of(n_);
  InterruptTimer timer;
  Corrections<T> c;
  c.left = v(0);
  c.right = w(0);
  c.step = row_;
  d[0] = first_[0];
  std::copy_n(first_ + 1, m, next_);
  std::fill(next_ + m, next_ + row_, T{0});
  for (Size j = 0; j < m; ++j) {
    const Size begin = j / tile * tile, k = j % width;
    const Step s{j, k, begin, rows_, parts, Shares::threads(rows_ - begin, parts)};
    if (timer.interrupted()) return {Outcome::Status::interrupted};
    std::fill(next_ + begin, next_ + j, T{0});
    tau[j] = kernel.reflect(next_ + begin, j - begin, rows_ - begin, e[j]);
    std::copy(next_ + begin, next_ + rows_, v(k) + begin);
    if (panels != nullptr) panels->put(j, next_ + j);
    multiply(team, s, c);
    kernel.finish(begin, rows_, j, tau[j], v(k), w(k), next_);
    d[j + 1] = next_[j];
    if (k == width - 1 && j + 1 < m) update(team, j + 1);
  }
  return {};
}

template class TridiagonalReduction<double>;
template class TridiagonalReduction<float>;

}  // namespace mmlfast::drivers
