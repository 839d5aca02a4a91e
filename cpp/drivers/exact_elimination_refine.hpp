// Equations with integer coefficients, solved to the last bit: an inverse in floating point, the proof that it is good
// enough, and refinement with residuals of about 106 bits.
//
// With c = 1 - x a, the error of a vector y as a solution of a y = b is (1 - c)^-1 x (b - a y): if c is small, and it
// is known how small, adding x (b - a y) again and again ends at the solution, and a bound of what is missing is at
// hand (Rump, Verification methods, Acta Numerica 19, 2010, section 10). That also proves that a is not singular.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/exact_elimination_double_double.hpp"
#include "drivers/exact_elimination_parts.hpp"

namespace mmlfast::drivers {

// One matrix in double and what that lacks (or null), and an inverse in double; n x n, column by column, so that the
// loops over rows are free of sums that wait for each other.
struct ApproximateInverse {
  Size n;
  const double *a, *rest, *inverse;
};

class Refinement {
 public:
  static Size doubles(Size n) noexcept { return 13 * n; }

  // room: doubles(n). product: inverse times a, n x n, column by column.
  Refinement(const ApproximateInverse& of, const double* product, double* room) noexcept : of_(of) {
    double** const arrays[] = {&weight_, &work_,  &residual_,   &size_,  &step_,   &gross_,   &high_,
                               &low_,    &right_, &right_rest_, &error_, &spread_, &rest_sum_};
    for (double** array : arrays) *array = room, room += of.n;
    find_contraction(product);
  }

  // Whether the inverse is good enough; then a is certainly not singular.
  bool good() const noexcept { return contraction_ < 0x1p-6; }

  // y := a^-1 b, rounded once, unless two neighbours are equally near to 60 bits. b(r): a DoubleDouble; whole:
  // integers. False if it does not succeed.
  template <class Right, class Put>
  bool solve(Right&& b, bool whole, Put&& put) noexcept {
    const Size n = of_.n;
    double largest = 0;
    for (Size r = 0; r < n; ++r) {
      const DoubleDouble x = b(r);
      right_[r] = x.high;
      right_rest_[r] = x.low;
      largest = std::max(largest, std::fabs(x.high));
      if (!std::isfinite(x.high)) return false;
    }
    const int power = largest > 0x1p400 || (largest < 0x1p-400 && largest > 0) ? std::ilogb(largest) : 0;
    if (power != 0)
      for (Size r = 0; r < n; ++r) right_[r] = std::ldexp(right_[r], -power);
    times_inverse(right_, high_);
    std::fill_n(low_, n, 0.0);
    if (!refine(whole && power == 0)) return false;
    for (Size j = 0; j < n; ++j) put(j, power == 0 ? high_[j] : std::ldexp(high_[j], power));
    return true;
  }

 private:
  static constexpr double u = 0x1p-53;

  // y := inverse x
  void times_inverse(const double* x, double* __restrict y) const noexcept {
    const Size n = of_.n;
    std::fill_n(y, n, 0.0);
    for (Size r = 0; r < n; ++r) {
      const double* column = of_.inverse + r * n;
      const double by = x[r];
      for (Size j = 0; j < n; ++j) y[j] += column[j] * by;
    }
  }
  // y := |matrix| x
  void times_sizes(const double* matrix, const double* x, double* __restrict y) const noexcept {
    const Size n = of_.n;
    std::fill_n(y, n, 0.0);
    for (Size k = 0; k < n; ++k) {
      const double* column = matrix + k * n;
      const double by = x[k];
      for (Size r = 0; r < n; ++r) y[r] += std::fabs(column[r]) * by;
    }
  }

  void find_contraction(const double* product) noexcept {
    const Size n = of_.n;
    std::fill_n(step_, n, 1.0);
    times_sizes(of_.a, step_, work_);
    times_sizes(of_.inverse, work_, weight_);
    times_sizes(of_.a, weight_, work_);
    times_sizes(of_.inverse, work_, spread_);
    narrow_ = of_.rest == nullptr;
    for (Size e = 0; e < n * n; ++e) narrow_ = narrow_ & (std::fabs(of_.a[e]) * static_cast<double>(n) <= 0x1p24);
    std::fill_n(step_, n, 0.0);
    for (Size k = 0; k < n; ++k)
      for (Size j = 0; j < n; ++j) step_[j] += std::fabs(product[k * n + j] - (j == k ? 1 : 0)) * weight_[k];
    const double rounding = static_cast<double>(n + 8) * u;
    contraction_ = 0;
    for (Size j = 0; j < n; ++j) {
      const double ratio = (step_[j] + rounding * spread_[j]) / weight_[j];
      if (!(ratio < 1)) contraction_ = 1;  // also if it is not a number
      contraction_ = std::max(contraction_, ratio);
    }
    if (!(contraction_ < 1)) contraction_ = 1;
  }

  // residual := b - a y; size := a bound of what it is wrong by.
  void find_residual() noexcept {
    const Size n = of_.n;
    double* __restrict sum = residual_, * __restrict rest = rest_sum_, * __restrict sizes = size_;
    for (Size r = 0; r < n; ++r) {
      sum[r] = right_[r];
      rest[r] = right_rest_[r];
      sizes[r] = std::fabs(right_[r]);
    }
    for (Size k = 0; k < n; ++k) {
      const Factor y(high_[k]);
      const double low = low_[k], size = std::fabs(y.value);
      const double* __restrict column = of_.a + k * n;
      for (Size r = 0; r < n; ++r) {
        const Factor a(column[r]);
        const DoubleDouble p = product(a, y), next = DoubleDouble::of_sum(sum[r], -p.high);
        sum[r] = next.high;
        rest[r] += (next.low - p.low) - a.value * low;
        sizes[r] += std::fabs(a.value) * size;
      }
      if (of_.rest != nullptr)
        for (Size r = 0; r < n; ++r) rest[r] -= of_.rest[k * n + r] * y.value;
    }
    const double rounding = static_cast<double>(4 * n + 16) * u * u;
    for (Size r = 0; r < n; ++r) {
      sum[r] += rest[r];
      sizes[r] = rounding * sizes[r] + 2 * u * std::fabs(sum[r]);
    }
  }

  // Adds a step to the solution; returns its size. error_: what the step is wrong by because of rounding.
  double take_step() noexcept {
    const Size n = of_.n;
    find_residual();
    times_inverse(residual_, step_);
    for (Size r = 0; r < n; ++r) work_[r] = std::fabs(residual_[r]);
    times_sizes(of_.inverse, work_, gross_);
    times_sizes(of_.inverse, size_, error_);
    double largest = 0;
    for (Size j = 0; j < n; ++j) {
      const double here = std::fabs(step_[j]) / weight_[j];
      largest = here > largest || here != here ? here : largest;
      error_[j] += static_cast<double>(2 * n + 8) * u * gross_[j];
      const DoubleDouble y = DoubleDouble{high_[j], low_[j]} + step_[j];
      high_[j] = y.high;
      low_[j] = y.low;
    }
    return largest;
  }

  // The first step where the matrix holds small integers: y is the sum of three slices, the first of 28 bits, all in
  // the same unit, and so is the second; their products with the matrix are exact in double. True if nothing can be
  // missing.
  bool take_quick_step() noexcept {
    const Size n = of_.n;
    double largest = 0, scale = 0;
    for (Size k = 0; k < n; ++k) {
      largest = std::max(largest, std::fabs(high_[k]));
      scale = std::max(scale, std::fabs(high_[k]) / weight_[k]);
    }
    if (!(largest < 0x1p900)) return false;
    if (largest == 0) return false;
    const double shift = std::ldexp(1.5, std::ilogb(largest) + 26), next_shift = shift * 0x1p-27;
    double* __restrict lead = residual_, * __restrict next = size_, * __restrict rest = rest_sum_;
    std::fill_n(lead, n, 0.0);
    std::fill_n(next, n, 0.0);
    std::fill_n(rest, n, 0.0);
    for (Size k = 0; k < n; ++k) {
      const double upper = (high_[k] + shift) - shift, below = high_[k] - upper;
      const double middle = (below + next_shift) - next_shift, lowest = below - middle;
      const double* __restrict column = of_.a + k * n;
      for (Size r = 0; r < n; ++r) {
        lead[r] += column[r] * upper;
        next[r] += column[r] * middle;
        rest[r] += column[r] * lowest;
      }
    }
    for (Size r = 0; r < n; ++r) {
      const DoubleDouble left = DoubleDouble::of_sum(right_[r], -lead[r]);
      const DoubleDouble less = DoubleDouble::of_sum(left.high, -next[r]);
      lead[r] = less.high + (((less.low + left.low) + right_rest_[r]) - rest[r]);
      work_[r] = std::fabs(lead[r]);
    }
    times_inverse(residual_, step_);
    times_sizes(of_.inverse, work_, gross_);
    double size = 0;
    for (Size j = 0; j < n; ++j) {
      const double here = std::fabs(step_[j]) / weight_[j];
      size = here > size || here != here ? here : size;
    }
    // The sums of what is below 2^-52 of y are rounded; the step is, and what |c| makes of it.
    const double order = static_cast<double>(n), by_spread = (order + 8) * 0x1p-102 * scale;
    bool settled = true;
    for (Size j = 0; j < n; ++j) {
      const DoubleDouble y = DoubleDouble::of_sum(high_[j], step_[j]);
      high_[j] = y.high;
      low_[j] = y.low;
      const double missing = by_spread * spread_[j] + (2 * order + 10) * u * gross_[j] +
                             2 * contraction_ * (size + by_spread * 4) * weight_[j];
      settled = settled && missing * 2 <= 0x1p-60 * std::fabs(y.high);
    }
    return settled;
  }

  bool refine(bool whole) noexcept {
    if (narrow_ && take_quick_step()) return true;
    const Size n = of_.n;
    double last = std::numeric_limits<double>::infinity();
    for (int steps = 0; steps < 40; ++steps) {
      const double size = take_step();
      // What is missing: at most 2 |c| |step|, and what rounding did, which the steps to come multiply by up to 2.
      double rounding = 0;
      for (Size j = 0; j < n; ++j) rounding = std::max(rounding, error_[j] / weight_[j]);
      bool settled = true;
      for (Size j = 0; j < n; ++j) {
        error_[j] += 2 * contraction_ * (size + rounding) * weight_[j];
        settled = settled && error_[j] <= 0x1p-60 * std::fabs(high_[j]);
      }
      if (settled) return true;
      if (size < last / 2) {
        last = size;
        continue;
      }
      return settle(whole);
    }
    return false;
  }

  // Nothing but rounding is left: a number that is smaller than what it may be wrong by is 0 if no quotient of integers
  // with this determinant could be as small (in large matrices, where nobody could tell it from 0, in any case).
  bool settle(bool whole) noexcept {
    const Size n = of_.n;
    double least = -1;
    for (Size j = 0; j < n; ++j) {
      const double size = std::fabs(high_[j]);
      if (error_[j] <= 0x1p-60 * size) continue;
      if (least < 0) least = n > 64 ? std::numeric_limits<double>::infinity() : whole ? least_quotient() : 0;
      if (!(size <= error_[j] && size + error_[j] < least)) return false;
      high_[j] = 0;
    }
    return true;
  }

  // 1 / |det| is more than this (Hadamard).
  double least_quotient() const noexcept {
    const Size n = of_.n;
    double log2_of_determinant = 0.01;
    for (Size k = 0; k < n; ++k) {
      double square = 0;
      for (Size r = 0; r < n; ++r) square += of_.a[k * n + r] * of_.a[k * n + r];
      log2_of_determinant += 0.5 * std::log2(square);
    }
    return std::exp2(-log2_of_determinant);
  }

  const ApproximateInverse& of_;
  double *weight_, *work_, *residual_, *size_, *step_, *gross_, *high_, *low_, *right_, *right_rest_, *error_,
      *rest_sum_, *spread_;
  double contraction_ = 1;
  bool narrow_ = false;
};

// ---- up to three rows of small integers ----

// Cramer's rule where all numbers that occur are integers below 2^53, and so exact.
class ExactAdjugate {
 public:
  static constexpr Size most = 3;

  // Whether it will be exact with numbers of at most `right` on the right-hand side.
  static bool is_exact(Size n, double largest, double right) noexcept {
    const double factor = n == 1 ? 1 : n == 2 ? 2 : 6, wide = std::max({largest, right, 1.0});
    return factor * wide * (n == 3 ? std::max(largest, 1.0) : 1) * (n > 1 ? std::max(largest, 1.0) : 1) <= 0x1p53;
  }

  // a: column by column.
  ExactAdjugate(Size n, const double* a) noexcept : n_(n) {
    if (n == 1) {
      determinant_ = a[0];
      entry_[0] = 1;
    } else if (n == 2) {
      determinant_ = a[0] * a[3] - a[1] * a[2];
      entry_[0] = a[3], entry_[1] = -a[2], entry_[2] = -a[1], entry_[3] = a[0];
    } else {
      const auto minor = [&](Size p, Size q, Size r, Size s) { return a[p] * a[s] - a[q] * a[r]; };
      entry_[0] = minor(4, 7, 5, 8), entry_[1] = -minor(3, 6, 5, 8), entry_[2] = minor(3, 6, 4, 7);
      entry_[3] = -minor(1, 7, 2, 8), entry_[4] = minor(0, 6, 2, 8), entry_[5] = -minor(0, 6, 1, 7);
      entry_[6] = minor(1, 4, 2, 5), entry_[7] = -minor(0, 3, 2, 5), entry_[8] = minor(0, 3, 1, 4);
      determinant_ = a[0] * entry_[0] + a[3] * entry_[3] + a[6] * entry_[6];
    }
  }
  bool singular() const noexcept { return determinant_ == 0; }

  template <class Right, class Put>
  void solve(Right&& b, Put&& put) const noexcept {
    double right[most];
    for (Size r = 0; r < n_; ++r) right[r] = b(r).high;
    for (Size j = 0; j < n_; ++j) {
      double sum = 0;
      for (Size r = 0; r < n_; ++r) sum += entry_[j * n_ + r] * right[r];
      put(j, sum == 0 ? 0 : sum / determinant_);
    }
  }

 private:
  Size n_;
  double determinant_, entry_[most * most];
};

}  // namespace mmlfast::drivers
