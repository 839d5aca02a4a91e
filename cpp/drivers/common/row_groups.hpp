// Rows of a table by the groups that they belong to.
#pragma once

#include <cstring>

#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Groups that are one after the other in `order`, which lists the rows of each in the order in which they stand in the
// table: order[offsets[g]] .. order[offsets[g + 1] - 1] of group g.
struct RowGroups {
  const std::int64_t *order, *offsets;
  Size n_groups;

  Size size(Size g) const noexcept { return offsets[g + 1] - offsets[g]; }
};

// Numbers of groups, from integers of any type: of row i group[i] - least (modulo 2^64), or rank[group[i] - least] if
// there are `n_ranks` of these.
struct GroupNumbers {
  const void* group;
  Size n_rows;
  std::uint64_t least;
  const std::int64_t* rank;
  Size n_ranks;
  // number[k] := of row from + k, for rows `from` .. `to` - 1; false if one is not one of n_groups groups.
  bool (*read)(const GroupNumbers& numbers, Size from, Size to, Size n_groups, std::uint32_t* number) noexcept;
};

// `read` for integers of type I, which may lie at any address.
template <class I>
bool read_numbers(const GroupNumbers& numbers, Size from, Size to, Size n_groups, std::uint32_t* number) noexcept {
  const auto groups = static_cast<std::uint64_t>(n_groups), ranks = static_cast<std::uint64_t>(numbers.n_ranks);
  const char* group = static_cast<const char*>(numbers.group);
  constexpr Size bytes = sizeof(I);
  for (Size i = from; i < to; ++i) {
    I own;
    std::memcpy(&own, group + i * bytes, sizeof own);
    std::uint64_t k = static_cast<std::uint64_t>(own) - numbers.least;
    if (numbers.rank != nullptr) {
      if (k >= ranks) return false;
      k = static_cast<std::uint64_t>(numbers.rank[k]);
    }
    if (k >= groups) return false;
    number[i - from] = static_cast<std::uint32_t>(k);
  }
  return true;
}

// The least and the largest of n > 0 integers of 32 or 64 bits with their first bit turned if they are signed: in this
// way they are in order as unsigned ones. They may lie at any address.
template <class U>
Outcome range_of_integers(const char* items, Size n, bool is_signed, U& least, U& largest) noexcept;

// order and offsets of n_groups groups, some of which may be empty; offsets has n_groups + 1 numbers. `known` becomes
// false if a number is no group.
Outcome order_by_group(const GroupNumbers& numbers, Size n_groups, std::int64_t* order, std::int64_t* offsets,
                       bool& known) noexcept;

// Items of `bytes` bytes each that are equal byte by byte have one number: code[i] of item i, 0 upwards in the order in
// which they come first; first[k] is where number k comes first. Returned is how many there are, or -1 if there are
// more than `most`, or no memory, or numbering_interrupted. code has n numbers, first has `most`.
inline constexpr Size numbering_interrupted = -2;
Size number_items(const char* items, Size n, Size bytes, Size most, std::uint32_t* code, std::int64_t* first) noexcept;

// to[k] := the row order[k] of a table whose rows have `bytes` bytes and begin `step` bytes apart.
void gather_rows(const char* table, Size bytes, Size step, const std::int64_t* order, Size count, char* to) noexcept;
// The same by several threads.
Outcome gather_rows_in_parallel(const char* table, Size bytes, Size step, const std::int64_t* order, Size count,
                                char* to) noexcept;

}  // namespace mmlfast::drivers
