#include "drivers/svd_reduction.hpp"

#include <algorithm>

#include "drivers/common/reduction_shares.hpp"

namespace mmlfast::drivers {

using Shares = ReductionShares;

template <class T>
BidiagonalReduction<T>::BidiagonalReduction(Size m, Size n) noexcept
    : m_(m),
      n_(n),
      rows_(round_up(m, tile)),
      columns_(round_up(n, tile)),
      row_(spread_stride<T>(rows_)),
      short_row_(spread_stride<T>(columns_)) {}

template <class T>
void BidiagonalReduction<T>::lay_out(Divider& divider) noexcept {
  a_ = divider.take<T>(checked_product(columns_, row_));
  long_ = divider.take<T>(checked_product(2 * width, row_));
  short_ = divider.take<T>(checked_product(2 * width, short_row_));
  panel_rows_ = divider.take<T>(checked_product(width, short_row_));
  sums_ = divider.take<T>(checked_product(Shares::most_parts, row_));
  next_column_ = divider.take<T>(row_);
  products_ = divider.take<T>(short_row_);
  next_row_ = divider.take<T>(short_row_);
}

// Rows from .. from + width - 1, whose elements lie far from each other.
template <class T>
void BidiagonalReduction<T>::gather_rows(Size from) const noexcept {
  kernel_of<Qr<T>>().gather(a_ + from * row_ + from, Layout{columns_ - from, std::min(width, n_ - from), row_, 1},
                            panel_rows_ + from, short_row_);
}

template <class T>
void BidiagonalReduction<T>::reflect_column(Size j, T& tau, T& d, const ReflectionPanels<T>* left) const noexcept {
  const Size begin = j / tile * tile, k = j % width;
  std::fill(next_column_ + begin, next_column_ + j, T{0});
  tau = kernel_of<Reduction<T>>().reflect(next_column_ + begin, j - begin, rows_ - begin, d);
  std::copy(next_column_ + begin, next_column_ + rows_, v(k) + begin);
  if (left != nullptr) left->put(j, next_column_ + j);
}

// y: A' v, less what the reflections before have to do with it; and row j.
template <class T>
void BidiagonalReduction<T>::find_y(Team& team, Size j, T tau) const noexcept {
  const Reduction<T>& kernel = kernel_of<Reduction<T>>();
  const Size k = j % width, long_begin = j / tile * tile, begin = (j + 1) / tile * tile;
  const Size parts = Shares::parts_of(n_), threads = Shares::threads(columns_ - begin, parts);
  const Families<T> others{v(0), x(0), row_, k};
  Corrections<T> c;
  c.left = y(0);
  c.right = u(0);
  c.step = short_row_;
  c.count = k;
  for (Size i = 0; i < k; ++i) {
    c.next_left[i] = v(i)[j];
    c.next_right[i] = x(i)[j];
  }
  team.run(threads, [&](Team::Block thread) {
    for (Size part = thread; part < parts; part += threads)
      kernel.multiply(a_, row_, begin, n_, part, parts, long_begin, rows_, v(k), products_);
    others.multiply(thread, threads, v(k), long_begin, rows_, c.y_left, c.y_right);
  });
  const Size sharing = Shares::threads_for_vectors(columns_ - begin, k, threads);
  team.run(sharing, [&](Team::Block thread) {
    const TileRange range(begin, columns_, thread, sharing);
    kernel.correct(range.begin, range.end, c, 1, products_, 0, panel_rows_ + k * short_row_, y(k), next_row_);
  });
  kernel.finish(begin, columns_, 0, tau, nullptr, y(k), next_row_);
}

// x: A u, less what the reflections before have to do with it; and column j + 1.
template <class T>
void BidiagonalReduction<T>::find_x(Team& team, Size j, T tau) const noexcept {
  const Reduction<T>& kernel = kernel_of<Reduction<T>>();
  const Size k = j % width, begin = (j + 1) / tile * tile;
  const Size parts = Shares::parts_of(n_), threads = Shares::threads(columns_ - begin, parts);
  const Families<T> others{y(0), u(0), short_row_, k + 1};
  Corrections<T> c;
  c.left = v(0);
  c.right = x(0);
  c.step = row_;
  c.count = k + 1;
  for (Size i = 0; i <= k; ++i) {
    c.next_left[i] = y(i)[j + 1];
    c.next_right[i] = u(i)[j + 1];
  }
  std::fill(x(k) + begin, x(k) + rows_, T{0});  // not known yet: finish() adds it
  team.run(threads, [&](Team::Block thread) {
    for (Size part = thread; part < parts; part += threads)
      kernel.transposed(a_, row_, begin, n_, part, parts, begin, rows_, u(k), sums_ + part * row_);
    others.multiply(thread, threads, u(k), begin, columns_, c.y_left, c.y_right);
  });
  const Size sharing = Shares::threads_for_vectors(rows_ - begin, k + 1, threads);
  team.run(sharing, [&](Team::Block thread) {
    const TileRange range(begin, rows_, thread, sharing);
    kernel.correct(range.begin, range.end, c, parts, sums_, row_, a_ + (j + 1) * row_, x(k), next_column_);
  });
  kernel.finish(begin, rows_, 0, tau, nullptr, x(k), next_column_);
}

template <class T>
void BidiagonalReduction<T>::update(Team& team, Size from) const noexcept {
  const Size parts = Shares::parts_of(n_), threads = Shares::threads(columns_ - from, parts);
  team.run(threads, [&](Team::Block thread) {
    for (Size t = from / tile; t < columns_ / tile; ++t)
      if (t % parts % threads == thread)
        kernel_of<Reduction<T>>().add(tile, rows_ - from, 2 * width, y(0) + t * tile, short_row_, v(0) + from, row_,
                                      a_ + t * tile * row_ + from, row_);
  });
}

template <class T>
Outcome BidiagonalReduction<T>::run(Team& team, const T* a, T* d, T* e, T* left_tau, T* right_tau,
                                    const ReflectionPanels<T>* left, const ReflectionPanels<T>* right) const noexcept {
  const Reduction<T>& kernel = kernel_of<Reduction<T>>();
  InterruptTimer timer;
  team.run(columns_ / tile, [&](Team::Block t) {
    for (Size j = t * tile; j < (t + 1) * tile; ++j) {
      const Size filled = j < n_ ? m_ : 0;
      std::copy_n(a + j * m_, filled, a_ + j * row_);
      std::fill(a_ + j * row_ + filled, a_ + j * row_ + rows_, T{0});
    }
  });
  std::copy_n(a_, rows_, next_column_);
  std::fill_n(products_, columns_, T{0});
  gather_rows(0);
  for (Size j = 0; j < n_; ++j) {
    const Size k = j % width;
    if (timer.interrupted()) return {Outcome::Status::interrupted};
    reflect_column(j, left_tau[j], d[j], left);
    if (j + 1 == n_) break;
    find_y(team, j, left_tau[j]);
    const Size begin = (j + 1) / tile * tile;
    std::fill(next_row_ + begin, next_row_ + j + 1, T{0});
    right_tau[j] = kernel.reflect(next_row_ + begin, j + 1 - begin, columns_ - begin, e[j]);
    std::copy(next_row_ + begin, next_row_ + columns_, u(k) + begin);
    if (right != nullptr) right->put(j, next_row_ + j + 1);
    find_x(team, j, right_tau[j]);
    if (k == width - 1) {
      update(team, j + 1);
      gather_rows(j + 1);
    }
  }
  return {};
}

template class BidiagonalReduction<double>;
template class BidiagonalReduction<float>;

}  // namespace mmlfast::drivers
