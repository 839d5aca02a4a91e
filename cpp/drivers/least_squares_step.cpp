#include "drivers/least_squares_step.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mmlfast::drivers {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double least_damping = 1e-13;  // of singular triangles: the shortest of all least solutions, nearly

// a (rows x n, column-major, rows >= n) to its triangle, b likewise, by Householder's reflections.
void triangularize(double* a, Size ld, Size rows, Size n, double* b) noexcept {
  for (Size k = 0; k < n; ++k) {
    double* v = a + k * ld;
    double square = 0;
    for (Size i = k; i < rows; ++i) square += v[i] * v[i];
    const double length = std::sqrt(square);
    if (length == 0) continue;
    const double beta = v[k] > 0 ? -length : length, first = v[k] - beta;
    const double factor = -1 / (beta * first);
    v[k] = first;
    const auto reflect = [&](double* y) {
      double along = 0;
      for (Size i = k; i < rows; ++i) along += v[i] * y[i];
      along *= factor;
      for (Size i = k; i < rows; ++i) y[i] -= along * v[i];
    };
    for (Size j = k + 1; j < n; ++j) reflect(a + j * ld);
    reflect(b);
    v[k] = beta;
    std::fill(v + k + 1, v + rows, 0.0);
  }
}

}  // namespace

LeastSquaresStep::LeastSquaresStep(Size n, double singular, Divider& memory) noexcept : n_(n), singular_(singular) {
  t_ = memory.take<double>(n * n);
  s_ = memory.take<double>(n * n);
  small_ = memory.take<double>(n * n);
  double** const vectors[] = {&z_, &y_, &row_, &work_, &at_, &solution_};
  for (double** vector : vectors) *vector = memory.take<double>(n);
  free_ = memory.take<std::int32_t>(n);
  fixed_ = memory.take<std::int8_t>(n);
}

void LeastSquaresStep::take(const double* r, const double* z, const std::int32_t* pivots, const double* weights,
                            const std::int8_t* held) noexcept {
  r_ = r, z_of_all_ = z, pivots_ = pivots, weights_ = weights;
  n_free_ = 0;
  bool all_before = true, gap = false;  // are the columns that are free the first ones, so that they are a triangle?
  for (Size k = 0; k < n_; ++k) {
    const std::int32_t j = pivots[k];
    if (held[j] != 0 || weights[j] == 0) {
      gap = true;
      continue;
    }
    all_before = all_before && !gap;
    std::copy_n(r + k * n_, n_, t_ + n_free_ * n_);
    free_[n_free_++] = j;
  }
  std::copy_n(z, n_, z_);
  if (!all_before) triangularize(t_, n_, n_, n_free_, z_);
  drop_roundings();
}

// What is left of a column that the columns before it make up is a direction by chance, and so is what z has in it.
void LeastSquaresStep::drop_roundings() noexcept {
  double longest = 0;
  for (Size k = 0; k < n_free_; ++k) longest = std::max(longest, std::abs(t_[k * n_ + k]));
  rank_ = n_free_;
  for (Size k = 0; k < n_free_; ++k) {
    if (std::abs(t_[k * n_ + k]) > singular_ * longest) continue;
    --rank_;
    z_[k] = 0;
    for (Size j = k; j < n_free_; ++j) t_[j * n_ + k] = 0;
  }
}

double LeastSquaresStep::reachable() const noexcept {
  double square = 0;
  for (Size k = 0; k < n_free_; ++k) square += z_[k] * z_[k];
  return std::sqrt(square);
}

bool LeastSquaresStep::amplification(double* rows) const noexcept {
  std::fill_n(rows, n_, 0.0);
  double* inverse = row_;  // a column of it
  for (Size k = 0; k < n_free_; ++k) {
    for (Size i = k; i >= 0; --i) {
      double sum = i == k ? 1 : 0;
      for (Size j = i + 1; j <= k; ++j) sum -= t_[j * n_ + i] * inverse[j];
      if (t_[i * n_ + i] == 0) return false;
      inverse[i] = sum / t_[i * n_ + i];
    }
    for (Size i = 0; i <= k; ++i) rows[free_[i]] += inverse[i] * inverse[i];
  }
  for (Size j = 0; j < n_; ++j) rows[j] = std::sqrt(rows[j]) * weights_[j];
  return true;
}

// s_, y_: the triangle and the right-hand side of [T; sqrt(damping) D], by rotations.
void LeastSquaresStep::rotate(double damping, const double* z) noexcept {
  const Size n = n_free_;
  for (Size k = 0; k < n; ++k) std::copy_n(t_ + k * n_, k + 1, s_ + k * n_);
  std::copy_n(z, n, y_);
  if (damping == 0) return;
  const double root = std::sqrt(damping);
  for (Size first = 0; first < n; ++first) {
    std::fill(row_ + first, row_ + n, 0.0);
    row_[first] = root * weights_[free_[first]];
    double right = 0;
    for (Size k = first; k < n; ++k) {
      if (row_[k] == 0) continue;
      double& diagonal = s_[k * n_ + k];
      const double length = std::sqrt(diagonal * diagonal + row_[k] * row_[k]);
      const double c = diagonal / length, s = row_[k] / length;
      diagonal = length;
      for (Size j = k + 1; j < n; ++j) {
        double& above = s_[j * n_ + k];
        const double was = above;
        above = c * was + s * row_[j];
        row_[j] = c * row_[j] - s * was;
      }
      const double was = y_[k];
      y_[k] = c * was + s * right;
      right = c * right - s * was;
    }
  }
}

// The solution of s_ x = -y_; 0 for columns of length 0.
void LeastSquaresStep::back_substitute(double* s) const noexcept {
  std::fill_n(s, n_, 0.0);
  for (Size k = n_free_ - 1; k >= 0; --k) {
    double sum = -y_[k];
    for (Size j = k + 1; j < n_free_; ++j) sum -= s_[j * n_ + k] * s[free_[j]];
    const double diagonal = s_[k * n_ + k];
    s[free_[k]] = diagonal == 0 ? 0 : sum / diagonal;
  }
}

void LeastSquaresStep::solve(double damping, double* s, const double* z) noexcept {
  const bool deficient = damping == 0 && rank_ < n_free_;
  rotate(deficient ? least_damping : damping, z == nullptr ? z_ : z);
  back_substitute(s);
}

double LeastSquaresStep::length(const double* s) const noexcept {
  double square = 0;
  for (Size j = 0; j < n_; ++j) {
    const double x = weights_[j] * s[j];
    square += x * x;
  }
  return std::sqrt(square);
}

double LeastSquaresStep::decrease(const double* s) noexcept {
  std::fill_n(work_, n_, 0.0);
  for (Size k = 0; k < n_; ++k) {
    const double along = s[pivots_[k]];
    for (Size i = 0; i <= k; ++i) work_[i] += r_[k * n_ + i] * along;
  }
  double sum = 0;
  for (Size i = 0; i < n_; ++i) sum -= work_[i] * (2 * z_of_all_[i] + work_[i]);
  return sum;
}

// More (1978), section 5: Newton's method for |D s| as a function of the damping, kept between bounds.
double LeastSquaresStep::solve_within(double radius, double damping, double* s) noexcept {
  const bool deficient = rank_ < n_free_;
  const double least = deficient ? least_damping : 0;
  solve(0, s);
  double size = length(s), excess = size - radius;
  if (excess <= 0.1 * radius) return least;
  // solution of S' w = D^2 s / |D s|, squared
  const auto slope = [&] {
    double square = 0;
    for (Size k = 0; k < n_free_; ++k) {
      const double weight = weights_[free_[k]];
      double sum = weight * weight * s[free_[k]] / size;
      for (Size i = 0; i < k; ++i) sum -= s_[k * n_ + i] * work_[i];
      work_[k] = s_[k * n_ + k] == 0 ? 0 : sum / s_[k * n_ + k];
      square += work_[k] * work_[k];
    }
    return square;
  };
  double low = deficient ? least : excess / radius / slope(), gradient = 0;
  for (Size k = 0; k < n_free_; ++k) {
    double sum = 0;
    for (Size i = 0; i <= k; ++i) sum += t_[k * n_ + i] * z_[i];
    sum /= weights_[free_[k]];
    gradient += sum * sum;
  }
  gradient = std::sqrt(gradient);
  double high = gradient / radius;
  if (high == 0) high = std::numeric_limits<double>::min() / std::min(radius, 0.1);
  damping = std::min(std::max(damping, low), high);
  if (damping == 0) damping = gradient / size;
  for (int iteration = 0; iteration < 10; ++iteration) {
    if (damping == 0) damping = std::max(std::numeric_limits<double>::min(), 1e-3 * high);
    solve(damping, s);
    const double before = excess;
    size = length(s);
    excess = size - radius;
    if (std::abs(excess) <= 0.1 * radius || (low == 0 && excess <= before && before < 0)) break;
    const double correction = excess / radius / slope();
    if (excess > 0) low = std::max(low, damping);
    if (excess < 0) high = std::min(high, damping);
    damping = std::max(low, damping + correction);
  }
  return damping;
}

// The least |S s + y|^2 for the parameters that are not fixed, those being at `at`.
void LeastSquaresStep::solve_subset(const std::int8_t* fixed, const double* at, double* s) noexcept {
  const Size n = n_free_;
  std::copy_n(y_, n, work_);
  Size count = 0;
  for (Size k = 0; k < n; ++k) {
    if (fixed[k] != 0) {
      for (Size i = 0; i <= k; ++i) work_[i] += s_[k * n_ + i] * at[k];
    } else {
      std::copy_n(s_ + k * n_, k + 1, small_ + count * n_);
      std::fill(small_ + count * n_ + k + 1, small_ + count * n_ + n, 0.0);
      ++count;
    }
  }
  triangularize(small_, n_, n, count, work_);
  Size at_column = count;
  for (Size k = n - 1; k >= 0; --k) {
    s[k] = at[k];
    if (fixed[k] != 0) continue;
    const Size c = --at_column;
    double sum = -work_[c];
    for (Size later = c + 1; later < count; ++later) sum -= small_[later * n_ + c] * row_[later];
    const double diagonal = small_[c * n_ + c];
    s[k] = row_[c] = diagonal == 0 ? 0 : sum / diagonal;
  }
}

// An active set: from s = 0, to the least over the parameters that are free or to the first bound on the way, which is
// then held; when there is no bound on the way, whatever is pressed away from its bound is let go.
void LeastSquaresStep::solve_between(double damping, const double* lower, const double* upper, double* s) noexcept {
  const Size n = n_free_;
  rotate(damping == 0 && rank_ < n ? least_damping : damping, z_);
  std::fill_n(at_, n, 0.0);
  std::fill_n(fixed_, n, std::int8_t{0});
  for (Size round = 0; round < 4 * n + 8; ++round) {
    solve_subset(fixed_, at_, solution_);
    double reach = 1;
    Size first = -1;
    for (Size k = 0; k < n; ++k) {
      if (fixed_[k] != 0) continue;
      const double low = lower[free_[k]], high = upper[free_[k]], bound = solution_[k] < low ? low : high;
      if (solution_[k] >= low && solution_[k] <= high) continue;
      const double way = (bound - at_[k]) / (solution_[k] - at_[k]);
      if (way < reach || first < 0) reach = std::min(way, 1.0), first = k;
    }
    for (Size k = 0; k < n; ++k)
      if (fixed_[k] == 0)
        at_[k] = std::clamp(at_[k] + reach * (solution_[k] - at_[k]), lower[free_[k]], upper[free_[k]]);
    if (first >= 0) {
      const bool low = solution_[first] < lower[free_[first]];
      fixed_[first] = low ? -1 : 1;
      at_[first] = low ? lower[free_[first]] : upper[free_[first]];
      continue;
    }
    // Gradient S'(S s + y) of what is fixed.
    std::copy_n(y_, n, work_);
    for (Size k = 0; k < n; ++k)
      for (Size i = 0; i <= k; ++i) work_[i] += s_[k * n_ + i] * at_[k];
    double strongest = 0;
    Size release = -1;
    for (Size k = 0; k < n; ++k) {
      if (fixed_[k] == 0) continue;
      double gradient = 0, square = 0;
      for (Size i = 0; i <= k; ++i) gradient += s_[k * n_ + i] * work_[i], square += s_[k * n_ + i] * s_[k * n_ + i];
      const double pull = (fixed_[k] < 0 ? -gradient : gradient) / std::sqrt(square);
      if (pull > strongest) strongest = pull, release = k;
    }
    if (release < 0 || strongest <= 64 * epsilon * reachable()) break;
    fixed_[release] = 0;
  }
  std::fill_n(s, n_, 0.0);
  for (Size k = 0; k < n; ++k) s[free_[k]] = at_[k];
}

}  // namespace mmlfast::drivers
