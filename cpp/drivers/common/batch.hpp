// A batch of equally shaped items in memory, and the loop over it in groups that fill the SIMD
// lanes.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/common/layout.hpp"
#include "runtime/sizes.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast {

// Item i starts at data + i * stride (in elements; 0 for an operand that is broadcast).
template <class T>
struct Batch {
  T* data;
  std::ptrdiff_t stride;
  Layout layout;

  T* item(Size i) const noexcept { return data + i * stride; }
};

// The items `first` .. `first + count - 1` of a batch, one per lane. Lanes without an item of their
// own repeat the last one: they compute, and store, the same values again.
template <class T, int Groups = 1>
struct LaneItems {
  using Element = std::remove_const_t<T>;
  static constexpr int most = Groups * items_per_group<Element>;
  T* item[most];

  LaneItems(const Batch<T>& batch, Size first, Size count) noexcept {
    for (int l = 0; l < most; ++l) item[l] = batch.item(first + std::min<Size>(l, count - 1));
  }
};

// The lanes that have an item of their own.
inline LaneBits occupied(Size count) noexcept {
  return static_cast<LaneBits>((std::uint64_t{1} << count) - 1);  // all 32 if count is 32
}

// body(first, count) for each group of up to items_per_group<T> consecutive items (`Groups` times as many for a kernel
// that takes several groups at once). Groups are gathered into blocks of roughly `block_ns`, which threads claim one by
// one. Returns false if the user interrupted.
template <class T, int Groups = 1, class Body>
bool for_each_group(Size n_items, double ns_per_item, Body&& body) noexcept {
  constexpr double block_ns = 50'000;
  constexpr Size lanes = Groups * items_per_group<T>;
  const Size n_groups = (n_items + lanes - 1) / lanes;
  if (n_groups == 1) {  // the call of a single item pays for nothing else
    body(Size{0}, n_items);
    return true;
  }
  const Size groups_per_block = std::max<Size>(1, static_cast<Size>(block_ns / (ns_per_item * lanes)));
  const Size n_blocks = (n_groups + groups_per_block - 1) / groups_per_block;
  return parallel_blocks(n_blocks, ns_per_item * static_cast<double>(n_items), [&](std::int64_t block) {
    const Size end = std::min(n_groups, (block + 1) * groups_per_block);
    for (Size group = block * groups_per_block; group < end; ++group)
      body(group * lanes, std::min(lanes, n_items - group * lanes));
  });
}

}  // namespace mmlfast
