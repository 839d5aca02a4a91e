// How the threads of a team share what one reflection of a reduction (kernels/eigh_reduction.hpp) has to do.
#pragma once

#include <algorithm>

#include "kernels/eigh_reduction.hpp"
#include "runtime/sizes.hpp"
#include "runtime/threads.hpp"

namespace mmlfast::drivers {

struct ReductionShares {
  // Up to so many rows a thread is as fast alone: another one's results take a microsecond or two to arrive.
  static constexpr Size most_alone = 256;
  static constexpr Size most_parts = 8;

  // Sums over rows have so many parts, whatever the number of threads.
  static Size parts_of(Size rows) noexcept {
    return rows <= most_alone ? 1 : rows <= 768 ? 2 : rows <= 1536 ? 4 : most_parts;
  }
  // Of the matrix, that have a part of it each.
  static Size threads(Size rows_left, Size parts) noexcept {
    return rows_left <= most_alone ? 1 : std::min<Size>(parts, get_num_threads());
  }
  // For `count` vectors of so many rows.
  static Size threads_for_vectors(Size rows, Size count, Size threads) noexcept {
    return rows * count < 20000 ? 1 : threads;
  }
};

// Products of v, from `begin` to `end`, with `count` vectors of each of two families: a thread's share, eights of both
// by turns.
template <class T>
struct Families {
  const T *first, *second;
  Size step, count;

  void multiply(Size thread, Size threads, const T* v, Size begin, Size end, T* to_first, T* to_second) const noexcept {
    constexpr Size few = 8;
    for (Size i = thread; i < 2 * ceil_div(count, few); i += threads) {
      const bool of_first = i % 2 == 0;
      const Size k = i / 2 * few;
      kernel_of<Reduction<T>>().dots((of_first ? first : second) + k * step + begin, step, std::min(few, count - k),
                                     v + begin, end - begin, (of_first ? to_first : to_second) + k);
    }
  }
};

// Range number i of `count`, in whole tiles.
struct TileRange {
  Size begin, end;
  TileRange(Size from, Size to, Size i, Size count) noexcept {
    const Size tiles = (to - from) / reduction_tile;
    begin = from + tiles * i / count * reduction_tile;
    end = from + tiles * (i + 1) / count * reduction_tile;
  }
};

}  // namespace mmlfast::drivers
