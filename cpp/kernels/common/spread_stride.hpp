// Where the rows of a matrix of working memory begin.
#pragma once

#include "kernels/common/layout.hpp"

namespace mmlfast {

// Elements from one row to the next of a matrix of working memory whose rows have n: whole vectors of 64 bytes, and
// from four on an odd number of them, so that what lies in one column is spread over all sets of the first-level cache.
// Rows that are a multiple of a large power of two apart would push one another out of it.
template <class T>
constexpr std::ptrdiff_t spread_stride(std::ptrdiff_t n) {
  const std::ptrdiff_t vectors = (n + items_per_group<T> - 1) / items_per_group<T>;
  return (vectors < 4 ? vectors : vectors | 1) * items_per_group<T>;
}

}  // namespace mmlfast
