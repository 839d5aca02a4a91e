// The SVD of one matrix, not much taller than wide: reduction to bidiagonal form (drivers/svd_reduction.hpp), divide
// and conquer of that (drivers/svd_divide.hpp), and its vectors brought back by panels of reflections.
#pragma once

#include <algorithm>

#include "drivers/common/column_major.hpp"
#include "drivers/qr_reflections.hpp"
#include "drivers/svd_divide.hpp"
#include "drivers/svd_reduction.hpp"

namespace mmlfast::drivers {

template <class T>
class LargeSvd {
 public:
  // Of m x n, m >= n, with p columns of U; 0: the values alone.
  LargeSvd(Size m, Size n, Size p, const LapackRoutines<T>& routines) noexcept
      : m_(m),
        n_(n),
        p_(p),
        routines_(routines),
        reduction_(m, n),
        divide_(n, routines),
        left_(m, n, 0),
        right_(n, n - 1, 1) {}

  // Where it is faster than LAPACK's (measured): taller ones are better off with a QR first.
  static bool suits(Size m, Size n, bool vectors) noexcept { return n > (vectors ? most_undivided : 16) && m <= 4 * n; }

  void lay_out(Divider& divider) noexcept {
    for (T** list : {&d_, &e_, &left_tau_, &right_tau_}) *list = divider.take<T>(n_);
    if (p_ > 0) {
      left_.lay_out(divider);
      right_.lay_out(divider);
    }
    // The matrix is not needed any more when the rest is.
    Divider rest = divider;
    reduction_.lay_out(divider);
    if (p_ == 0) {
      work_ = rest.take<T>(4 * n_);
    } else {
      for (T** square : {&u_, &v_}) *square = rest.take<T>(checked_product(n_, n_));
      Divider last = rest;
      divide_.lay_out(rest);  // nor is this when the vectors are brought back
      const Size left = checked_product(m_, left_.row_step(p_)), right = checked_product(n_, right_.row_step(n_));
      work_ = last.take<T>(left < 0 || right < 0 ? -1 : std::max(left, right));
      divider.take_more(last);
    }
    divider.take_more(rest);
  }

  // a (m x n, by columns, finite) is overwritten. s: descending; u (m x p) and vt (n x n), unless p is 0, by columns.
  // failed_items if there is no answer.
  Outcome solve(T* a, T* s, T* u, T* vt, bool threaded) const noexcept {
    const int exponent = far_exponent(largest_finite(a, m_ * n_));
    multiply_by_power(a, m_ * n_, -exponent);
    const bool vectors = p_ > 0;
    Outcome outcome = run_in_team(threaded, [&](Team& team) {
      Outcome found = reduction_.run(team, a, d_, e_, left_tau_, right_tau_, vectors ? &left_ : nullptr,
                                     vectors ? &right_ : nullptr);
      if (found.ok() && vectors) found = divide_.solve(team, d_, e_, u_, v_);
      if (found.ok() && vectors) {
        left_.join(team, left_tau_);
        found = bring_back(team, left_, m_, u_, p_, u, 1, m_);
      }
      if (found.ok() && vectors) {
        right_.join(team, right_tau_);
        found = bring_back(team, right_, n_, v_, n_, vt, n_, 1);
      }
      return found;
    });
    if (outcome.ok() && !vectors) outcome = find_values();
    if (!outcome.ok()) return outcome;
    for (Size k = 0; k < n_; ++k) s[k] = d_[n_ - 1 - k];
    multiply_by_power(s, n_, exponent);
    return outcome;
  }

 private:
  // Ascending, in place of d.
  Outcome find_values() const noexcept {
    if (routines_.lasdq(false, n_, d_, e_, nullptr, 1, nullptr, 1, work_) != 0) return {Outcome::Status::failed_items};
    std::sort(d_, d_ + n_);
    return {};
  }

  // Vectors of n numbers, in rows and in the order of ascending values, behind them zeros up to `rows`, or those of the
  // identity from number n on. Number i of vector c goes to to[i * step + c * next].
  Outcome bring_back(Team& team, const ReflectionPanels<T>& panels, Size rows, const T* vectors, Size columns, T* to,
                     Size step, Size next) const noexcept {
    const Qr<T>& kernel = kernel_of<Qr<T>>();
    const Size row = panels.row_step(columns);
    T* const x = work_;
    return panels.apply(
        team, x, columns,
        [&](Size c, Size own) {
          const Size from_vectors = std::clamp<Size>(n_ - c, 0, own);
          if (from_vectors > 0)
            kernel.gather(vectors + (n_ - 1 - c) * n_, Layout{from_vectors, n_, -n_, 1}, x + c, row);
          for (Size i = 0; i < rows; ++i) {
            T* const in_row = x + i * row + c;
            std::fill(in_row + (i < n_ ? from_vectors : 0), in_row + round_up(own, items_per_group<T>), T{0});
            if (i >= n_ && i >= c && i < c + own) in_row[i - c] = 1;
          }
        },
        [&](Size c, Size own) { kernel.copy_out(x + c, row, to + c * next, Layout{rows, own, step, next}); });
  }

  Size m_, n_, p_;
  const LapackRoutines<T>& routines_;
  BidiagonalReduction<T> reduction_;
  BidiagonalDivide<T> divide_;
  ReflectionPanels<T> left_, right_;
  T *d_ = nullptr, *e_ = nullptr, *left_tau_ = nullptr, *right_tau_ = nullptr, *work_ = nullptr, *u_ = nullptr,
    *v_ = nullptr;
};

}  // namespace mmlfast::drivers
