// What the two ways of searching share: candidates that have been measured, and the answer made of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "drivers/common/lane_batch.hpp"
#include "drivers/neighbors.hpp"
#include "kernels/neighbors.hpp"

namespace mmlfast::drivers {

using Measured = NeighborCandidate<double>;

inline bool nearer(const Measured& a, const Measured& b) noexcept {
  return a.score < b.score || (a.score == b.score && a.index < b.index);
}

// A number that can be put in order with others. The rows are finite, but another thread may write to them meanwhile:
// the answer is then worth nothing, and yet nothing outside of the arrays may be read or written.
inline double ordered(double square) noexcept {
  return square == square ? square : std::numeric_limits<double>::infinity();
}

template <class T>
struct NeighborAnswer {
  RowTable<T> x, y;
  Size k;
  bool squared;
  T* distances;
  std::int64_t* indices;

  // Whether digits of the square of this distance may have been lost to underflow; squares of float32 never lose any.
  bool lost(Size query, const Measured& found) const noexcept {
    if (sizeof(T) < 8 || !(found.score < 0x1p-900)) return false;
    const T *own = x.row(query), *other = y.row(found.index);
    return found.score > 0 || (own != other && !std::equal(own, own + x.d, other));
  }

  // The k nearest of `count` candidates: at least k, unless the rows have changed (see ordered). Room for k in any
  // case.
  void write(Size query, Measured* candidates, Size count) const noexcept {
    for (; count < k; ++count) candidates[count] = {std::numeric_limits<double>::infinity(), 0};
    if (count > k) std::nth_element(candidates, candidates + k - 1, candidates + count, nearer);
    std::sort(candidates, candidates + k, nearer);
    write_in_order(query, candidates);
  }

  // k candidates that are in order.
  void write_in_order(Size query, const Measured* candidates) const noexcept {
    bool any_lost = false;
    for (Size i = 0; i < k; ++i) {
      const double square = candidates[i].score;
      distances[query * k + i] = static_cast<T>(squared ? square : std::sqrt(square));
      indices[query * k + i] = candidates[i].index;
      any_lost |= lost(query, candidates[i]);
    }
    if (any_lost) distances[query * k] = std::numeric_limits<T>::quiet_NaN();
  }
};

}  // namespace mmlfast::drivers
