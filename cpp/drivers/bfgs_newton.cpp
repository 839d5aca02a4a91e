#include "drivers/bfgs_newton.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/bfgs_model.hpp"
#include "drivers/bfgs_positive.hpp"
#include "drivers/common/finite.hpp"
#include "drivers/eigh.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// As in _trust_region.py and _trust_step.py, where the reasons stand.
constexpr double eps = QuadraticModel::eps, infinity = std::numeric_limits<double>::infinity();
constexpr double noise = 16 * eps, little = 1e-9, tiny = 1e-24, far_away = 1e30, nothing = 1e-30;
constexpr int most_stale = 3, most_trials = 60, most_before = 60;

class Newton {
 public:
  Newton(NewtonFunction& f, Size n, double* x, double* gradient, double tol, Size max_iter, double* hessian,
         NewtonResult& result, void* memory) noexcept
      : f_(f), n_(n), x_(x), g_(gradient), h_(hessian), tol_(tol), max_iter_(max_iter), result_(result) {
    Divider divider(memory);
    take(divider);
  }
  static Size bytes(Size n) noexcept { return 8 * (3 * round_up(n * n, 8) + 10 * round_up(n, 8)); }

  bool run() noexcept {
    if (!evaluate(x_, result_.value, g_)) return false;
    if (!all_finite(result_.value, g_, n_)) return ends(NewtonEnd::not_finite);
    keep(result_.value);
    result_.decrease = infinity;
    InterruptTimer timer;
    while (true) {
      if (timer.interrupted()) return false;
      ++result_.n_hessians;
      if (!f_.hessian(x_, h_)) return false;
      if (!make_model()) return ends(NewtonEnd::no_hessian);
      if (!(radius_ <= far_away * first_size_)) return ends(NewtonEnd::far);
      if (!take_newton_step() && !take_step()) return ends(NewtonEnd::no_hessian);
      if (has_converged()) return ends(NewtonEnd::converged);
      if (result_.n_iter >= max_iter_) return ends(NewtonEnd::slow);
      bool goes = false;
      if (!go(goes)) return false;
      if (!goes) {
        if (result_.value == -infinity) return ends(NewtonEnd::unbounded);
        return ends(result_.decrease <= 1e3 * noise * std::fabs(result_.value) ? NewtonEnd::converged
                                                                               : NewtonEnd::no_step);
      }
      ++result_.n_iter;
      keep(result_.value);
      if (!f_.stepped(x_, result_.value)) return false;
    }
  }

 private:
  void take(Divider& divider) noexcept {
    scaled_ = divider.take<double>(n_ * n_);
    model_.n = n_;
    model_.vectors = divider.take<double>(n_ * n_);
    inverse_ = divider.take<double>(n_ * n_);
    for (double** vector : {&scales_, &step_, &trial_, &trial_g_, &model_.values, &model_.slopes, &model_.parts, &size_,
                            &start_, &slope_})
      *vector = divider.take<double>(n_);
    std::fill_n(scales_, n_, 0.0);
    std::copy_n(x_, n_, start_);
  }
  bool ends(NewtonEnd end) noexcept {
    result_.end = end;
    return true;
  }
  bool evaluate(const double* x, double& value, double* gradient) noexcept {
    ++result_.n_evaluations;
    return f_.evaluate(x, value, gradient);
  }
  // Values so far: the largest of all, and of the last ones.
  void keep(double value) noexcept {
    before_[n_kept_++ % most_before] = std::fabs(value);
    largest_ = std::max(largest_, std::fabs(value));
  }
  double largest_before() const noexcept { return largest_of(before_, std::min<Size>(n_kept_, most_before)); }

  void find_scales() noexcept {
    find_sizes(h_, n_, size_);
    for (Size i = 0; i < n_; ++i) scales_[i] = std::max(size_[i], 0.5 * scales_[i]);
  }

  // False if it is not finite.
  bool make_model() noexcept {
    find_scales();
    double sum = 0;
    for (Size i = 0; i < n_; ++i)
      for (Size j = 0; j < n_; ++j) {
        scaled_[i * n_ + j] = h_[i * n_ + j] / scales_[i] / scales_[j];
        sum += 0 * scaled_[i * n_ + j];
      }
    if (!std::isfinite(sum)) return false;
    has_eigenvalues_ = false;
    for (Size j = 0; j < n_; ++j) slope_[j] = g_[j] / scales_[j];
    if (radius_ == 0) {
      for (Size i = 0; i < n_; ++i) trial_[i] = scales_[i] * x_[i];
      const double size = length_of(trial_, n_), slope = length_of(slope_, n_);
      radius_ = first_size_ = size > 0 ? size : slope > 0 ? slope : 1;
    }
    return true;
  }

  // The model's own minimum, by L D L', if it is within the radius and all curvature is certainly more than rounding;
  // else false.
  bool take_newton_step() noexcept {
    PositiveMatrix positive{n_, model_.vectors, inverse_, model_.values};
    if (!positive.factor(scaled_)) return false;
    if (!positive.is_certainly_more_than(1e3 * static_cast<double>(n_) * eps)) return false;
    const double decrease = positive.reduce(slope_, trial_);
    for (Size j = 0; j < n_; ++j) size_[j] = -positive.expand(trial_, j);
    if (!(length_of(size_, n_) <= radius_)) return false;
    model_.inside = true;
    model_.flat = false;
    take_size(decrease);
    return true;
  }

  // The step within the radius by eigenvalues; false if there are none.
  bool take_step() noexcept {
    if (!has_eigenvalues_ && !find_eigenvalues()) return false;
    model_.step(radius_);
    for (Size j = 0; j < n_; ++j) size_[j] = dot(model_.vectors + j * n_, model_.parts, n_);
    take_size(model_.predicted);
    return true;
  }
  bool find_eigenvalues() noexcept {
    const Layout matrix{n_, n_, n_, 1}, column{n_, 1, 1, 1};
    const Outcome found = eigh(1, Batch<const double>{scaled_, 0, matrix}, Triangle::lower,
                               Batch<double>{model_.values, 0, column}, Batch<double>{model_.vectors, 0, matrix});
    if (!found.ok()) return false;
    for (Size i = 0; i < n_; ++i) model_.slopes[i] = 0;
    for (Size j = 0; j < n_; ++j) {
      const double slope = slope_[j];
      for (Size i = 0; i < n_; ++i) model_.slopes[i] += slope * model_.vectors[j * n_ + i];
    }
    has_eigenvalues_ = true;
    return true;
  }
  // size_ is the step in units of the model; step_ that in those of x.
  void take_size(double decrease) noexcept {
    for (Size j = 0; j < n_; ++j) step_[j] = size_[j] / scales_[j];
    result_.decrease = decrease;
  }

  bool has_converged() noexcept {
    bool small = true, any = false;
    for (Size i = 0; i < n_; ++i) {
      small = small && std::fabs(step_[i]) <= tol_ * std::fabs(x_[i]);
      any = any || step_[i] != 0;
    }
    const double decrease = result_.decrease;
    if ((small && model_.inside) || !any || (model_.flat && decrease <= nothing * largest_before())) return true;
    // Where little is left to gain, and steps do not make it less any more.
    if (decrease > std::max(little * std::fabs(result_.value), tiny * largest_)) {
      least_ = infinity;
      stale_ = 0;
      return false;
    }
    if (decrease <= 0.25 * least_) {
      least_ = decrease;
      stale_ = 0;
      return false;
    }
    return ++stale_ >= (decrease <= noise * std::fabs(result_.value) ? most_stale : 3 * most_stale);
  }

  // Of values, or of slopes at both ends where rounding hides it.
  double gain(double value) const noexcept {
    if (std::fabs(result_.value - value) > noise * std::max(std::fabs(result_.value), std::fabs(value)))
      return result_.value - value;
    double both = 0;
    for (Size i = 0; i < n_; ++i) both += (g_[i] + trial_g_[i]) * step_[i];
    return -0.5 * both;
  }

  // One step that gains; the radius shrinks until there is one. goes is false if there is none. False if evaluation was
  // stopped.
  bool go(bool& goes) noexcept {
    for (int k = 0; k < most_trials; ++k) {
      bool moves = false;
      for (Size i = 0; i < n_; ++i) {
        trial_[i] = x_[i] + step_[i];
        moves = moves || trial_[i] != x_[i];
      }
      double value = 0;
      if (!evaluate(trial_, value, trial_g_)) return false;
      const double length = length_of(size_, n_);
      if (value == -infinity) {
        std::copy_n(trial_, n_, x_);
        result_.value = value;
        return true;
      }
      const double gained = all_finite(value, trial_g_, n_) ? gain(value) : -infinity;
      const double ratio = result_.decrease > 0 ? gained / result_.decrease : -infinity;
      if (ratio < 0.25)
        radius_ = 0.25 * length;
      else if (ratio > 0.75 && !model_.inside)
        radius_ = 3 * radius_;
      if (ratio > 1e-4) {
        double way = 0;
        for (Size i = 0; i < n_; ++i) way += std::pow(scales_[i] * (x_[i] - start_[i]), 2);
        result_.leap = way > 0 ? length / std::sqrt(way) : 0;
        std::copy_n(trial_, n_, x_);
        std::copy_n(trial_g_, n_, g_);
        result_.value = value;
        goes = true;
        return true;
      }
      if (length == 0 || !moves) return true;
      if (!take_step()) return true;
    }
    return true;
  }

  NewtonFunction& f_;
  Size n_;
  double *x_, *g_, *h_;
  double tol_;
  Size max_iter_;
  NewtonResult& result_;
  QuadraticModel model_{};
  double *scaled_ = nullptr, *scales_ = nullptr, *step_ = nullptr, *trial_ = nullptr, *trial_g_ = nullptr,
         *size_ = nullptr, *start_ = nullptr, *slope_ = nullptr, *inverse_ = nullptr;
  bool has_eigenvalues_ = false;
  double radius_ = 0, first_size_ = 0, largest_ = 0, least_ = infinity;
  double before_[most_before] = {};
  Size n_kept_ = 0;
  int stale_ = 0;
};

}  // namespace

Outcome newton(NewtonFunction& f, Size n, double* x, double* gradient, double tol, Size max_iter, double* hessian,
               NewtonResult& result) noexcept {
  AlignedBuffer<double> memory(Newton::bytes(n) / 8);
  if (!memory) return {Outcome::Status::no_memory};
  Newton method(f, n, x, gradient, tol, max_iter, hessian, result, memory.data());
  return method.run() ? Outcome{} : Outcome{Outcome::Status::interrupted};
}

}  // namespace mmlfast::drivers
