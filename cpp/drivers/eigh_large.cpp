#include "drivers/eigh_large.hpp"

#include <cmath>
#include <limits>

#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/common/stops.hpp"
#include "drivers/eigh_divide.hpp"
#include "drivers/eigh_reduction.hpp"
#include "drivers/eigh_sweeps.hpp"

namespace mmlfast::drivers {
namespace {

// Up to so many rows the vectors of the tridiagonal form come as fast from QL as from divide and conquer (measured).
constexpr Size most_swept_rows = 96;

// A matrix to tridiagonal form, the eigenvalues and vectors of that, and the vectors brought back by the reflections.
template <class T>
class LargeEigh {
 public:
  LargeEigh(Size n, bool vectors) noexcept
      : n_(n), vectors_(vectors), reduction_(n), sweeps_(n), divide_(n), reflections_(n, n - 1, 1) {}

  void lay_out(Divider& divider) noexcept {
    for (T** list : {&d_, &e_, &tau_}) *list = divider.take<T>(n_);
    if (vectors_) reflections_.lay_out(divider);
    // The matrix is not needed any more when the rest is.
    Divider rest = divider;
    reduction_.lay_out(divider);
    if (vectors_) z_ = rest.take<T>(checked_product(n_, n_));
    Divider last = rest;
    if (vectors_) x_ = last.take<T>(checked_product(n_, row_));
    if (is_divided())
      divide_.lay_out(rest);  // nor is this when the vectors are brought back
    else
      sweeps_.lay_out(last);
    divider.take_more(rest);
    divider.take_more(last);
  }

  Outcome run(bool threaded, const T* a, const Layout& l, T* values, Size stride, T* vectors,
              const Layout& vectors_layout) const noexcept {
    int exponent = 0;
    Outcome outcome = run_in_team(threaded, [&](Team& team) -> Outcome {
      const T largest = reduction_.take(team, a, l);
      if (!std::isfinite(largest)) return {Outcome::Status::failed_items};
      exponent = far_exponent(largest);
      reduction_.scale(-exponent);
      const Outcome reduced = reduction_.run(team, d_, e_, tau_, vectors_ ? &reflections_ : nullptr);
      if (!reduced.ok() || !vectors_) return reduced;
      const Outcome found = find_vectors(team);
      return found.ok() ? bring_back(team, vectors, vectors_layout) : found;
    });
    if (outcome.ok() && !vectors_) outcome = sweeps_.solve_values(d_, e_);
    if (outcome.stopped()) return outcome;
    const bool good = outcome.ok();
    constexpr T nan = std::numeric_limits<T>::quiet_NaN();
    multiply_by_power(d_, good ? n_ : 0, exponent);
    for (Size k = 0; k < n_; ++k) values[k * stride] = good ? d_[k] : nan;
    if (vectors_ && !good) set_all(vectors, vectors_layout, nan);
    return outcome;
  }

 private:
  bool is_divided() const noexcept { return vectors_ && n_ > most_swept_rows; }

  Outcome find_vectors(Team& team) const noexcept {
    if (is_divided()) return divide_.solve(team, d_, e_, z_);
    return {sweeps_.solve(team, d_, e_, z_, n_, x_) ? Outcome::Status::ok : Outcome::Status::failed_items};
  }

  Outcome bring_back(Team& team, T* to, const Layout& l) const noexcept {
    const Qr<T>& kernel = kernel_of<Qr<T>>();
    reflections_.join(team, tau_);
    return reflections_.apply(
        team, x_, n_, [&](Size c, Size own) { kernel.gather(z_ + c * n_, Layout{own, n_, n_, 1}, x_ + c, row_); },
        [&](Size c, Size own) {
          kernel.copy_out(x_ + c, row_, to + c * l.col_stride, Layout{n_, own, l.row_stride, l.col_stride});
        });
  }

  Size n_, row_ = ReflectionPanels<T>::row_step(n_);
  bool vectors_;
  TridiagonalReduction<T> reduction_;
  TridiagonalSweeps<T> sweeps_;
  TridiagonalDivide<T> divide_;
  ReflectionPanels<T> reflections_;
  T *d_ = nullptr, *e_ = nullptr, *tau_ = nullptr;  // the tridiagonal form
  T *z_ = nullptr, *x_ = nullptr;                   // its vectors, in columns; in rows row_ apart
};

// One thread's (measured).
template <class T>
double large_eigh_ns(Size n, bool vectors) {
  const double order = static_cast<double>(n);
  return order * order * (vectors ? 20 + 0.11 * order : 20 + 0.055 * order) * (static_cast<double>(sizeof(T)) / 8);
}

}  // namespace

template <class T>
Outcome large_eigh(Size n_items, const Batch<const T>& a, const Batch<T>& values, const Batch<T>* vectors) noexcept {
  const Size n = a.layout.rows;
  if (n > std::numeric_limits<std::int32_t>::max()) return {Outcome::Status::too_large};
  const LargeEigh<T> shape(n, vectors != nullptr);
  Divider divider;
  LargeEigh<T>(shape).lay_out(divider);
  const double item_ns = large_eigh_ns<T>(n, vectors != nullptr);
  return run_matrices(n_items, item_ns, divider.used(), Uses::own_code, [&](Size i, void* scratch) {
    LargeEigh<T> solver(shape);
    Divider pieces(scratch);
    solver.lay_out(pieces);
    return solver.run(item_ns > 4 * threading_threshold_ns, a.item(i), a.layout, values.item(i),
                      values.layout.row_stride, vectors == nullptr ? nullptr : vectors->item(i),
                      vectors == nullptr ? Layout{} : vectors->layout);
  });
}

template Outcome large_eigh(Size, const Batch<const double>&, const Batch<double>&, const Batch<double>*) noexcept;
template Outcome large_eigh(Size, const Batch<const float>&, const Batch<float>&, const Batch<float>*) noexcept;

}  // namespace mmlfast::drivers
