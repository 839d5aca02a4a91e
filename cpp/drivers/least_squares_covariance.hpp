// What the errors of the residuals make of the parameters of a fit.
#pragma once

#include <cstdint>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// inverse(J'J) of a Jacobian J[:, pivots] = Q r of full rank: symmetric to the bit, n x n in the order of the
// parameters. r: n x n, column-major, upper triangle; SCRATCH work: n * n.
//
// By inverting r, n^3 / 3 flops: relative to the errors of the parameters, as good as r is (J'J itself is never
// formed).
void least_squares_covariance(const double* r, const std::int32_t* pivots, Size n, double* work,
                              double* covariance) noexcept;

}  // namespace mmlfast::drivers
