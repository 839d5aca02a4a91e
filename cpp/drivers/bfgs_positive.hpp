// L D L' of a symmetric matrix, and the inverse of L: they say whether all curvature is certainly positive, without
// eigenvalues.
#pragma once

#include <algorithm>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// n x n each: `columns`, column by column, those of L; `inverse`, row by row, the columns of the inverse of L. What is
// above their diagonals is not looked at.
struct PositiveMatrix {
  Size n;
  double *columns, *inverse, *d;

  double trace = 0, trace_of_inverse = 0;

  // False if the matrix is not positive definite, or has a NaN below the diagonal.
  bool factor(const double* a) noexcept {
    trace = trace_of_inverse = 0;
    for (Size j = 0; j < n; ++j) {
      for (Size i = j; i < n; ++i) columns[j * n + i] = a[i * n + j];
      trace += a[j * n + j];
    }
    for (Size k = 0; k < n; ++k) {
      double* l = columns + k * n;
      if (!(l[k] > 0)) return false;
      const double pivot = d[k] = l[k];
      for (Size i = k; i < n; ++i) l[i] /= pivot;
      for (Size j = k + 1; j < n; ++j) subtract(l[j] * pivot, l, j, columns + j * n);
    }
    for (Size j = 0; j < n; ++j) {
      double* column = inverse + j * n;
      std::fill_n(column + j, n - j, 0.0);
      column[j] = 1;
      for (Size k = j; k < n; ++k) {
        trace_of_inverse += column[k] * column[k] / d[k];
        subtract(column[k], columns + k * n, k + 1, column);
      }
    }
    return true;
  }

  // Whether the least eigenvalue is more than `part` of the sum of all: the inverse bounds it.
  bool is_certainly_more_than(double part) const noexcept { return 1 > part * trace * trace_of_inverse; }

  // y := D^-1 L^-1 x; half of x' A^-1 x.
  double reduce(const double* x, double* y) const noexcept {
    double half = 0;
    for (Size i = 0; i < n; ++i) {
      double sum = 0;
      for (Size j = 0; j <= i; ++j) sum += inverse[j * n + i] * x[j];
      y[i] = sum / d[i];
      half += 0.5 * sum * y[i];
    }
    return half;
  }
  // What of A^-1 x is left: entry j, from what `reduce` made of x.
  double expand(const double* y, Size j) const noexcept {
    double sum = 0;
    for (Size i = j; i < n; ++i) sum += inverse[j * n + i] * y[i];
    return sum;
  }
  // Entry j of the diagonal of the inverse.
  double of_inverse(Size j) const noexcept {
    double sum = 0;
    for (Size i = j; i < n; ++i) sum += inverse[j * n + i] * inverse[j * n + i] / d[i];
    return sum;
  }

 private:
  // y -= factor x from entry `begin` on.
  void subtract(double factor, const double* x, Size begin, double* y) const noexcept {
    for (Size i = begin; i < n; ++i) y[i] -= factor * x[i];
  }
};

}  // namespace mmlfast::drivers
