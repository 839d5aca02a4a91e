#include "drivers/bfgs_equations.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "drivers/bfgs_model.hpp"
#include "drivers/common/finite.hpp"
#include "drivers/eigh.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// As in _sqp.py and _kkt.py, where the reasons stand.
constexpr double eps = QuadraticModel::eps, infinity = std::numeric_limits<double>::infinity();
constexpr double noise = 32 * eps, tol = 4 * eps;
constexpr double dependent = 1e-6;  // of a diagonal of R: from here on Python looks at the singular values
constexpr double flat = 1e-3;       // curvatures along the equations: from here on Python looks at both sides
constexpr int most_trials = 50, n_recent = 6;

// All that is known at a point.
struct Place {
  double *x, *gradient, *c, *a;
  double value = 0;
};

class Equations {
 public:
  Equations(EquationsFunction& f, Size n, Size m, const EquationsPoint& point, Size max_iter, EquationsResult& result,
            Divider& memory) noexcept
      : f_(f), n_(n), m_(m), k_(n - m), point_(point), d_(point.scales), max_iter_(max_iter), result_(result) {
    for (Place* place : {&at_, &to_, &other_}) {
      for (double** vector : {&place->x, &place->gradient}) *vector = memory.take<double>(n);
      place->c = memory.take<double>(m);
      place->a = memory.take<double>(m * n);
    }
    for (double** vector : {&first_d_, &new_d_, &slope_, &y_, &normal_, &work_, &corrected_})
      *vector = memory.take<double>(n);
    for (double** vector : {&rows_, &first_rows_, &scaled_c_, &small_, &betas_, &diagonal_})
      *vector = memory.take<double>(m);
    for (double** matrix : {&h_, &q_}) *matrix = memory.take<double>(n * n);
    for (double** matrix : {&scaled_a_, &r_}) *matrix = memory.take<double>(m * n);
    along_ = memory.take<double>(n * k_);
    reduced_ = memory.take<double>(k_ * k_);
    model_.n = k_;
    model_.vectors = memory.take<double>(k_ * k_);
    for (double** vector : {&model_.values, &model_.slopes, &model_.parts, &right_})
      *vector = memory.take<double>(std::max(k_, Size{1}));
  }

  // False: stopped.
  bool run() noexcept {
    std::copy_n(point_.x, n_, at_.x);
    bool goes = evaluate(at_) && is_finite(at_) && first_scales();
    value_at_start_ = at_.value;
    InterruptTimer timer;
    for (Size k = 0; goes && k <= max_iter_; ++k) {
      if (timer.interrupted()) return false;
      result_.n_iter = k;
      if (!look()) break;
      const double size = scaled_length(at_.x);
      if (radius_ == 0) {
        const double slope = length_of(slope_, n_);
        radius_ = size > 0 ? size : slope > 0 ? slope : 1;
      }
      if (first_size_ == 0) first_size_ = std::max(size, radius_);
      if (!(size <= 1e12 * first_size_) || !step()) break;
      if (has_ended(size)) {
        result_.found = is_minimum(size);
        break;
      }
      if (k == max_iter_) break;
      const bool was_last = newton_ && length_of(y_, n_) <= 1e-7 * size;
      if (!go(goes)) break;
      if (!goes) {
        result_.found = was_last && is_minimum(size);
        break;
      }
    }
    if (result_.found) report();
    return !stopped_;
  }

 private:
  bool evaluate(Place& place) noexcept {
    ++result_.n_evaluations;
    stopped_ = !f_.evaluate(place.x, place.value, place.gradient, place.c, place.a);
    return !stopped_;
  }
  bool is_finite(const Place& place) const noexcept {
    return std::isfinite(place.value) && all_finite(place.gradient, n_) && all_finite(place.c, m_) &&
           all_finite(place.a, m_ * n_);
  }
  double scaled_length(const double* x) noexcept {
    for (Size j = 0; j < n_; ++j) work_[j] = d_[j] * x[j];
    return length_of(work_, n_);
  }
  bool hessian(const double* multipliers) noexcept {
    stopped_ = !f_.hessian(at_.x, multipliers, h_);
    return !stopped_;
  }

  // By the curvature of f at first; variables without any as large as the others.
  bool first_scales() noexcept {
    std::fill_n(point_.multipliers, m_, 0.0);
    if (!hessian(point_.multipliers)) return false;
    std::fill_n(d_, n_, 1.0);
    if (all_finite(h_, n_ * n_)) find_sizes(h_, n_, d_);
    double largest = 0;
    for (Size j = 0; j < n_; ++j) largest = std::max(largest, std::fabs(at_.x[j]));
    const auto size_of = [&](Size j) { return at_.x[j] != 0 ? std::fabs(at_.x[j]) : largest > 0 ? largest : 1; };
    Size n_curved = 0;
    for (Size j = 0; j < n_; ++j)
      if (h_[j * n_ + j] != 0) work_[n_curved++] = d_[j] * size_of(j);
    if (n_curved < n_) {
      double level = 1;
      if (n_curved > 0) {
        std::sort(work_, work_ + n_curved);
        level = 0.5 * (work_[(n_curved - 1) / 2] + work_[n_curved / 2]);
      }
      for (Size j = 0; j < n_; ++j)
        if (h_[j * n_ + j] == 0) d_[j] = level / size_of(j);
    }
    std::copy_n(d_, n_, first_d_);
    if (!geometry()) return false;
    std::copy_n(rows_, m_, first_rows_);
    return true;
  }

  // Rows of the Jacobian in units of d, of length one, and their QR: what is across the equations, and what along.
  bool geometry() noexcept {
    for (Size i = 0; i < m_; ++i) {
      double* row = scaled_a_ + i * n_;
      for (Size j = 0; j < n_; ++j) row[j] = at_.a[i * n_ + j] / d_[j];
      rows_[i] = length_of(row, n_);
      if (!(rows_[i] > 0 && rows_[i] < infinity)) return false;
      for (Size j = 0; j < n_; ++j) row[j] /= rows_[i];
      scaled_c_[i] = at_.c[i] / rows_[i];
      std::copy_n(row, n_, r_ + i * n_);
    }
    for (Size i = 0; i < m_; ++i) {
      double* v = r_ + i * n_;  // column i: R above, the reflector from the diagonal on
      const double length = length_of(v + i, n_ - i);
      if (!(length > dependent)) return false;
      const double head = v[i] > 0 ? -length : length;
      v[i] -= head;
      betas_[i] = -1 / (head * v[i]);
      for (Size j = i + 1; j < m_; ++j) reflect(i, r_ + j * n_);
      diagonal_[i] = head;
    }
    for (Size j = 0; j < n_; ++j) {
      double* column = q_ + j * n_;
      std::fill_n(column, n_, 0.0);
      column[j] = 1;
      for (Size i = m_ - 1; i >= 0; --i) reflect(i, column);
    }
    std::copy_n(q_ + m_ * n_, k_ * n_, along_);
    return true;
  }
  void reflect(Size i, double* column) const noexcept {
    const double* v = r_ + i * n_;
    const double by = betas_[i] * dot(v + i, column + i, n_ - i);
    for (Size j = i; j < n_; ++j) column[j] -= by * v[j];
  }

  // Of the scaled gradient.
  void find_multipliers() noexcept {
    for (Size j = 0; j < n_; ++j) slope_[j] = at_.gradient[j] / d_[j];
    for (Size i = m_ - 1; i >= 0; --i) {
      double sum = dot(q_ + i * n_, slope_, n_);
      for (Size j = i + 1; j < m_; ++j) sum -= r_[j * n_ + i] * small_[j];
      small_[i] = sum / diagonal_[i];
      point_.multipliers[i] = small_[i] / rows_[i];
    }
  }
  // The shortest step after which the linear model of c, in units of rows_, is zero.
  void across(const double* c, double* to) noexcept {
    std::fill_n(to, n_, 0.0);
    for (Size i = 0; i < m_; ++i) {
      double sum = c[i] / rows_[i];
      for (Size j = 0; j < i; ++j) sum -= r_[i * n_ + j] * small_[j];
      small_[i] = sum / diagonal_[i];
      for (Size j = 0; j < n_; ++j) to[j] -= small_[i] * q_[i * n_ + j];
    }
  }

  // The geometry, the multipliers and the scaled Hessian here. False if that is not all finite and regular.
  bool look() noexcept {
    if (!geometry()) return false;
    find_multipliers();
    if (!hessian(point_.multipliers) || !all_finite(h_, n_ * n_)) return false;
    bool curved = true;
    for (Size j = 0; j < n_; ++j) curved = curved && h_[j * n_ + j] != 0;
    if (curved) {
      find_sizes(h_, n_, new_d_);
      double grown = 0;
      bool other = false;
      for (Size j = 0; j < n_; ++j) {
        const double d = std::max(new_d_[j], std::max(0.3 * d_[j], 0.3 * first_d_[j]));
        grown = std::max(grown, d / d_[j]);
        other = other || d != d_[j];
        d_[j] = d;
      }
      if (other) {
        radius_ *= grown;
        if (!geometry()) return false;
        find_multipliers();
        if (!hessian(point_.multipliers) || !all_finite(h_, n_ * n_)) return false;
      }
    }
    for (Size i = 0; i < n_; ++i)
      for (Size j = 0; j < n_; ++j) h_[i * n_ + j] /= d_[i] * d_[j];
    return all_finite(h_, n_ * n_) && reduce();
  }

  // The Hessian along the equations, by eigenvalues.
  bool reduce() noexcept {
    if (k_ == 0) return true;
    for (Size i = 0; i < k_; ++i) {
      for (Size j = 0; j < n_; ++j) work_[j] = dot(h_ + j * n_, along_ + i * n_, n_);
      for (Size j = 0; j <= i; ++j) reduced_[i * k_ + j] = reduced_[j * k_ + i] = dot(along_ + j * n_, work_, n_);
    }
    const Layout matrix{k_, k_, k_, 1}, column{k_, 1, 1, 1};
    return eigh(1, Batch<const double>{reduced_, 0, matrix}, Triangle::lower, Batch<double>{model_.values, 0, column},
                Batch<double>{model_.vectors, 0, matrix})
        .ok();
  }

  // Across and along, within the radius. False if it is not finite.
  bool step() noexcept {
    across(at_.c, normal_);
    const double length = length_of(normal_, n_), limit = 0.8 * radius_;
    if (length > limit)
      for (Size j = 0; j < n_; ++j) normal_[j] *= limit / length;
    std::copy_n(normal_, n_, y_);
    model_.inside = true;
    if (k_ > 0) {
      for (Size j = 0; j < n_; ++j) work_[j] = slope_[j] + dot(h_ + j * n_, normal_, n_);
      for (Size i = 0; i < k_; ++i) right_[i] = dot(along_ + i * n_, work_, n_);
      for (Size i = 0; i < k_; ++i) {
        double sum = 0;
        for (Size j = 0; j < k_; ++j) sum += model_.vectors[j * k_ + i] * right_[j];
        model_.slopes[i] = sum;
      }
      const double square = radius_ * radius_;
      model_.step(std::sqrt(std::max(square - dot(normal_, normal_, n_), 0.36 * square)));
      for (Size i = 0; i < k_; ++i) {
        const double by = dot(model_.vectors + i * k_, model_.parts, k_);
        for (Size j = 0; j < n_; ++j) y_[j] += by * along_[i * n_ + j];
      }
    }
    newton_ = model_.inside && length <= limit;
    for (Size i = 0; i < m_; ++i) small_[i] = scaled_c_[i] + dot(scaled_a_ + i * n_, y_, n_);
    predicted_c_ = std::max(length_of(scaled_c_, m_) - length_of(small_, m_), 0.0);
    for (Size j = 0; j < n_; ++j) work_[j] = dot(h_ + j * n_, y_, n_);
    predicted_f_ = -dot(slope_, y_, n_) - 0.5 * dot(y_, work_, n_);
    return all_finite(y_, n_);
  }

  bool has_ended(double size) noexcept {
    const double length = length_of(y_, n_);
    bool small = true;
    for (Size j = 0; j < n_; ++j) small = small && std::fabs(y_[j] / d_[j]) <= tol * std::fabs(at_.x[j]);
    if (!newton_) return false;
    bool met = true;
    for (Size i = 0; i < m_; ++i) {
      double terms = 0;
      for (Size j = 0; j < n_; ++j) terms += std::fabs(at_.a[i * n_ + j] * at_.x[j]);
      met = met && std::fabs(at_.c[i]) <= 64 * eps * terms;
    }
    bool stuck = small || (met && length <= 1e-14 * size);
    if (!stuck && length <= 1e-7 * size && n_steps_ >= 2)
      stuck = length >= 0.5 * std::min(recent_[(n_steps_ - 1) % n_recent], recent_[(n_steps_ - 2) % n_recent]);
    recent_[n_steps_++ % n_recent] = length;
    return stuck;
  }

  // Without a doubt.
  bool is_minimum(double size) noexcept {
    double largest = 1;
    for (Size i = 0; i < n_ * n_; ++i) largest = std::max(largest, std::fabs(h_[i]));
    if (k_ > 0 && !(model_.values[0] > flat * largest)) return false;
    // Steps that were only halved, and gradients that vanish, are those of points without multipliers.
    for (Size i = 0; i < m_; ++i)
      if (rows_[i] < 1e-5 * first_rows_[i]) return false;
    bool halved = n_steps_ >= n_recent;
    for (Size k = 1; halved && k < n_recent; ++k) {
      const double ratio = recent_[(n_steps_ - k) % n_recent] / recent_[(n_steps_ - k - 1) % n_recent];
      halved = ratio > 0.3 && ratio < 0.8;
    }
    if (halved) return false;
    double left = 0;
    for (Size i = 0; i < k_; ++i) {
      const double part = dot(along_ + i * n_, slope_, n_);
      left += part * part;
    }
    const double level = std::max(std::fabs(at_.value), std::fabs(value_at_start_));
    left = std::sqrt(left);
    return length_of(scaled_c_, m_) <= 1e-9 * size &&
           (left <= 1e-6 * length_of(slope_, n_) || left * size <= 1e-6 * level);
  }

  double violation(const Place& place) const noexcept {
    double sum = 0;
    for (Size i = 0; i < m_; ++i) sum += place.c[i] / rows_[i] * (place.c[i] / rows_[i]);
    return std::sqrt(sum);
  }
  bool go_to(const double* y, Place& place) noexcept {
    for (Size j = 0; j < n_; ++j) place.x[j] = at_.x[j] + y[j] / d_[j];
    return evaluate(place);
  }

  // One step by which f and the violation together become smaller. False: stopped, or not finite.
  bool go(bool& goes) noexcept {
    const double before = violation(at_);
    for (int k = 0; k < most_trials; ++k) {
      if (predicted_c_ > 0) {
        const double needed = -predicted_f_ / (0.7 * predicted_c_);
        if (needed > weight_) weight_ = 1.5 * needed;
        if (weight_ == 0 && before > 0) weight_ = (at_.value != 0 ? std::fabs(at_.value) : 1) / before;
      }
      const double predicted = predicted_f_ + weight_ * predicted_c_, length = length_of(y_, n_);
      if (!go_to(y_, to_)) return false;
      double ratio = -infinity;
      if (is_finite(to_)) {
        ratio = gain(to_, before, predicted);
        if (ratio < 1e-4 && !correct(before, predicted, ratio)) return false;
      }
      if (ratio < 0.25)
        radius_ = ratio < 1e-4 ? std::min(0.5 * radius_, 0.5 * length) : 0.5 * radius_;
      else if (ratio > 0.75 && length > 0.7 * radius_)
        radius_ *= 2.5;
      goes = ratio > 1e-4;
      if (goes) {
        std::swap(at_, to_);
        return true;
      }
      if (length == 0 || std::equal(to_.x, to_.x + n_, at_.x)) return true;
      if (!step()) return false;
    }
    return true;
  }
  // Across again, from there: the equations are curved.
  bool correct(double before, double predicted, double& ratio) noexcept {
    across(to_.c, corrected_);
    for (Size j = 0; j < n_; ++j) corrected_[j] += y_[j];
    if (!go_to(corrected_, other_)) return false;
    if (!is_finite(other_)) return true;
    const double better = gain(other_, before, predicted);
    if (better > 1e-4) {
      std::swap(to_, other_);
      ratio = better;
    }
    return true;
  }
  // Beside the predicted one.
  double gain(const Place& to, double before, double predicted) const noexcept {
    const double after = violation(to), size = std::max(std::fabs(at_.value), std::fabs(to.value));
    double fall = at_.value - to.value;
    if (std::fabs(fall) <= noise * size) {  // rounding: the slopes at both ends know better
      fall = 0;
      for (Size j = 0; j < n_; ++j) fall -= 0.5 * (at_.gradient[j] + to.gradient[j]) * (to.x[j] - at_.x[j]);
    }
    const double both = fall + weight_ * (before - after), level = noise * (size + weight_ * (before + after));
    if (newton_ && predicted <= level) return both >= -level ? 1 : -1;
    return predicted > 0 ? both / predicted : -infinity;
  }

  void report() noexcept {
    result_.value = at_.value;
    std::copy_n(at_.x, n_, point_.x);
    std::copy_n(at_.gradient, n_, point_.gradient);
    std::copy_n(at_.c, m_, point_.c);
  }

  EquationsFunction& f_;
  const Size n_, m_, k_;
  const EquationsPoint& point_;
  double* const d_;
  const Size max_iter_;
  EquationsResult& result_;
  Place at_{}, to_{}, other_{};
  QuadraticModel model_{};
  double *first_d_, *new_d_, *slope_, *y_, *normal_, *work_, *corrected_;  // n
  double *rows_, *first_rows_, *scaled_c_, *small_, *betas_, *diagonal_;   // m; of R
  double *h_, *q_, *scaled_a_, *r_, *along_, *reduced_, *right_;
  double radius_ = 0, first_size_ = 0, weight_ = 0, value_at_start_ = 0;
  double predicted_c_ = 0, predicted_f_ = 0;
  double recent_[n_recent] = {};
  Size n_steps_ = 0;
  bool newton_ = false, stopped_ = false;
};

}  // namespace

Outcome minimize_under_equations(EquationsFunction& f, Size n, Size m, const EquationsPoint& point, Size max_iter,
                                 EquationsResult& result) noexcept {
  Divider needed;
  const Equations counted(f, n, m, point, max_iter, result, needed);
  if (needed.used() < 0) return {Outcome::Status::too_large};
  const ScratchLease memory(needed.used());
  if (!memory) return {Outcome::Status::no_memory};
  Divider divider(memory.data());
  return Equations(f, n, m, point, max_iter, result, divider).run() ? Outcome{} : Outcome{Outcome::Status::interrupted};
}

}  // namespace mmlfast::drivers
