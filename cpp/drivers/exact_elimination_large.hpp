// One integer matrix modulo many primes, eight in the lanes at a time: its determinant, and its echelon form with a
// proof of the pivots.
#pragma once

#include <vector>

#include "drivers/exact_elimination.hpp"
#include "drivers/exact_elimination_parts.hpp"

namespace mmlfast::drivers {

// The cost of eight primes.
inline double group_ns(Size m, Size n) noexcept {
  const double rank = static_cast<double>(std::min(m, n));
  return 0.5 * static_cast<double>(m) * static_cast<double>(n) * rank + 150 * rank;
}

Outcome large_determinant(Parts& parts, Size n, Rounded& det) noexcept;

// Of an m x n matrix.
Outcome certified_echelon(Parts& parts, Size m, Size n, EchelonForm form, ExactEchelon& result) noexcept;

// det(a - x) for x = 0 .. n modulo enough primes for the coefficients of the characteristic polynomial.
Outcome shifted_determinants(const Parts& parts, Size n, std::vector<std::int64_t>& prime,
                             std::vector<std::int64_t>& residue);

}  // namespace mmlfast::drivers
