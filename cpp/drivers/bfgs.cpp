#include "drivers/bfgs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/finite.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// A step has to gain this fraction of what the slope promises, and to leave less than that fraction of the slope.
constexpr double gains = 1e-4, leaves = 0.9;
constexpr int most_trials = 60, most_of_rounding = 8;
// Rounds without a gain of a factor of four after which rounding has ended the iteration.
constexpr int most_stale = 4;
// So little is left to gain, beside the value or beside the largest one, that rounding may be all that is left.
constexpr double little = 1e-9, tiny = 1e-24;

double dot(const double* a, const double* b, Size n) noexcept {
  double sum = 0;
  for (Size i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// A point along a direction: how far, the value, the slope.
struct Trial {
  double at = 0, value = 0, slope = 0;
};

// The lowest point of the cubic through both ends, at a distance from them.
double between(const Trial& low, const Trial& high) noexcept {
  const double width = high.at - low.at;
  const double mean = low.slope + high.slope - 3 * (high.value - low.value) / width;
  const double inside = mean * mean - low.slope * high.slope;
  double at = low.at + width / 2;
  if (inside >= 0) {
    const double root = std::copysign(std::sqrt(inside), width);
    const double found = high.at - width * (high.slope + root - mean) / (high.slope - low.slope + 2 * root);
    if (std::isfinite(found)) at = found;
  }
  return std::clamp(at, low.at + 0.1 * width, high.at - 0.1 * width);
}

class Bfgs {
 public:
  Bfgs(BfgsFunction& f, Size n, double* x, double* gradient, const BfgsLimits& limits, BfgsResult& result,
       double* memory) noexcept
      : f_(f),
        kernel_(kernel_of<mmlfast::Bfgs>()),
        n_(n),
        stride_(round_up(n, 8)),
        x_(x),
        g_(gradient),
        limits_(limits),
        result_(result) {
    Divider divider(memory);
    take(divider);
  }
  static Size bytes(Size n) noexcept {
    const Size stride = round_up(n, 8);
    return checked_product(8, stride * n + 7 * stride);
  }
  const double* row(Size i) const noexcept { return b_ + i * stride_; }

  bool run(const double* diagonal) noexcept {
    kernel_.diagonal(b_, n_, stride_, diagonal);
    if (!evaluate(x_, result_.value, g_)) return false;
    if (!all_finite(result_.value, g_, n_)) return ends(BfgsEnd::not_finite);
    largest_ = std::fabs(result_.value);
    InterruptTimer timer;
    bool fresh = true;
    for (result_.n_iter = 0; result_.n_iter < limits_.max_iter;) {
      if (timer.interrupted()) return false;
      double slope = direction();
      if (!(slope < 0)) {
        if (slope == 0 && is_zero(g_)) return ends(BfgsEnd::converged);
        kernel_.diagonal(b_, n_, stride_, diagonal);
        fresh = true;
        slope = direction();
        if (!(slope < 0)) return ends(is_little() ? BfgsEnd::converged : BfgsEnd::no_step);
      }
      result_.decrease = -slope / 2;
      if (has_converged()) return ends(BfgsEnd::converged);
      Trial trial;
      if (!search(slope, trial)) return false;
      if (trial.value == -std::numeric_limits<double>::infinity()) return ends(BfgsEnd::unbounded);
      if (trial.at == 0) {
        if (result_.decrease <= std::max(little * std::fabs(result_.value), tiny * largest_))
          return ends(BfgsEnd::converged);
        if (fresh) return ends(BfgsEnd::no_step);
        kernel_.diagonal(b_, n_, stride_, diagonal);
        fresh = true;
        continue;
      }
      accept(trial, fresh);
      fresh = false;
      ++result_.n_iter;
      if (!f_.stepped(x_, result_.value)) return false;
    }
    return ends(BfgsEnd::slow);
  }

 private:
  void take(Divider& divider) noexcept {
    b_ = divider.take<double>(stride_ * n_);
    for (double** vector : {&p_, &trial_, &trial_g_, &s_, &y_, &q_, &padded_}) {
      *vector = divider.take<double>(stride_);
      std::fill_n(*vector, stride_, 0.0);
    }
  }

  bool ends(BfgsEnd end) noexcept {
    result_.end = end;
    return true;
  }
  bool evaluate(const double* x, double& value, double* gradient) noexcept {
    ++result_.n_evaluations;
    return f_.evaluate(x, value, gradient);
  }
  bool is_zero(const double* g) const noexcept {
    return std::all_of(g, g + n_, [](double v) { return v == 0; });
  }

  // p = -B g; the slope along it.
  double direction() noexcept {
    std::copy_n(g_, n_, padded_);
    kernel_.multiply(b_, n_, stride_, padded_, p_);
    for (Size i = 0; i < n_; ++i) p_[i] = -p_[i];
    return dot(p_, g_, n_);
  }

  bool has_converged() noexcept {
    bool small = true;
    for (Size i = 0; i < n_ && small; ++i) small = std::fabs(p_[i]) <= limits_.tol * std::fabs(x_[i]);
    if (small) return true;
    if (!is_little()) {
      stale_ = 0;
      least_ = std::numeric_limits<double>::infinity();
      return false;
    }
    // Values cannot tell any more, perhaps; gradients still can.
    if (result_.decrease <= 0.25 * least_) {
      least_ = result_.decrease;
      stale_ = 0;
      return false;
    }
    return ++stale_ >= (is_rounding() ? most_stale : 3 * most_stale);
  }

  bool is_little() const noexcept {
    return result_.decrease <= std::max(little * std::fabs(result_.value), tiny * largest_);
  }
  bool is_rounding() const noexcept { return result_.decrease <= limits_.noise * std::fabs(result_.value); }

  bool try_at(double at, Trial& trial) noexcept {
    for (Size i = 0; i < n_; ++i) trial_[i] = x_[i] + at * p_[i];
    trial.at = at;
    if (!evaluate(trial_, trial.value, trial_g_)) return false;
    trial.slope = dot(trial_g_, p_, n_);
    return true;
  }

  // A step that gains enough (Wolfe's conditions; where values differ by rounding only, by the slopes: Hager and
  // Zhang). found.at is 0 if there is none. False if evaluation was stopped.
  bool search(double slope, Trial& found) noexcept {
    const double noise = limits_.noise * std::fabs(result_.value);
    const Trial start{0, result_.value, slope};
    Trial low = start, high;
    bool has_high = false;
    double at = 1;
    const int most = result_.decrease <= std::max(little * std::fabs(result_.value), tiny * largest_) ? most_of_rounding
                                                                                                      : most_trials;
    for (int k = 0; k < most; ++k) {
      Trial t;
      if (!try_at(at, t)) return false;
      if (t.value == -std::numeric_limits<double>::infinity()) {
        found = t;
        return true;
      }
      if (!all_finite(t.value, trial_g_, n_)) {
        high = {at, std::numeric_limits<double>::infinity(), 0};
        has_high = true;
        at = low.at + 0.2 * (at - low.at);
        if (!(at > low.at)) break;
        continue;
      }
      const bool level = std::fabs(t.value - start.value) <= noise;
      const bool enough = t.value <= start.value + gains * at * slope || (level && t.slope <= (2 * gains - 1) * slope);
      if (!enough || (t.value > low.value + noise)) {
        high = t;
        has_high = true;
      } else if (std::fabs(t.slope) <= -leaves * slope) {
        found = t;
        return true;
      } else if (t.slope >= 0) {
        high = t;
        has_high = true;
      } else {
        low = t;
      }
      at = next(low, high, has_high);
      if (!(at > low.at) || (has_high && !(high.at - low.at > 1e-15 * high.at))) break;
    }
    found = low;  // lower, but steep: better than nothing
    return low.at == 0 || try_at(low.at, found);
  }

  static double next(const Trial& low, const Trial& high, bool has_high) noexcept {
    if (!has_high) return 4 * low.at;
    if (!std::isfinite(high.value)) return low.at + 0.2 * (high.at - low.at);
    return between(low, high);
  }

  void accept(const Trial& trial, bool fresh) noexcept {
    for (Size i = 0; i < n_; ++i) {
      s_[i] = trial_[i] - x_[i];
      y_[i] = trial_g_[i] - g_[i];
      x_[i] = trial_[i];
      g_[i] = trial_g_[i];
    }
    result_.value = trial.value;
    largest_ = std::max(largest_, std::fabs(trial.value));
    const double curvature = dot(s_, y_, n_);
    kernel_.multiply(b_, n_, stride_, y_, q_);
    double yq = dot(y_, q_, n_);
    if (!(curvature > 1e-14 * std::sqrt(std::fabs(yq) * std::fabs(dot(s_, g_, n_)))) || !(curvature > 0)) return;
    if (fresh) {  // the size of the diagonal, before it is used any more
      const double factor = curvature / yq;
      for (Size e = 0; e < n_ * stride_; ++e) b_[e] *= factor;
      for (Size i = 0; i < n_; ++i) q_[i] *= factor;
      yq *= factor;
    }
    const double rho = 1 / curvature;
    if (std::isfinite(rho) && std::isfinite(yq)) kernel_.update(b_, n_, stride_, s_, q_, rho, (1 + yq * rho) * rho);
  }

  BfgsFunction& f_;
  const mmlfast::Bfgs& kernel_;
  Size n_, stride_;
  double *x_, *g_;
  const BfgsLimits& limits_;
  BfgsResult& result_;
  double *b_ = nullptr, *p_ = nullptr, *trial_ = nullptr, *trial_g_ = nullptr, *s_ = nullptr, *y_ = nullptr,
         *q_ = nullptr, *padded_ = nullptr;
  double largest_ = 0, least_ = std::numeric_limits<double>::infinity();
  int stale_ = 0;
};

}  // namespace

Outcome bfgs(BfgsFunction& f, Size n, double* x, double* gradient, const double* diagonal, const BfgsLimits& limits,
             double* inverse, BfgsResult& result) noexcept {
  AlignedBuffer<double> memory(Bfgs::bytes(n) / 8);
  if (!memory) return {Outcome::Status::no_memory};
  Bfgs method(f, n, x, gradient, limits, result, memory.data());
  if (!method.run(diagonal)) return {Outcome::Status::interrupted};
  for (Size i = 0; i < n; ++i) std::copy_n(method.row(i), n, inverse + i * n);
  return {};
}

}  // namespace mmlfast::drivers
