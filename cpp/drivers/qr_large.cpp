#include "drivers/qr_large.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/common/stops.hpp"
#include "drivers/qr_panels.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// The shapes and the pieces of scratch memory of one item; p columns of Q, or 0.
template <class T>
struct LargeQr {
  static constexpr Size lanes = items_per_group<T>;
  const Qr<T>& kernel;
  Size m, n, p;
  Size k = std::min(m, n), width = reflections_of_panel(k);
  // The last vector of a row may be written past its end.
  Size row = spread_stride<T>(std::max(n, p) + lanes), column = spread_stride<T>(m);

  Size elements() const {
    const Size rows = checked_product(m, row), reflections = checked_product(column, k);
    if (rows < 0 || reflections < 0) return -1;
    return rows + reflections + 2 * width * (k + width) + round_up(n, lanes);
  }
  Size bytes() const {
    const Size count = elements();
    return count < 0 ? -1 : checked_product(count, static_cast<Size>(sizeof(T)));
  }

  // The matrix, then Q, in rows; the panels of reflections; M of each; R of a panel; the largest of each column.
  T* x(T* base) const { return base; }
  T* v(T* base, Size j) const { return base + m * row + j * column; }
  T* t(T* base, Size j) const { return base + m * row + k * column + j * width; }
  T* r(T* base) const { return t(base, k + width); }
  T* largest(T* base) const { return r(base) + width * width; }
  Size reflections(Size j) const { return std::min(width, k - j); }
  Panel<T> panel(T* base, Size j) const { return {v(base, j), t(base, j), column, m - j, reflections(j)}; }
};

// A run over one item. Strips of columns are blocks of work: their widths do not change a bit.
template <class T>
class LargeQrRun {
 public:
  LargeQrRun(const LargeQr<T>& shape, T* base, Team& team) noexcept : s_(shape), base_(base), team_(team) {}

  bool interrupted() const noexcept { return interrupted_; }

  // False: NaN or infinity is in it. Columns whose squares could leave the range are scaled by a power of two.
  bool copy_in(const T* a, const Layout& l) noexcept {
    strips(0, s_.n, [&](Size j, Size cols) {
      s_.kernel.copy_in(a + j * l.col_stride, Layout{s_.m, std::min(cols, s_.n - j), l.row_stride, l.col_stride},
                        s_.x(base_) + j, s_.row, s_.largest(base_) + j);
    });
    for (Size j = 0; j < s_.n; ++j) {
      const T largest = s_.largest(base_)[j];
      if (!std::isfinite(largest)) return false;
      const int e = exponent(j);
      for (Size i = 0; i < s_.m && e != 0; ++i) {
        T& x = s_.x(base_)[i * s_.row + j];
        x = std::ldexp(x, -e);
      }
    }
    return true;
  }

  void factor() noexcept {
    for (Size j = 0; j < s_.k && !stopped(); j += s_.width) {
      const Size b = s_.reflections(j), rows = s_.m - j;
      T *x = s_.x(base_) + j * s_.row, *v = s_.v(base_, j), *t = s_.t(base_, j), *r = s_.r(base_);
      s_.kernel.gather(x + j, Layout{rows, b, s_.row, 1}, v, s_.column);
      s_.kernel.panel(v, s_.column, rows, b, r, t);
      for (Size i = 0; i < b; ++i) std::copy_n(r + i * b, b, x + i * s_.row + j);
      strips(j + b, s_.n, [&](Size c, Size cols) { apply(j, true, x + c, cols, 0); });
    }
  }

  // R above zeros, or above the reflections.
  void give_r(T* to, const Layout& l, bool raw) noexcept {
    T* x = s_.x(base_);
    strips(0, s_.n, [&](Size j, Size cols) {
      const Size end = std::min(j + cols, s_.n);
      for (Size c = j; c < end; ++c) {
        const int e = exponent(c);
        for (Size i = 0; i <= std::min(c, l.rows - 1) && e != 0; ++i)
          x[i * s_.row + c] = std::ldexp(x[i * s_.row + c], e);
      }
      if (raw) {
        for (Size c = j; c < std::min(end, s_.k); ++c) {
          const Size panel = c / s_.width * s_.width;
          const T* v = s_.v(base_, panel) + (c - panel) * s_.column - panel;
          for (Size i = c + 1; i < s_.m; ++i) x[i * s_.row + c] = v[i];
        }
      } else {
        for (Size i = j + 1; i < l.rows; ++i) std::fill_n(x + i * s_.row + j, std::min(i, end) - j, T{0});
      }
      s_.kernel.copy_out(x + j, s_.row, to + j * l.col_stride, Layout{l.rows, end - j, l.row_stride, l.col_stride});
    });
  }
  void give_tau(T* to, const Layout& l) const noexcept {
    for (Size j = 0; j < s_.k; ++j) {
      const Size panel = j / s_.width * s_.width, b = s_.reflections(panel);
      to[j * l.row_stride] = -s_.t(base_, panel)[(j - panel) * (b + 1)];
    }
  }

  // Q takes the place of R: the panels, from the last to the first, act on the identity.
  void form() noexcept {
    T* x = s_.x(base_);
    for (Size i = s_.k; i < s_.m; ++i) {
      std::fill(x + i * s_.row + s_.k, x + i * s_.row + round_up(s_.p, s_.lanes), T{0});
      if (i < s_.p) x[i * s_.row + i] = 1;
    }
    for (Size j = (s_.k - 1) / s_.width * s_.width; j >= 0 && !stopped(); j -= s_.width) {
      const Size b = s_.reflections(j), rows = s_.m - j;
      strips(
          j, s_.p,
          [&](Size c, Size cols) {
            const Size own = std::clamp<Size>(j + b - c, 0, cols);  // columns of the panel; zero so far below it
            T* from = x + j * s_.row + c;
            for (Size i = 0; i < rows; ++i) std::fill_n(from + i * s_.row, i < b ? cols : own, T{0});
            for (Size i = 0; i < own; ++i) from[(c - j + i) * s_.row + i] = 1;
            apply(j, false, from, cols, own > 0 ? 0 : b);
          },
          b);
    }
  }

  void give_q(T* to, const Layout& l) noexcept {
    strips(0, s_.p, [&](Size j, Size cols) {
      s_.kernel.copy_out(s_.x(base_) + j, s_.row, to + j * l.col_stride,
                         Layout{l.rows, std::min(cols, s_.p - j), l.row_stride, l.col_stride});
    });
  }

 private:
  // What column j was divided by, as a power of two.
  int exponent(Size j) const noexcept { return far_exponent(s_.largest(base_)[j]); }

  bool stopped() noexcept {
    interrupted_ = interrupted_ || timer_.interrupted();
    return interrupted_;
  }

  void apply(Size j, bool transposed, T* c, Size cols, Size first) noexcept {
    apply_panel(s_.panel(base_, j), transposed, c, s_.row, cols, first);
  }

  template <class Body>
  void strips(Size from, Size to, Body&& body, Size lead = 0) noexcept {
    for_each_strip<T>(team_, s_.m, from, to, lead, body);
  }

  const LargeQr<T>& s_;
  T* base_;
  Team& team_;
  InterruptTimer timer_;
  bool interrupted_ = false;
};

template <class T>
double large_qr_ns(Size m, Size n, Size p) {
  const double k = static_cast<double>(std::min(m, n));
  return 2e3 + static_cast<double>(m) * k * static_cast<double>(n + p) * 2 * (sizeof(T) == 8 ? 0.04 : 0.02);
}

// Runs give(run, i) on every item that is finite, once it is factored, and give_nan(i) on the others.
template <class T, class Give, class GiveNan>
Outcome run_large_qr(Size n_items, const LargeQr<T>& shape, const Batch<const T>& a, Give&& give,
                     GiveNan&& give_nan) noexcept {
  const double ns = large_qr_ns<T>(shape.m, shape.n, shape.p);
  return run_matrices(n_items, ns, shape.bytes(), Uses::own_code, [&](Size i, void* scratch) {
    return run_in_team(ns > 4 * threading_threshold_ns, [&](Team& team) -> Outcome {
      LargeQrRun<T> run(shape, static_cast<T*>(scratch), team);
      if (run.copy_in(a.item(i), a.layout)) {
        run.factor();
        give(run, i);
      } else {
        give_nan(i);
      }
      return {run.interrupted() ? Outcome::Status::interrupted : Outcome::Status::ok};
    });
  });
}

}  // namespace

template <class T>
Outcome large_qr(Size n_items, const Qr<T>& kernel, const Batch<const T>& a, const Batch<T>& q,
                 const Batch<T>& r) noexcept {
  const Size p = q.data == nullptr ? 0 : q.layout.cols;
  const LargeQr<T> shape{kernel, a.layout.rows, a.layout.cols, p};
  return run_large_qr(
      n_items, shape, a,
      [&](LargeQrRun<T>& run, Size i) {
        run.give_r(r.item(i), r.layout, false);
        if (p == 0) return;
        run.form();
        run.give_q(q.item(i), q.layout);
      },
      [&](Size i) {
        constexpr T nan = std::numeric_limits<T>::quiet_NaN();
        by_tiles(r.layout.rows, r.layout.cols, [&](Size j, Size k) {
          r.item(i)[j * r.layout.row_stride + k * r.layout.col_stride] = j > k ? T{0} : nan;
        });
        if (p > 0) set_all(q.item(i), q.layout, nan);
      });
}

template <class T>
Outcome large_qr_raw(Size n_items, const Qr<T>& kernel, const Batch<const T>& a, const Batch<T>& h,
                     const Batch<T>& tau) noexcept {
  const LargeQr<T> shape{kernel, a.layout.rows, a.layout.cols, 0};
  return run_large_qr(
      n_items, shape, a,
      [&](LargeQrRun<T>& run, Size i) {
        run.give_r(h.item(i), h.layout, true);
        run.give_tau(tau.item(i), tau.layout);
      },
      [&](Size i) {
        set_all(h.item(i), h.layout, std::numeric_limits<T>::quiet_NaN());
        set_all(tau.item(i), tau.layout, std::numeric_limits<T>::quiet_NaN());
      });
}

#define MMLFAST_INSTANTIATE(T)                                                                                     \
  template Outcome large_qr(Size, const Qr<T>&, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome large_qr_raw(Size, const Qr<T>&, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
