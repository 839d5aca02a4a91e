#include "drivers/least_squares_differences.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmlfast::drivers {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int most_tries = 6;

double length(const double* x, Size m) noexcept {
  double largest = 0, sum = 0;
  for (Size i = 0; i < m; ++i) {
    if (!std::isfinite(x[i])) return infinity;
    largest = std::max(largest, std::abs(x[i]));
  }
  if (largest == 0) return 0;
  for (Size i = 0; i < m; ++i) sum += (x[i] / largest) * (x[i] / largest);
  return largest * std::sqrt(sum);
}

}  // namespace

LeastSquaresDifferences::LeastSquaresDifferences(Size m, Size n, const double* lower, const double* upper) noexcept
    : m_(m), n_(n), lower_(lower), upper_(upper), memory_(AlignedBuffer<double>::zeros(2 * n + m)) {
  p_ = memory_.data();
  steps_ = p_ + n;
  other_ = steps_ + n;
}

// The step or its negative, or as much of one as there is room for.
double LeastSquaresDifferences::feasible(Size j, double step) const noexcept {
  const double p = p_[j], low = lower_ == nullptr ? -infinity : lower_[j],
               high = upper_ == nullptr ? infinity : upper_[j];
  const auto good = [&](double s) { return p + s >= low && p + s <= high; };
  if (!good(step)) {
    if (good(-step))
      step = -step;
    else
      step = high - p > p - low ? high - p : low - p;
  }
  return (p + step) - p;  // what the step is in float64
}

// Residuals at p + step e_j minus r; `size`: the length of that.
bool LeastSquaresDifferences::change(ResidualFunction& function, Size j, double step, const double* r, double* to,
                                     double& size) noexcept {
  const double p = p_[j];
  p_[j] = p + step;
  ++n_evaluations_;
  const bool good = function.residuals(p_, to);
  p_[j] = p;
  if (!good) return false;
  for (Size i = 0; i < m_; ++i) to[i] -= r[i];
  size = length(to, m_);
  return true;
}

bool LeastSquaresDifferences::column(ResidualFunction& function, Size j, const double* r, double* to) noexcept {
  const double precision = function.precision(), one_side = std::sqrt(precision);
  const double relative = both_sides_ ? std::cbrt(precision) : one_side, wanted = relative * size_;
  const double least = 4 * epsilon * std::abs(p_[j]);
  double step = steps_[j] != 0 ? steps_[j] * (relative / one_side) : one_side * (p_[j] != 0 ? std::abs(p_[j]) : 1);
  double size = 0;
  for (int attempt = 0;; ++attempt) {
    step = feasible(j, std::copysign(std::max(std::abs(step), least), step));
    if (step == 0) {
      std::fill_n(to, m_, 0.0);
      return true;
    }
    if (!change(function, j, step, r, to, size)) return false;
    if (attempt == most_tries) break;
    if (size == infinity) {
      step *= attempt == 0 ? -1 : 1e-3;
    } else if (size > 100 * wanted && std::abs(step) > least) {
      step *= std::max(wanted / size, 1e-6);
    } else if (size < 1e-3 * wanted && !(size == 0 && steps_[j] != 0)) {
      step *= size > 0 ? std::min(wanted / size, 1e4) : 1e4;
    } else {
      break;
    }
  }
  const double now = step * (one_side / relative);
  steps_[j] = size > 0 && size < infinity ? std::abs(now) * std::clamp(wanted / size, 1e-3, 1e3) : std::abs(now);
  const double back = feasible(j, -step);
  if (both_sides_ && back == -step) {
    double other_size;
    if (!change(function, j, back, r, other_, other_size)) return false;
    if (other_size < infinity) {
      for (Size i = 0; i < m_; ++i) to[i] = (to[i] - other_[i]) / (2 * step);
      return true;
    }
  }
  for (Size i = 0; i < m_; ++i) to[i] /= step;
  return true;
}

bool LeastSquaresDifferences::jacobian(ResidualFunction& function, const double* p, const double* r, double* columns,
                                       Size ld) noexcept {
  const double size = length(r, m_);
  start_ = std::max(start_, size);
  // What the residuals are made of is as large as they were at the start, and that is what roundings are relative to.
  size_ = std::clamp(start_, size, std::max(1e3 * size, 1e-3 * start_));
  if (size_ == 0) size_ = 1;
  std::copy_n(p, n_, p_);
  for (Size j = 0; j < n_; ++j)
    if (!column(function, j, r, columns + j * ld)) return false;
  return true;
}

}  // namespace mmlfast::drivers
