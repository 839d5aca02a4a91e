// Mean, variance, covariance and correlation of each group of rows of one table.
#pragma once

#include "drivers/common/row_groups.hpp"
#include "kernels/covariance_groups.hpp"

namespace mmlfast::drivers {

enum class OfGroups : int { mean, variance, deviation, covariance, correlation };

// values: d numbers per group, or d * d. The table has d columns, whose rows begin `step` numbers apart. Of each group
// what the functions of drivers/covariance.hpp give for its rows alone, to the bit.
template <class T>
Outcome moments_of_groups(OfGroups what, const T* table, Size d, Size step, const RowGroups& groups, double ddof,
                          T* values) noexcept;

// Means, variances or deviations of groups of a few rows each, without bringing the rows together. values has d numbers
// for each of n_groups groups; answers says which of them there are, and which have to be computed by
// moments_of_groups. The same bits for any number of threads: the parts of the rows depend on n_rows and n_groups
// alone.
//
// Whether they are few enough, and the groups not too many.
bool sums_suit_groups(OfGroups what, Size n_rows, Size d, Size n_groups) noexcept;
template <class T>
Outcome sums_of_groups(OfGroups what, const T* table, Size d, Size step, const GroupNumbers& numbers, Size n_groups,
                       double ddof, T* values, GroupAnswer* answers, bool& known) noexcept;

}  // namespace mmlfast::drivers
