#include "drivers/least_squares_secants.hpp"

#include <algorithm>
#include <cmath>

namespace mmlfast::drivers {
namespace {

double dot(const double* x, const double* y, Size n) noexcept {
  double sum = 0;
  for (Size i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

LeastSquaresSecants::LeastSquaresSecants(Size n, Divider& memory) noexcept : n_(n) {
  double** const vectors[] = {&p_, &s_, &column_};
  for (double** vector : vectors) *vector = memory.take<double>(n);
  double** const several[] = {&moved_, &changed_, &q_};
  for (double** vector : several) *vector = memory.take<double>(checked_product(n, most));
  r_ = memory.take<double>(most * most);
  weights_ = memory.take<double>(most);
}

// The least |s - changed w|, by Gram-Schmidt from the newest difference to the oldest; then s - (moved + changed) w.
bool LeastSquaresSecants::improve(const double* p, const double* s, double* better) noexcept {
  if (n_steps_ > 0) {
    const Size at = (n_steps_ - 1) % most;
    for (Size j = 0; j < n_; ++j) {
      moved_[at * n_ + j] = p[j] - p_[j];
      changed_[at * n_ + j] = s[j] - s_[j];
    }
    n_known_ = std::min({n_known_ + 1, most, n_});
  }
  std::copy_n(p, n_, p_);
  std::copy_n(s, n_, s_);
  ++n_steps_;
  const auto place = [&](Size k) { return (n_steps_ - 2 - k + 2 * most) % most * n_; };
  Size rank = 0;
  std::copy_n(s, n_, better);
  for (; rank < n_known_; ++rank) {
    double* q = q_ + rank * n_;
    std::copy_n(changed_ + place(rank), n_, q);
    const double whole = std::sqrt(dot(q, q, n_));
    for (Size k = 0; k < rank; ++k) {
      const double along = r_[rank * most + k] = dot(q_ + k * n_, q, n_);
      for (Size j = 0; j < n_; ++j) q[j] -= along * q_[k * n_ + j];
    }
    const double left = std::sqrt(dot(q, q, n_));
    if (!(left > 1e-8 * whole)) break;
    r_[rank * most + rank] = left;
    for (Size j = 0; j < n_; ++j) q[j] /= left;
    weights_[rank] = dot(q, better, n_);
    for (Size j = 0; j < n_; ++j) better[j] -= weights_[rank] * q[j];
  }
  for (Size k = rank - 1; k >= 0; --k) {
    for (Size i = k + 1; i < rank; ++i) weights_[k] -= r_[i * most + k] * weights_[i];
    weights_[k] /= r_[k * most + k];
  }
  for (Size k = 0; k < rank; ++k)
    for (Size j = 0; j < n_; ++j) better[j] -= weights_[k] * moved_[place(k) + j];
  return rank > 0;
}

}  // namespace mmlfast::drivers
