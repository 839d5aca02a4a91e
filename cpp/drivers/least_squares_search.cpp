#include "drivers/least_squares_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "drivers/least_squares_powers.hpp"

namespace mmlfast::drivers {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

LeastSquaresSearch::LeastSquaresSearch(ResidualFunction& function, const LeastSquaresOptions& options,
                                       LeastSquaresAnswer& answer, Divider& memory) noexcept
    : function_(function),
      options_(options),
      answer_(answer),
      m_(function.n_residuals()),
      n_(function.n_parameters()),
      rows_(round_up(std::max(m_, Size{1}), 8)),
      loss_(options.loss, options.loss_scale, options.other_loss),
      problem_(n_, function.is_exact() ? 0x1p-46 : 7 * std::sqrt(function.precision()), memory),
      secants_(n_, memory),
      p_(answer.p),
      ftol_(options.ftol),
      xtol_(options.xtol),
      gtol_(options.gtol),
      bounded_(options.lower != nullptr || options.upper != nullptr),
      accelerating_(options.acceleration && loss_.is_linear()),
      saves_(!function.is_exact() && loss_.is_linear()) {
  double** const of_parameters[] = {&trial_, &influence_, &norms_,    &weights_, &step_,    &second_step_,
                                    &lower_, &upper_,     &gradient_, &z_,       &second_z_};
  for (double** vector : of_parameters) *vector = memory.take<double>(n_);
  r_ = memory.take<double>(checked_product(n_, n_));
  double** const of_residuals[] = {&residuals_, &trial_residuals_, &y_, &row_factors_};
  for (double** vector : of_residuals) *vector = memory.take<double>(rows_);
  loss_work_ = memory.take<double>(loss_.is_linear() ? 0 : checked_product(rows_, 4));
  columns_ = memory.take<double>(checked_product(rows_, n_));
  exponents_ = memory.take<std::int32_t>(n_);
  pivots_ = memory.take<std::int32_t>(n_);
  held_ = memory.take<std::int8_t>(n_);
  near_ = memory.take<std::int8_t>(n_);
}

// ---- what is known at a point ----

// sqrt(sum of squares), wherever in the range of numbers they are.
double LeastSquaresSearch::length_of(const double* x) const noexcept {
  const double square = kernel_.square(x, rows_);
  if (square > 0x1p-900 && square < 0x1p1000) return std::sqrt(square);
  double largest = 0;
  for (Size i = 0; i < m_; ++i) {
    if (std::isnan(x[i])) return x[i];
    largest = std::max(largest, std::abs(x[i]));
  }
  if (largest == 0 || largest == infinity) return largest;
  int exponent;
  std::frexp(largest, &exponent);
  double sum = 0;
  for (Size i = 0; i < m_; ++i) {
    const double near_one = times_power(x[i], -exponent);
    sum += near_one * near_one;
  }
  return times_power(std::sqrt(sum), exponent);
}

bool LeastSquaresSearch::evaluate(const double* p, double* r, double& size) noexcept {
  ++answer_.n_evaluations;
  if (!function_.residuals(p, r)) {
    failed_ = true;
    return false;
  }
  std::fill(r + m_, r + rows_, 0.0);
  if (loss_.is_linear()) {
    size = length_of(r);
  } else {
    failed_ = !loss_.sum(r, m_, loss_work_, size);
    if (failed_) return false;
    size = std::sqrt(size);
  }
  if (std::isnan(size)) size = infinity;
  return true;
}

double LeastSquaresSearch::scaled(double residual) const noexcept { return times_power(residual, -exponent_); }

// A parameter far from its origin (a time stamp) is not that large: it is as large as the residuals that there were.
double LeastSquaresSearch::size_of_parameters() const noexcept {
  const double most = scaled(size_at_start_);
  double square = 0;
  for (Size j = 0; j < n_; ++j) {
    const double x = std::min(weights_[j] * std::abs(times_power(p_[j], exponents_[j] - exponent_)), most);
    square += x * x;
  }
  return std::sqrt(square);
}

// What float64 leaves of the residuals, about.
double LeastSquaresSearch::roundings() const noexcept {
  double square = 0;
  for (Size j = 0; j < n_; ++j) {
    const double x = times_power(norms_[j] * p_[j], -exponent_);
    square += x * x;
  }
  return function_.precision() * std::sqrt(square);
}

// The residuals for the QR, scaled by the loss, and by a power of two.
bool LeastSquaresSearch::take_residuals(bool precisely) noexcept {
  if (precisely) {
    const ResidualFunction::Answer answer = function_.precise_residuals(p_, y_);
    failed_ = failed_ || answer == ResidualFunction::Answer::stop;
    if (answer != ResidualFunction::Answer::yes) return false;
    answer_.used_precise = true;
    std::fill(y_ + m_, y_ + rows_, 0.0);
  } else if (!loss_.is_linear()) {
    failed_ = !loss_.scale(curvature_, residuals_, m_, loss_work_, y_, row_factors_);
    if (failed_) return false;
    std::fill(y_ + m_, y_ + rows_, 0.0);
  } else {
    std::copy_n(residuals_, rows_, y_);
  }
  const double length = length_of(y_);
  exponent_ = 0;
  if (length > 0 && length < infinity) std::frexp(length, &exponent_);
  scale_by_power(y_, m_, -exponent_);
  return true;
}

// To lengths of 1/2 to 1, by powers of two. A derivative that is not finite says nothing about where to go (where a
// function is saturated it is often infinity times zero) and counts as zero.
void LeastSquaresSearch::scale_columns() noexcept {
  for (Size j = 0; j < n_; ++j) {
    double* column = columns_ + j * rows_;
    if (!loss_.is_linear())
      for (Size i = 0; i < m_; ++i) column[i] *= row_factors_[i];
    std::fill(column + m_, column + rows_, 0.0);
    norms_[j] = length_of(column);
    if (!(norms_[j] < infinity)) {
      for (Size i = 0; i < m_; ++i)
        if (!std::isfinite(column[i])) column[i] = 0;
      norms_[j] = length_of(column);
    }
    exponents_[j] = 0;
    if (norms_[j] > 0) {
      std::frexp(norms_[j], &exponents_[j]);
      scale_by_power(column, m_, -exponents_[j]);
    }
    if (!finishing_ || influence_[j] == 0) influence_[j] = std::max(influence_[j], norms_[j]);
    if (options_.scale != nullptr) influence_[j] = 1 / options_.scale[j];
    weights_[j] = times_power(influence_[j], -exponents_[j]);
  }
}

void LeastSquaresSearch::hold_at_bounds() noexcept {
  for (Size j = 0; j < n_; ++j) {
    held_[j] = 0;
    if (options_.lower != nullptr && p_[j] <= options_.lower[j] && gradient_[j] > 0) held_[j] = -1;
    if (options_.upper != nullptr && p_[j] >= options_.upper[j] && gradient_[j] < 0) held_[j] = 1;
    if (options_.lower != nullptr && options_.upper != nullptr && options_.lower[j] == options_.upper[j]) held_[j] = -1;
  }
}

// Derivatives, their QR, and who is held.
bool LeastSquaresSearch::linearize(bool precisely) noexcept {
  if (!take_residuals(precisely)) return false;
  ++answer_.n_jacobians;
  if (!function_.jacobian(p_, residuals_, columns_, rows_)) {
    failed_ = true;
    return false;
  }
  scale_columns();
  if (answer_.jacobian != nullptr)
    for (Size j = 0; j < n_; ++j) std::copy_n(columns_ + j * rows_, m_, answer_.jacobian + j * m_);
  kernel_.factor(columns_, rows_, rows_, n_, y_, r_, z_, pivots_);
  look_at_slopes();
  return true;
}

// The derivatives of another point near by, and the residuals here.
bool LeastSquaresSearch::project_again() noexcept {
  if (!take_residuals(false)) return false;
  kernel_.project(columns_, rows_, rows_, n_, r_, y_, z_);
  look_at_slopes();
  return true;
}

void LeastSquaresSearch::look_at_slopes() noexcept {
  for (Size k = 0; k < n_; ++k) {
    double sum = 0;
    for (Size i = 0; i <= k; ++i) sum += r_[k * n_ + i] * z_[i];
    gradient_[pivots_[k]] = sum;
  }
  hold_at_bounds();
  problem_.take(r_, z_, pivots_, weights_, held_);
  linear_at_p_ = true;
}

// ---- the search ----

void LeastSquaresSearch::run() noexcept {
  std::fill_n(influence_, n_, 0.0);
  std::fill_n(near_, n_, std::int8_t{0});
  if (!evaluate(p_, residuals_, size_)) {
    answer_.outcome = {Outcome::Status::interrupted};
    return;
  }
  size_at_start_ = size_;
  if (size_ == infinity)
    status_ = LeastSquaresStatus::not_finite;
  else
    search();
  if (failed_) answer_.outcome = {Outcome::Status::interrupted};
  report();
}

void LeastSquaresSearch::search() noexcept {
  for (;;) {
    while (iterate()) {
    }
    if (failed_ || status_ <= LeastSquaresStatus::out_of_evaluations) return;
    const LeastSquaresStatus why = status_;
    const bool arrived = finish();
    if (failed_ || status_ <= LeastSquaresStatus::out_of_evaluations) return;
    if (arrived || is_exact_fit()) {
      status_ = why;
      return;
    }
    // That was no minimum yet.
    finishing_ = false;
    if (std::exchange(saves_, false)) continue;
    if (std::max({ftol_, xtol_, gtol_}) < function_.precision()) {
      // Where derivatives vanish together with their combination with the residuals, no step of Gauss and Newton is
      // short.
      const bool flat = steepest() <= 1e-7;
      status_ = flat && is_bent_upwards() ? LeastSquaresStatus::gradient : LeastSquaresStatus::stagnation;
      return;
    }
    ftol_ *= 1e-3, xtol_ *= 1e-3, gtol_ *= 1e-3;
  }
}

// The largest slope by a parameter that is free, beside the most that its influence and the residuals allow.
double LeastSquaresSearch::steepest() const noexcept {
  double most = 0;
  for (Size j = 0; j < n_; ++j)
    if (held_[j] == 0 && weights_[j] > 0) most = std::max(most, std::abs(gradient_[j]) / weights_[j]);
  return most / scaled(size_);
}

void LeastSquaresSearch::first_radius() noexcept {
  whole_at_start_ = times_power(size_of_parameters(), exponent_);
  // Losses that forgive the worst misses reward steps that miss everything.
  const double factor = loss_.is_linear() ? options_.first_step : std::min(options_.first_step, 1.0);
  radius_ = times_power(factor * size_of_parameters(), exponent_);
  if (radius_ > 0) return;
  problem_.solve(0, step_);
  radius_ = times_power(problem_.length(step_), exponent_);
}

// One step down, or the reason why there is none: false.
bool LeastSquaresSearch::iterate() noexcept {
  if (!linear_at_p_ && !linearize(false)) return false;
  const bool first = radius_ < 0;
  if (first) {
    first_radius();
    answer_.rank_at_start = static_cast<std::int32_t>(problem_.rank());
  }
  status_ = LeastSquaresStatus::gradient;
  const double reachable = problem_.reachable(), noise = roundings();
  if (reachable <= gtol_ * scaled(size_) || reachable <= 4 * noise) return false;
  for (bool shorter = false;; shorter = true) {
    propose();
    if (failed_) return false;
    go_by_step();
    if (!moves()) {
      status_ = LeastSquaresStatus::step;
      return false;
    }
    if (answer_.n_evaluations >= options_.max_evaluations) {
      status_ = LeastSquaresStatus::out_of_evaluations;
      return false;
    }
    if (!evaluate(trial_, trial_residuals_, trial_size_)) return false;
    const double quotient = trial_size_ / size_, actual = quotient < 10 ? (1 - quotient) * (1 + quotient) : -1;
    if (first && !shorter) radius_ = std::min(radius_, times_power(length_, exponent_));
    const double ratio = predicted_ > 0 ? actual / predicted_ : -1;
    const bool undamped = damping_ == 0;
    adjust_radius(actual, ratio);
    bend_ = undamped ? std::abs(ratio - 1) : 1;
    straight_ = bend_ < most_bend;
    const bool taken = ratio >= 1e-4;
    const bool settled = is_settled(actual) || (taken && hands_over());
    if (taken && !accept()) return false;
    if (settled) return false;
    if (taken) return true;
  }
}

bool LeastSquaresSearch::is_settled(double actual) noexcept {
  if (std::abs(actual) <= ftol_ && predicted_ <= ftol_ && actual <= 2 * predicted_) {
    status_ = LeastSquaresStatus::cost;
    return true;
  }
  if (scaled(radius_) <= xtol_ * size_of_parameters()) {
    status_ = LeastSquaresStatus::step;
    return true;
  }
  return false;
}

// To finish_by_differences, where a whole step of Gauss and Newton was short or did just what was predicted.
bool LeastSquaresSearch::hands_over() noexcept {
  if (!saves_ || !straight_ || !(bend_ < straight_way || length_ <= short_way * size_of_parameters())) return false;
  status_ = LeastSquaresStatus::cost;
  return true;
}

bool LeastSquaresSearch::accept() noexcept {
  if (bounded_)
    for (Size j = 0; j < n_; ++j) near_[j] = step_[j] <= lower_[j] ? -1 : step_[j] >= upper_[j] ? 1 : 0;
  std::copy_n(trial_, n_, p_);
  std::swap(residuals_, trial_residuals_);
  size_ = trial_size_;
  linear_at_p_ = false;
  if (!function_.go_on(p_, 0.5 * size_ * size_, answer_.n_evaluations)) {
    status_ = LeastSquaresStatus::stopped;
    return false;
  }
  return true;
}

void LeastSquaresSearch::propose() noexcept {
  damping_ = problem_.solve_within(scaled(radius_), damping_, step_);
  const bool inside = !bounded_ || keep_between_bounds();
  const double relative = scaled(size_);
  length_ = problem_.length(step_);
  predicted_ = problem_.decrease(step_) / (relative * relative);
  slope_ = 0;
  for (Size j = 0; j < n_; ++j) slope_ += gradient_[j] * step_[j];
  slope_ /= relative * relative;
  if (accelerating_ && !straight_ && inside && problem_.n_free() == n_) accelerate();
}

// The path that the step is the tangent of bends: half the second derivative along it, as long as that is a correction.
void LeastSquaresSearch::accelerate() noexcept {
  for (Size j = 0; j < n_; ++j) second_step_[j] = times_power(step_[j], exponent_ - exponents_[j]);
  const ResidualFunction::Answer answer = function_.second_derivative(p_, second_step_, y_);
  failed_ = failed_ || answer == ResidualFunction::Answer::stop;
  accelerating_ = answer == ResidualFunction::Answer::yes;
  if (!accelerating_) return;
  std::fill(y_ + m_, y_ + rows_, 0.0);
  scale_by_power(y_, m_, -exponent_);
  kernel_.project(columns_, rows_, rows_, n_, r_, y_, second_z_);
  problem_.solve(damping_, second_step_, second_z_);
  const double bend = problem_.length(second_step_);
  if (!(bend <= 0.75 * length_)) return;
  for (Size j = 0; j < n_; ++j) step_[j] += 0.5 * second_step_[j];
  answer_.accelerated = true;
}

// Whether the step ends between them by itself. At first it goes nine tenths of the way to a bound only: there, and not
// by symmetry, it shows whether that is where to go.
bool LeastSquaresSearch::keep_between_bounds() noexcept {
  bool inside = true;
  for (Size j = 0; j < n_; ++j) {
    const int exponent = exponents_[j] - exponent_;
    lower_[j] = options_.lower == nullptr ? -infinity : times_power(options_.lower[j] - p_[j], exponent);
    upper_[j] = options_.upper == nullptr ? infinity : times_power(options_.upper[j] - p_[j], exponent);
    inside = inside && step_[j] >= lower_[j] && step_[j] <= upper_[j];
  }
  if (inside) return true;
  for (Size j = 0; j < n_ && !finishing_; ++j) {
    if (near_[j] >= 0) lower_[j] *= 0.9;
    if (near_[j] <= 0) upper_[j] *= 0.9;
  }
  problem_.solve_between(damping_, lower_, upper_, step_);
  return false;
}

// trial = p + step.
void LeastSquaresSearch::go_by_step() noexcept {
  for (Size j = 0; j < n_; ++j) {
    trial_[j] = p_[j] + times_power(step_[j], exponent_ - exponents_[j]);
    if (!bounded_) continue;
    // To the bound itself, and not to what roundings leave between.
    const int exponent = exponents_[j] - exponent_;
    if (options_.lower != nullptr && step_[j] <= times_power(options_.lower[j] - p_[j], exponent))
      trial_[j] = options_.lower[j];
    if (options_.upper != nullptr && step_[j] >= times_power(options_.upper[j] - p_[j], exponent))
      trial_[j] = options_.upper[j];
    if (options_.lower != nullptr) trial_[j] = std::max(trial_[j], options_.lower[j]);
    if (options_.upper != nullptr) trial_[j] = std::min(trial_[j], options_.upper[j]);
  }
}

bool LeastSquaresSearch::moves() const noexcept { return !std::equal(p_, p_ + n_, trial_); }

// More (1978): by how well the model said what would come.
void LeastSquaresSearch::adjust_radius(double actual, double ratio) noexcept {
  const double length = times_power(length_, exponent_);
  if (!(ratio > 0.25)) {
    // To where the parabola through both costs and the slope has its least.
    double factor = actual >= 0 ? 0.5 : 0.5 * slope_ / (slope_ + 0.5 * actual);
    if (!(factor >= 0.1) || trial_size_ > 10 * size_) factor = 0.1;
    radius_ = factor * std::min(radius_, 10 * length);
    damping_ /= factor;
  } else if (damping_ == 0 || ratio >= 0.75) {
    radius_ = 2 * length;
    damping_ *= 0.5;
  }
}

}  // namespace mmlfast::drivers
