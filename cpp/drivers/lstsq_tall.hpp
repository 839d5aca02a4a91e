// Least squares of one problem by R of [A b], in float64 whatever T is: our own reflections, leaf by leaf on all
// threads (rfactor.hpp). For problems with at least as many equations as unknowns that do not fit the lanes, or whose
// rank the lanes leave open. The rank is decided on R with columns of length one; where it is full, x is found by
// substitution, else by lstsq_least_norm.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/lstsq.hpp"

namespace mmlfast::drivers {

// What counts as zero, times the largest singular value of columns of length one, if `given` is asked for. R is found
// in float64, so that of float32 the rounding of the data is all there is: u for each column. In float64 the errors of
// R count too, less than 6 u up to 10^5 rows (measured, by columns that are dependent).
template <class T>
double threshold(T given, Size n) noexcept {
  constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
  if (std::isnan(given)) return unit * static_cast<double>(sizeof(T) == 8 ? std::max<Size>(n, 16) : n);
  return given > 0 && given < 1 ? static_cast<double>(given) : unit;
}

// Problem i.
template <class T>
Outcome tall_lstsq(const LstsqCall<T>& c, Size i) noexcept;

}  // namespace mmlfast::drivers
