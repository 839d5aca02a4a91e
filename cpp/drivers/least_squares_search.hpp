// One search: where it is, and what it knows there.
#pragma once

#include "drivers/least_squares.hpp"
#include "drivers/least_squares_loss.hpp"
#include "drivers/least_squares_secants.hpp"
#include "drivers/least_squares_step.hpp"
#include "kernels/least_squares.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

inline double square_of(const double* x, Size n) noexcept {
  double sum = 0;
  for (Size i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

class LeastSquaresSearch : NonCopyable {
 public:
  LeastSquaresSearch(ResidualFunction& function, const LeastSquaresOptions& options, LeastSquaresAnswer& answer,
                     Divider& memory) noexcept;

  void run() noexcept;
  // Are the residuals nothing but roundings beside those at the start?
  bool is_exact_fit() const noexcept { return size_ <= 1e-13 * size_at_start_; }
  // Of that at the start.
  double cost_left() const noexcept { return (size_ / size_at_start_) * (size_ / size_at_start_); }
  // Does the cost grow at the answer if the parameters that make no difference there, to first order, go back a
  // hundredth of the way to the start?
  bool is_bowl(const double* start) noexcept;

 private:
  // Residuals at p and the root of twice their cost; infinity where they are no numbers. False: stop.
  bool evaluate(const double* p, double* r, double& size) noexcept;
  bool linearize(bool precisely) noexcept;
  bool project_again() noexcept;
  void look_at_slopes() noexcept;
  bool take_residuals(bool precisely) noexcept;
  void scale_columns() noexcept;
  void hold_at_bounds() noexcept;

  void search() noexcept;
  bool iterate() noexcept;
  double steepest() const noexcept;
  bool is_bent_upwards() noexcept;
  bool second_derivative(const double* p, const double* v) noexcept;
  void first_radius() noexcept;
  void propose() noexcept;
  void accelerate() noexcept;
  bool keep_between_bounds() noexcept;
  void go_by_step() noexcept;
  bool moves() const noexcept;
  void adjust_radius(double actual, double ratio) noexcept;
  // Whether to go on.
  bool accept() noexcept;
  bool is_settled(double actual) noexcept;
  bool hands_over() noexcept;

  enum class Progress : std::uint8_t { good, none, worse, failed };
  Progress last_step(bool further) noexcept;
  bool one_side_does() noexcept;
  bool is_nothing(double rest) const noexcept;
  bool finish_by_differences() noexcept;
  bool finish() noexcept;
  bool needs_precision() noexcept;
  bool has_arrived(double length, double floor, double digits) const noexcept;
  bool go_further() noexcept;
  bool has_small_gradient() const noexcept;
  bool is_minimum() const noexcept;
  void report() noexcept;
  void report_triangle() noexcept;

  double length_of(const double* x) const noexcept;
  double scaled(double residual) const noexcept;
  double size_of_parameters() const noexcept;
  double roundings() const noexcept;

  static constexpr int most_last_steps = 60, most_steps_by_differences = 12;
  // After a whole step of Gauss and Newton whose decrease was nearer to the predicted one than this there is nothing to
  // accelerate.
  static constexpr double most_bend = 0.03;
  static constexpr double short_way = 0.1, straight_way = 1e-3;

  ResidualFunction& function_;
  const LeastSquaresOptions& options_;
  LeastSquaresAnswer& answer_;
  const LeastSquaresKernel& kernel_ = kernel_of<LeastSquaresKernel>();
  const Size m_, n_, rows_;
  const LossFunction loss_;
  LeastSquaresStep problem_;
  LeastSquaresSecants secants_;

  double* p_;  // n, the answer's
  double *trial_, *influence_, *norms_, *weights_, *step_, *second_step_, *lower_, *upper_, *gradient_, *z_, *second_z_,
      *r_;
  double *residuals_, *trial_residuals_, *columns_, *y_, *row_factors_, *loss_work_;  // rows of them
  std::int32_t *exponents_, *pivots_;
  std::int8_t *held_, *near_;  // held at a bound; going to one: -1 the lower, 1 the upper

  // Residuals are scaled by 2^-exponent_, column j by 2^-exponents_[j], and steps so that they fit.
  int exponent_ = 0;
  double size_ = 0, trial_size_ = 0, size_at_start_ = 0, whole_at_start_ = 0;  // sqrt(2 cost), not scaled
  double radius_ = -1, damping_ = 0;                                           // |D step| at most, not scaled
  double length_ = 0, predicted_ = 0,
         slope_ = 0;  // of a step, without acceleration: |D step|, relative decrease and slope
  double ftol_, xtol_, gtol_;
  LeastSquaresStatus status_ = LeastSquaresStatus::stagnation;
  bool bounded_, failed_ = false, linear_at_p_ = false, finishing_ = false, accelerating_;
  double bend_ = 1;  // by how much the decrease of the last step missed the predicted one
  bool saves_;       // evaluations: derivatives are differences
  bool both_sides_ = false;
  bool straight_ = false;  // was the last step such a one?
  Curvature curvature_ = Curvature::for_search;
};

}  // namespace mmlfast::drivers
