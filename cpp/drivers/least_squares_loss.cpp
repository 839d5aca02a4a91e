#include "drivers/least_squares_loss.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmlfast::drivers {
namespace {

// rho and its first two derivatives at z >= 0.
struct Rho {
  double value, first, second;
};

Rho rho(Loss loss, double z) noexcept {
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

}  // namespace

double loss_of(Loss loss, double scale, const double* r, Size m) noexcept {
  double sum = 0;
  for (Size i = 0; i < m; ++i) {
    const double x = r[i] / scale;
    sum += rho(loss, x * x).value;
  }
  return scale * scale * sum;
}

void scale_by_loss(Loss loss, double scale, Curvature curvature, const double* r, Size m, double* scaled,
                   double* row_factors) noexcept {
  for (Size i = 0; i < m; ++i) {
    const double x = r[i] / scale, z = x * x;
    const Rho at = rho(loss, z);
    const double floor = curvature == Curvature::for_search ? 0.01 * at.first : std::numeric_limits<double>::epsilon();
    const double factor = std::sqrt(std::max(at.first + 2 * at.second * z, floor));
    row_factors[i] = factor;
    scaled[i] = r[i] * (at.first / factor);
  }
}

}  // namespace mmlfast::drivers
