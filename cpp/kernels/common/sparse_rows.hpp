// Sums over the entries of one row of a sparse matrix, for every kernel that multiplies by one: four chains of
// additions, added up in a fixed order. For kernel files only.
#pragma once

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// The sum of term(e) for e in [first, last).
template <class Sum, class Term>
MMLFAST_INLINE Sum sum_row(std::int64_t first, std::int64_t last, Term&& term) {
  Sum s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  std::int64_t e = first;
  for (; e + 4 <= last; e += 4) {
    s0 += term(e);
    s1 += term(e + 1);
    s2 += term(e + 2);
    s3 += term(e + 3);
  }
  if (e < last) s0 += term(e);
  if (e + 1 < last) s1 += term(e + 1);
  if (e + 2 < last) s2 += term(e + 2);
  return (s0 + s1) + (s2 + s3);
}

// The same in float64 with compensation: as if in twice the precision, then rounded (Ogita, Rump and Oishi, SIAM J.
// Sci. Comput. 26 (2005), Sum2).
template <class Term>
MMLFAST_INLINE double sum_row_twice(std::int64_t first, std::int64_t last, Term&& term) {
  double sum[2] = {}, lost[2] = {};
  const auto add = [&](int chain, double x) {
    const double next = sum[chain] + x, part = next - sum[chain];
    lost[chain] += (sum[chain] - (next - part)) + (x - part);
    sum[chain] = next;
  };
  std::int64_t e = first;
  for (; e + 2 <= last; e += 2) {
    add(0, term(e));
    add(1, term(e + 1));
  }
  if (e < last) add(0, term(e));
  add(0, sum[1]);
  return sum[0] + (lost[0] + lost[1]);
}

}  // namespace mmlfast::MMLFAST_LEVEL
