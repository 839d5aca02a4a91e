// The lowest point of a quadratic model within a ball, by eigenvalues: what steps of Newton's method are made of. The
// iteration of mmlfast/optimize/_trust_step.py, where the reasons stand.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

inline double dot(const double* a, const double* b, Size n) noexcept {
  double sum = 0;
  for (Size i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}
inline double length_of(const double* a, Size n) noexcept { return std::sqrt(dot(a, a, n)); }
inline double largest_of(const double* a, Size n) noexcept {
  double largest = 0;
  for (Size i = 0; i < n; ++i) largest = std::max(largest, std::fabs(a[i]));
  return largest;
}

// Sizes of variables in which a Hessian (n x n) has ones, or numbers of that size, on the diagonal and beside it; 1
// where it says nothing.
inline void find_sizes(const double* h, Size n, double* size) noexcept {
  for (Size i = 0; i < n; ++i) size[i] = std::sqrt(std::fabs(h[i * n + i]));
  for (Size i = 0; i < n; ++i) {
    if (h[i * n + i] != 0) continue;
    double others = 0, row = 0;
    for (Size j = 0; j < n; ++j) {
      const double entry = std::fabs(h[i * n + j]);
      row = std::max(row, entry);
      if (size[j] > 0) others = std::max(others, entry / size[j]);
    }
    size[i] = others > 0 ? others : std::sqrt(row);
  }
  for (Size i = 0; i < n; ++i)
    if (!(size[i] > 0)) size[i] = 1;
}

// A quadratic model in units of which its curvature is about one, by eigenvalues; steps are along the eigenvectors.
struct QuadraticModel {
  static constexpr double eps = std::numeric_limits<double>::epsilon();

  Size n;
  double *values, *vectors, *slopes, *parts;

  bool inside = false;  // the step is the model's own minimum
  double predicted = 0;
  bool flat = false;  // a direction with no curvature but rounding

  // parts := the step p, |p| <= radius, with the smallest g'p + p'h p / 2.
  void step(double radius) noexcept {
    const double lowest = values[0], size = std::max(std::fabs(lowest), std::fabs(values[n - 1]));
    const double floor = static_cast<double>(n) * eps * size;
    inside = true;
    if (lowest > floor) {
      for (Size i = 0; i < n; ++i) parts[i] = -slopes[i] / values[i];
      if (length_of(parts, n) <= radius) return found(-0.5 * dot(slopes, parts, n), lowest <= 1e3 * floor);
    } else if (lowest >= -floor && without_flat(floor) && length_of(parts, n) <= radius) {
      return found(-0.5 * dot(slopes, parts, n), true);
    }
    inside = false;
    const double shifted_length = shifted(radius);
    if (lowest < 0 && !(std::fabs(shifted_length - radius) <= 0.1 * radius)) hard_case(radius, floor);
    double curved = 0;
    for (Size i = 0; i < n; ++i) curved += parts[i] * (values[i] * parts[i]);
    found(-dot(slopes, parts, n) - 0.5 * curved, std::fabs(lowest) <= 1e3 * floor);
  }

 private:
  void found(double gain, bool is_flat) noexcept {
    predicted = gain;
    flat = is_flat;
  }

  // Without the flat directions; false if something pulls along them.
  bool without_flat(double floor) noexcept {
    double pull = 0;
    for (Size i = 0; i < n; ++i) {
      const bool is_flat = values[i] <= floor;
      parts[i] = is_flat ? 0 : -slopes[i] / values[i];
      if (is_flat) pull = std::max(pull, std::fabs(slopes[i]));
    }
    return !(pull > 1e3 * eps * largest_of(slopes, n));
  }

  // |p(shift)| = radius, p = -slopes / (values + shift), shift > -values[0]; its length.
  double shifted(double radius) noexcept {
    const double least = std::max(0.0, -values[0]);
    double shift = least + length_of(slopes, n) / radius, low = least, length = 0;
    for (int k = 0; k < 50; ++k) {
      double weighted = 0;
      for (Size i = 0; i < n; ++i) {
        parts[i] = slopes[i] == 0 ? 0 : -slopes[i] / (values[i] + shift);
        weighted += parts[i] * (parts[i] / (values[i] + shift));
      }
      length = length_of(parts, n);
      if (std::fabs(length - radius) <= 1e-3 * radius) break;
      if (length > radius) low = shift;
      // Newton's method for 1 / |p| = 1 / radius, which is nearly linear in the shift.
      const double change = (length - radius) / radius * length * length / weighted;
      if (!std::isfinite(change)) break;
      shift = shift + change > low ? shift + change : 0.5 * (low + shift);
      if (shift <= least * (1 + 4 * eps) + 1e-300) break;
    }
    return length;
  }

  // Along the lowest direction.
  void hard_case(double radius, double floor) noexcept {
    for (Size i = 0; i < n; ++i) {
      const double above = values[i] - values[0];
      parts[i] = above > floor ? -slopes[i] / above : 0;
    }
    const double length = std::min(length_of(parts, n), radius);
    parts[0] = -std::copysign(std::sqrt(std::max(radius * radius - length * length, 0.0)), slopes[0]);
  }
};

}  // namespace mmlfast::drivers
