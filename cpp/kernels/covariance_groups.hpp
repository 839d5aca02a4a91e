// Sums of the rows of many groups in one reading of a table, whose rows are in no order: of each group the count, its
// first row, and the sums of the differences from that and of their squares.
//
//   IN       number[i]  the group of row i, of `rows` rows of d numbers that begin at x + i * step
//   IN/OUT   entries    of each group count, then d numbers each: first row, sum, and with `squares` sum of squares
//
// An entry begins as zeros. Each group is one chain over its rows: the bits depend on the order of the rows of a group
// that one call, or one call after the other, adds, and on nothing else. merge() makes one of the entries of two sets
// of rows; finish() gives means or variances.
//
// Flops: 3 d (5 d with squares) per row; bytes: the table once. Accumulation: float64. Error: the first row is one of
// the numbers, so that a mean m of n rows is off by at most n u times the largest distance from it, whatever m is. A
// variance loses the digits that n (m - first)^2 has more than it, at most log10(n + 1): finish() tells of groups that
// lose more than two.
//
// Failure: groups for which finish() has no answer; they hold anything.
//
// Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37 (1983), shifted data.
//
//     d = x[rows] - x[rows[0]]; mean = x[rows[0]] + d.mean(axis=0); variance = d.var(axis=0, ddof=ddof)
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/level.hpp"

namespace mmlfast {

constexpr std::ptrdiff_t group_entry(std::ptrdiff_t d, bool squares) noexcept { return 1 + (squares ? 3 : 2) * d; }

enum class GroupAnswer : std::uint8_t {
  empty,
  good,
  none,      // overflow, underflow, NaN, or too few digits: another way has to be taken
  constant,  // the squares of some column are zero: all its numbers are equal, or the squares too small for a number
};

template <class T>
struct GroupSums {
  void (*add)(const std::uint32_t* number, std::ptrdiff_t rows, const T* x, std::ptrdiff_t step, std::ptrdiff_t d,
              bool squares, double* entries);
  // Groups from .. to - 1: the entries of other rows, in `others`, are added.
  void (*merge)(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t d, bool squares, const double* others,
                double* entries);
  // The mean, or the variance (its root) with the divisor count - ddof, of groups from .. to - 1.
  void (*finish)(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t d, bool squares, bool root, double ddof,
                 const double* entries, T* values, GroupAnswer* answers);
};

MMLFAST_KERNEL_TABLES(GroupSums, group_sums)

}  // namespace mmlfast
