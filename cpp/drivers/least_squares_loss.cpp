#include "drivers/least_squares_loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmlfast::drivers {

Rho rho_of(Loss loss, double z) noexcept {
  switch (loss) {
    case Loss::soft_l1: {
      const double t = 1 + z, root = std::sqrt(t);
      return {2 * (z / (root + 1)), 1 / root, -0.5 / (t * root)};  // 2 (root - 1)
    }
    case Loss::huber: {
      if (z <= 1) return {z, 1, 0};
      const double root = std::sqrt(z);
      return {2 * root - 1, 1 / root, -0.5 / (z * root)};
    }
    case Loss::cauchy: {
      const double t = 1 + z;
      return {std::log1p(z), 1 / t, -1 / (t * t)};
    }
    case Loss::arctan: {
      const double t = 1 + z * z;
      return {std::atan(z), 1 / t, -2 * z / (t * t)};
    }
    default:
      return {z, 1, 0};
  }
}

double row_factor(Curvature curvature, const Rho& rho, double z) noexcept {
  const double floor = curvature == Curvature::for_search ? 0.01 * rho.first : 0;
  return std::sqrt(std::max({rho.first + 2 * rho.second * z, floor, std::numeric_limits<double>::epsilon()}));
}

// work: rho and its derivatives for each residual, then z.
bool LossFunction::evaluate(const double* r, Size m, double* work) const noexcept {
  double* z = work + 3 * m;
  for (Size i = 0; i < m; ++i) {
    const double x = r[i] / scale_;
    z[i] = x * x;
  }
  if (loss_ == Loss::other) return other_->rho(z, m, work);
  for (Size i = 0; i < m; ++i) {
    const Rho at = rho_of(loss_, z[i]);
    work[i] = at.value, work[m + i] = at.first, work[2 * m + i] = at.second;
  }
  return true;
}

bool LossFunction::sum(const double* r, Size m, double* work, double& result) const noexcept {
  if (!evaluate(r, m, work)) return false;
  double sum = 0;
  for (Size i = 0; i < m; ++i) sum += work[i];
  result = scale_ * scale_ * sum;
  return true;
}

bool LossFunction::scale(Curvature curvature, const double* r, Size m, double* work, double* scaled,
                         double* row_factors) const noexcept {
  if (!evaluate(r, m, work)) return false;
  for (Size i = 0; i < m; ++i) {
    const Rho at{work[i], work[m + i], work[2 * m + i]};
    const double factor = row_factor(curvature, at, work[3 * m + i]);
    row_factors[i] = factor;
    scaled[i] = r[i] * (at.first / factor);
  }
  return true;
}

}  // namespace mmlfast::drivers
