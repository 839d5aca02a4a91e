// The end of a search: steps of Gauss and Newton to the last digits, and what the answer says.
#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/least_squares_search.hpp"

namespace mmlfast::drivers {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

// Do roundings of the residuals change the twelfth digit of a parameter?
bool LeastSquaresSearch::needs_precision() noexcept {
  if (options_.loss != Loss::linear || !problem_.amplification(second_step_)) return false;
  const double noise = roundings();
  for (Size j = 0; j < n_; ++j)
    if (noise * second_step_[j] > 1e-12 * weights_[j] * std::abs(std::ldexp(p_[j], exponents_[j] - exponent_)))
      return true;
  return false;
}

// Whether the search has come to where it wanted to: steps without damping become ever shorter, until they are
// roundings.
bool LeastSquaresSearch::finish() noexcept {
  bool precisely = false;
  double last = infinity;
  if (!function_.is_exact()) {
    function_.refine();
    linear_at_p_ = false;
  }
  for (int k = 0; k < most_last_steps; ++k) {
    if (!linear_at_p_ && !linearize(precisely)) return false;
    if (k == 0 && needs_precision()) {
      precisely = linearize(true);
      if (failed_) return false;
      if (!precisely && !linearize(false)) return false;
    }
    if (size_ == 0) return true;
    problem_.solve(0, step_);
    if (bounded_) {
      damping_ = 0;
      keep_between_bounds();
    }
    const double length = problem_.length(step_), whole = size_of_parameters();
    if (!(length < 0.8 * last)) break;
    if (length <= epsilon * whole) return true;
    go_by_step();
    if (!moves()) return true;
    if (answer_.n_evaluations >= options_.max_evaluations) break;
    if (!evaluate(trial_, trial_residuals_, trial_size_)) return false;
    const double noise = std::ldexp(roundings(), exponent_);
    if (!(trial_size_ <= size_ * (1 + 8 * epsilon) + 8 * noise)) break;
    last = length;
    if (!accept()) return false;
  }
  if (!linear_at_p_ && !linearize(precisely)) return false;
  return problem_.reachable() <= 1e-6 * scaled(size_) + 64 * roundings() || last <= 1e-10 * size_of_parameters();
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
  const double size = std::sqrt(kernel_.square(y_, rows_) + square_of(z_, n_));
  for (Size j = 0; j < n_; ++j) {
    answer_.active[j] = held_[j];
    if (held_[j] == 0 && norms_[j] > 0 && size > 0)
      answer_.optimality =
          std::max(answer_.optimality, std::abs(gradient_[j]) / (size * std::ldexp(norms_[j], -exponents_[j])));
  }
  if (options_.loss != Loss::linear) {
    curvature_ = Curvature::as_scipy;
    if (!linearize(false)) {
      answer_.outcome = {Outcome::Status::interrupted};
      return;
    }
  }
  for (Size k = 0; k < n_; ++k) {
    answer_.pivots[k] = pivots_[k];
    for (Size i = 0; i < n_; ++i) answer_.r[k * n_ + i] = std::ldexp(r_[k * n_ + i], exponents_[pivots_[k]]);
  }
  // Of columns of length 1.
  std::fill_n(held_, n_, std::int8_t{0});
  for (Size j = 0; j < n_; ++j) weights_[j] = norms_[j] > 0 ? std::ldexp(norms_[j], -exponents_[j]) : 1;
  problem_.take(r_, z_, pivots_, weights_, held_);
  answer_.rank = static_cast<std::int32_t>(problem_.rank(function_.is_exact() ? 64 * epsilon : 1e-9));
  answer_.condition = answer_.rank == n_ && problem_.amplification(second_step_)
                          ? std::sqrt(static_cast<double>(n_) * square_of(second_step_, n_))
                          : infinity;
}

}  // namespace mmlfast::drivers
