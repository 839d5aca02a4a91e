// Tables of float64 with columns so large or so small that their squares (mean: their sums) leave float64: the moments
// of the columns times powers of two, which changes no digit. (Squares of float32 are numbers of float64.)
#pragma once

#include "drivers/covariance_moments.hpp"

namespace mmlfast::drivers {

// Is there a column of finite numbers that needs a power of two? So that a table with NaN need not be reduced again.
bool has_far_column(const Table<double>& table) noexcept;

// The moments of a table once more, of columns that are numbers of about 1, if some column of its node says that
// float64 is too narrow for it: `powers` gets the exponents of the columns, and `result` the node. Else `powers` stays
// empty, and `result` is empty or the node as it is (which, in the scratch memory of the thread, may be gone).
Outcome scaled_moments(const Table<double>& table, Want want, const SafeSquares& safe, const CovarianceShape& shape,
                       const double* node, Numbers& result, Numbers& powers) noexcept;

}  // namespace mmlfast::drivers
