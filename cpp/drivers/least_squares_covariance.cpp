#include "drivers/least_squares_covariance.hpp"

namespace mmlfast::drivers {

void least_squares_covariance(const double* r, const std::int32_t* pivots, Size n, double* work,
                              double* covariance) noexcept {
  double* inverse = work;  // column-major, upper triangle
  for (Size k = 0; k < n; ++k) {
    for (Size i = k; i >= 0; --i) {
      double sum = i == k ? 1.0 : 0.0;
      for (Size j = i + 1; j <= k; ++j) sum -= r[j * n + i] * inverse[k * n + j];
      inverse[k * n + i] = sum / r[i * n + i];
    }
  }
  for (Size i = 0; i < n; ++i) {
    for (Size j = i; j < n; ++j) {
      double sum = 0;
      for (Size k = j; k < n; ++k) sum += inverse[k * n + i] * inverse[k * n + j];
      const Size a = pivots[i], b = pivots[j];
      covariance[a * n + b] = covariance[b * n + a] = sum;
    }
  }
}

}  // namespace mmlfast::drivers
