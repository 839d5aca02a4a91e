// Whether the Hessian at the end of an iteration is that of a minimum without a doubt.
#pragma once

#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Lengths are in units of which the curvature is about one.
struct ClearMinimum {
  bool is_clear = false;        // all numbers are finite, and all curvature is more than `part` of the largest
  bool pulls = false;           // the gradient is not zero
  double gain = 0, step = 0;    // what the model says that is left to gain, twice; the length of the step there
  double way = 0, size = 0;     // from the start, and from zero
  double curvature_on_way = 0;  // at least so much where variables are measured by how far they have come
};

// h: n x n, of which the lower triangle is read; gradient, x, start: n numbers.
Outcome clear_minimum(const double* h, const double* gradient, const double* x, const double* start, Size n,
                      double part, ClearMinimum& found) noexcept;

}  // namespace mmlfast::drivers
