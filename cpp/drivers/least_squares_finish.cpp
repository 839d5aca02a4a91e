// The end of a search: steps of Gauss and Newton to the last digits, and what the answer says.
#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/least_squares_powers.hpp"
#include "drivers/least_squares_search.hpp"

namespace mmlfast::drivers {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

// What roundings of the residuals make of a step, in the twelfth digit of a parameter or more? second_step_: their
// share in each parameter.
bool LeastSquaresSearch::needs_precision() noexcept {
  if (!loss_.is_linear() || !problem_.amplification(second_step_)) return false;
  const double noise = roundings();
  for (Size j = 0; j < n_; ++j)
    if (noise * second_step_[j] > 1e-12 * weights_[j] * std::abs(times_power(p_[j], exponents_[j] - exponent_)))
      return true;
  return false;
}

// A step that is nothing but roundings, or less than the last digits of the parameters.
bool LeastSquaresSearch::has_arrived(double length, double floor, double digits) const noexcept {
  if (length <= floor || length <= epsilon * size_of_parameters()) return true;
  for (Size j = 0; j < n_; ++j)
    if (std::abs(step_[j]) > digits * std::abs(times_power(p_[j], exponents_[j] - exponent_))) return false;
  return true;
}

// By the secants of the last steps, as long as that stays between bounds. Replaces step_.
bool LeastSquaresSearch::go_further() noexcept {
  double *at = trial_, *step = second_step_, *better = second_z_;
  for (Size j = 0; j < n_; ++j) {
    at[j] = influence_[j] * p_[j];
    step[j] = influence_[j] * times_power(step_[j], exponent_ - exponents_[j]);
  }
  if (!secants_.improve(at, step, better)) return false;
  for (Size j = 0; j < n_; ++j) {
    if (influence_[j] == 0) continue;
    const double by = times_power(better[j] / influence_[j], exponents_[j] - exponent_);
    if (bounded_ && !(by >= lower_[j] && by <= upper_[j])) return false;
    second_step_[j] = by;
  }
  std::copy_n(second_step_, n_, step_);
  return true;
}

bool LeastSquaresSearch::has_small_gradient() const noexcept {
  // As small as it will be, once the search has tried everything.
  const double most = std::max({ftol_, xtol_, gtol_}) < 1e-14 ? 1e-6 : 3e-8;
  return problem_.reachable() <= most * scaled(size_) + 64 * roundings();
}

// Short steps say little where parameters are undetermined: they are damped there.
bool LeastSquaresSearch::is_minimum() const noexcept {
  return problem_.rank() == problem_.n_free() || has_small_gradient();
}

// Takes step_ if the residuals do not become longer by more than roundings; if they do and the step came from secants,
// the plain one.
LeastSquaresSearch::Progress LeastSquaresSearch::last_step(bool further) noexcept {
  const double most = size_ * (1 + 8 * function_.precision()) + 8 * times_power(roundings(), exponent_);
  for (;; further = false) {
    go_by_step();
    if (!moves()) return Progress::none;
    if (answer_.n_evaluations >= options_.max_evaluations) return Progress::worse;
    if (!evaluate(trial_, trial_residuals_, trial_size_)) return Progress::failed;
    if (trial_size_ <= most) return Progress::good;
    if (!further) return Progress::worse;
    secants_.forget();
    problem_.solve(0, step_);
  }
}

// Whether differences to one side tell all parameters well enough here: their errors, those of the residuals over what
// the residuals change by, are a part of the standard errors that nobody sees. second_step_: the standard errors, and 0
// where they are not known.
bool LeastSquaresSearch::one_side_does() noexcept {
  if (m_ <= n_ || !problem_.amplification(second_step_)) {
    std::fill_n(second_step_, n_, 0.0);
    return false;
  }
  const double condition = std::sqrt(static_cast<double>(n_) * square_of(second_step_, n_));
  const double precision = function_.precision(), rms = scaled(size_) / std::sqrt(static_cast<double>(m_ - n_));
  const double wider = std::clamp(size_at_start_ / size_, 1.0, 1e3);  // steps than such that change the residuals alone
  const double error = condition * roundings() / (wider * std::sqrt(precision * static_cast<double>(m_)));
  for (Size j = 0; j < n_; ++j) second_step_[j] *= rms;
  return error <= 1e-5 * rms;
}

// Whether what is left, `rest` times step_, is nothing beside the standard errors (second_step_) or the parameters.
bool LeastSquaresSearch::is_nothing(double rest) const noexcept {
  const double digits = std::pow(function_.precision(), 2.0 / 3), seen = both_sides_ ? 1e-7 : 2e-6;
  for (Size j = 0; j < n_; ++j) {
    const double size = weights_[j] * std::abs(times_power(p_[j], exponents_[j] - exponent_));
    if (rest * weights_[j] * std::abs(step_[j]) > std::max(seen * second_step_[j], 3 * digits * size)) return false;
  }
  return true;
}

// The end of a search by differences, which cost evaluations: to one side as long as that does, and to both only where
// the end is near. How near is told from how much shorter each step is than the one before. False: not there, or the
// search has failed.
bool LeastSquaresSearch::finish_by_differences() noexcept {
  double last = times_power(length_, exponent_), ratio = std::min(bend_, 1.0);
  int no_shorter = 0;
  for (int k = 0; k < most_steps_by_differences; ++k) {
    bool does = one_side_does() || both_sides_;  // by the derivatives there are, until there are others
    const double left = scaled(ratio * last);
    if (!does && left <= std::max(0.03 * std::sqrt(square_of(second_step_, n_)), 1e-6 * size_of_parameters())) {
      both_sides_ = does = true;
      function_.refine();
      problem_.expect(25 * std::pow(function_.precision(), 2.0 / 3));
      linear_at_p_ = false;
    }
    if (!linear_at_p_ && !linearize(false)) return false;
    if (size_ == 0) return true;
    problem_.solve(0, step_);
    damping_ = 0;
    const bool inside = !bounded_ || keep_between_bounds();
    const double length = times_power(problem_.length(step_), exponent_),
                 slower = std::clamp(length / last, ratio, 1.0);
    const bool arrived = does && is_minimum() && (one_side_does(), is_nothing(slower));
    no_shorter += length < 0.5 * last ? 0 : 1;
    if (!arrived && no_shorter == 3) return false;
    ratio = std::min(length / last, 1.0), last = length;
    const Progress made = last_step(inside && go_further());
    if (made == Progress::none && does) return is_minimum();
    if (made == Progress::worse && arrived) return true;
    if (made != Progress::good || !accept()) return false;
    if (arrived) return project_again();
  }
  return false;
}

// Whether the search has come to where it wanted to: steps without damping become ever shorter, until they are
// roundings.
bool LeastSquaresSearch::finish() noexcept {
  bool precisely = false;
  double shortest = infinity, floor = 0;  // of the lengths of steps; what roundings make of them
  int no_shorter = 0;
  secants_.forget();
  finishing_ = true;  // influences stay as they are, since secants are in their units
  const double errors = std::pow(function_.precision(), 2.0 / 3);  // of differences to both sides
  if (saves_) {
    if (finish_by_differences()) return true;
    if (failed_ || status_ <= LeastSquaresStatus::out_of_evaluations) return false;
    secants_.forget();
  }
  bool is_refined = function_.is_exact();
  for (int k = 0; k < most_last_steps; ++k) {
    if (!linear_at_p_ && !linearize(precisely)) return false;
    if (size_ == 0) return true;
    if (k == 0) {
      precisely = needs_precision() && linearize(true);
      if (failed_ || (!linear_at_p_ && !linearize(false))) return false;
      const double noise = precisely ? epsilon : roundings();
      floor = problem_.amplification(second_step_) ? noise * std::sqrt(square_of(second_step_, n_)) : 0;
    }
    problem_.solve(0, step_);
    damping_ = 0;
    bool inside = !bounded_ || keep_between_bounds();
    double length = problem_.length(step_);
    if (!is_refined) {
      is_refined = true;
      function_.refine();
      problem_.expect(25 * errors);
      if (!linearize(false)) return false;
      secants_.forget();
      problem_.solve(0, step_);
      inside = !bounded_ || keep_between_bounds();
      length = problem_.length(step_);
      shortest = infinity;
    }
    if (has_arrived(length, floor, !function_.is_exact() ? 3 * errors : precisely ? 1e-13 : 1e-14)) return is_minimum();
    no_shorter = length < 0.5 * shortest ? 0 : no_shorter + 1;
    shortest = std::min(shortest, length);
    if (no_shorter == 2) secants_.forget();
    if (no_shorter == 5) break;
    const Progress made = last_step(inside && go_further());
    if (made == Progress::none) return is_minimum();
    if (made == Progress::failed) return false;
    if (made == Progress::worse) break;
    if (!accept()) return false;
  }
  if (!linear_at_p_ && !linearize(precisely)) return false;
  // Small slopes are those of a minimum, or of a valley without an end, where steps stay long.
  const double whole = size_of_parameters();
  const bool is_near = has_small_gradient() && shortest <= std::max(1e-3 * whole, 1e3 * floor);
  return is_minimum() && (is_near || shortest <= 1e-10 * whole);
}

// y_: the second derivative of the residuals along v, by differences if there is no other.
bool LeastSquaresSearch::second_derivative(const double* p, const double* v) noexcept {
  const ResidualFunction::Answer answer = function_.second_derivative(p, v, y_);
  failed_ = failed_ || answer == ResidualFunction::Answer::stop;
  if (answer != ResidualFunction::Answer::no) return !failed_;
  constexpr double way = 0x1p-7;
  for (Size i = 0; i < m_; ++i) y_[i] = -2 * residuals_[i];
  for (const double by : {way, -way}) {
    for (Size j = 0; j < n_; ++j) {
      trial_[j] = p[j] + by * v[j];
      if (options_.lower != nullptr) trial_[j] = std::max(trial_[j], options_.lower[j]);
      if (options_.upper != nullptr) trial_[j] = std::min(trial_[j], options_.upper[j]);
    }
    if (!evaluate(trial_, trial_residuals_, trial_size_)) return false;
    for (Size i = 0; i < m_; ++i) y_[i] += trial_residuals_[i];
  }
  for (Size i = 0; i < m_; ++i) y_[i] /= way * way;
  return true;
}

// Along the step of Gauss and Newton, which is a valley's without an end if it is one: is the least of the cost there
// near? Its second derivative has a part that the residuals bend.
bool LeastSquaresSearch::is_bent_upwards() noexcept {
  if (!linear_at_p_ && !linearize(false)) return false;
  problem_.solve(0, step_);
  const double length = problem_.length(step_);
  if (!(length > 0)) return true;
  const double way = std::max(size_of_parameters(), scaled(whole_at_start_)) / length;
  double slope = 0;
  for (Size j = 0; j < n_; ++j) {
    step_[j] *= way;
    slope += gradient_[j] * step_[j];
    second_step_[j] = times_power(step_[j], exponent_ - exponents_[j]);
  }
  const double straight = -problem_.decrease(step_) - 2 * slope;  // |J v|^2
  linear_at_p_ = false;                                           // y_ is about to be something else
  if (!second_derivative(p_, second_step_)) return false;
  double bent = 0;
  for (Size i = 0; i < m_; ++i) bent += scaled(residuals_[i]) * scaled(y_[i]);
  return straight + bent > 0 && std::abs(slope) <= 1e-3 * (straight + bent);
}

void LeastSquaresSearch::report() noexcept {
  answer_.status = status_;
  answer_.cost = 0.5 * size_ * size_;
  std::copy_n(residuals_, m_, answer_.residuals);
  std::fill_n(answer_.active, n_, std::int8_t{0});
  if (failed_ || status_ == LeastSquaresStatus::not_finite) return;
  if (!linear_at_p_ && !linearize(false)) {
    answer_.outcome = {Outcome::Status::interrupted};
    return;
  }
  if (answer_.used_precise && function_.precise_residuals(p_, answer_.residuals) == ResidualFunction::Answer::yes) {
    const double square = square_of(answer_.residuals, m_);
    if (square > 0x1p-900 && square < infinity) answer_.cost = 0.5 * square;
  }
  // (Without a loss, y_ may be a second derivative by now.)
  const double size = loss_.is_linear() ? scaled(size_) : std::sqrt(kernel_.square(y_, rows_) + square_of(z_, n_));
  for (Size j = 0; j < n_; ++j) {
    answer_.active[j] = held_[j];
    if (held_[j] == 0 && norms_[j] > 0 && size > 0)
      answer_.optimality =
          std::max(answer_.optimality, std::abs(gradient_[j]) / (size * times_power(norms_[j], -exponents_[j])));
  }
  if (!loss_.is_linear()) {
    curvature_ = Curvature::as_scipy;
    if (!linearize(false)) {
      answer_.outcome = {Outcome::Status::interrupted};
      return;
    }
  }
  report_triangle();
}

void LeastSquaresSearch::report_triangle() noexcept {
  for (Size j = 0; j < n_; ++j) {
    if (answer_.gradient != nullptr) answer_.gradient[j] = times_power(gradient_[j], exponents_[j] + exponent_);
    if (answer_.jacobian != nullptr)
      for (Size i = 0; i < m_; ++i)
        answer_.jacobian[j * m_ + i] = times_power(answer_.jacobian[j * m_ + i], exponents_[j]);
  }
  for (Size k = 0; k < n_; ++k) {
    answer_.pivots[k] = pivots_[k];
    for (Size i = 0; i < n_; ++i) answer_.r[k * n_ + i] = times_power(r_[k * n_ + i], exponents_[pivots_[k]]);
  }
  // Of columns of length 1.
  std::fill_n(held_, n_, std::int8_t{0});
  for (Size j = 0; j < n_; ++j) weights_[j] = norms_[j] > 0 ? times_power(norms_[j], -exponents_[j]) : 1;
  problem_.take(r_, z_, pivots_, weights_, held_);
  answer_.rank = static_cast<std::int32_t>(problem_.rank());
  answer_.condition = answer_.rank == n_ && problem_.amplification(second_step_)
                          ? std::sqrt(static_cast<double>(n_) * square_of(second_step_, n_))
                          : infinity;
}

bool LeastSquaresSearch::is_bowl(const double* start) noexcept {
  // Parameters in the order of the pivots; the first ones make up for what the others change.
  const Size rank = answer_.rank;
  double* change = second_step_;
  for (Size k = n_ - 1; k >= 0; --k) {
    const Size j = answer_.pivots[k];
    if (k >= rank) {
      change[k] = 1e-3 * (start[j] - answer_.p[j]);
      continue;
    }
    double sum = 0;
    for (Size i = k + 1; i < n_; ++i) sum -= answer_.r[i * n_ + k] * change[i];
    change[k] = sum / answer_.r[k * n_ + k];
  }
  for (Size k = 0; k < n_; ++k) {
    const Size j = answer_.pivots[k];
    trial_[j] = answer_.p[j] + change[k];
    if (options_.lower != nullptr) trial_[j] = std::max(trial_[j], options_.lower[j]);
    if (options_.upper != nullptr) trial_[j] = std::min(trial_[j], options_.upper[j]);
  }
  if (!evaluate(trial_, trial_residuals_, trial_size_)) return true;
  return 0.5 * trial_size_ * trial_size_ > answer_.cost * (1 + 1e-7);
}

}  // namespace mmlfast::drivers
