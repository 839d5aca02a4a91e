// Memory that is wanted next, fetched while a kernel computes: a share of the lines at each tile, so that
// requests to memory are spread evenly. A prefetch of memory that is not there does nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

class FetchAhead {
 public:
  FetchAhead(const void* next, std::ptrdiff_t bytes, std::ptrdiff_t tiles) noexcept
      : at_(reinterpret_cast<std::uintptr_t>(next)),
        end_(at_ + static_cast<std::uintptr_t>(bytes)),
        per_tile_(tiles > 0 ? static_cast<std::uintptr_t>((bytes / 64 + tiles) / tiles * 64) : 0) {}

  MMLFAST_INLINE void tile() {
    for (const std::uintptr_t stop = at_ + per_tile_; at_ < stop && at_ < end_; at_ += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(at_), 0, 2);
  }

 private:
  std::uintptr_t at_, end_, per_tile_;
};

}  // namespace mmlfast::MMLFAST_LEVEL
