// A batch of equally shaped items in memory, and the groups of it that fill the SIMD lanes.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/common/layout.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast {

// Item i starts at data + i * stride (in elements; 0 for an operand that is broadcast).
template <class T>
struct Batch {
  T* data;
  std::ptrdiff_t stride;
  Layout layout;

  T* item(Size i) const noexcept { return data + i * stride; }
};

inline Layout transposed(const Layout& l) noexcept { return {l.cols, l.rows, l.col_stride, l.row_stride}; }

// The items `first` .. `first + count - 1` of a batch, one per lane, in as many groups as they need. Lanes without an
// item of their own repeat the last one: they compute, and store, the same values again.
template <class T, int Groups = 1>
struct LaneItems {
  using Element = std::remove_const_t<T>;
  static constexpr int most = Groups * items_per_group<Element>;
  T* item[most];

  LaneItems(const Batch<T>& batch, Size first, Size count) noexcept {
    constexpr int group = items_per_group<Element>;
    T* here = batch.item(first);
    if (count >= most) {
      for (int l = 0; l < most; ++l) item[l] = here + l * batch.stride;
      return;
    }
    for (Size l = 0; l < count; l += group)
      for (int k = 0; k < group; ++k) {
        item[l + k] = here;
        here += l + k + 1 < count ? batch.stride : 0;
      }
  }
};

// The lanes that have an item of their own.
inline LaneBits occupied(Size count) noexcept {
  return static_cast<LaneBits>((std::uint64_t{1} << count) - 1);  // all 32 if count is 32
}

}  // namespace mmlfast
