// Memory that is wanted next, fetched while something is computed: a share of the lines at each of some calls, so that
// requests to memory are spread evenly. A prefetch of memory that is not there does nothing. For kernels of all levels
// and for drivers: all of it is always inlined, so that no copy for one level can serve another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mmlfast {

// Asks for the line at p + bytes, which may be anywhere.
template <int Write, int Locality>
__attribute__((always_inline)) inline void fetch_line(const void* p, std::ptrdiff_t bytes) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes);
  __builtin_prefetch(reinterpret_cast<const void*>(address), Write, Locality);
}

class FetchAhead {
 public:
  __attribute__((always_inline)) FetchAhead(const void* next, std::ptrdiff_t bytes, std::ptrdiff_t calls) noexcept
      : at_(reinterpret_cast<std::uintptr_t>(next)),
        end_(at_ + static_cast<std::uintptr_t>(bytes)),
        share_(calls > 0 ? static_cast<std::uintptr_t>((bytes / 64 + calls) / calls * 64) : 0) {}

  // Into the second cache: the first one is for what is at hand.
  __attribute__((always_inline)) void to_read() noexcept { fetch<0, 2>(); }
  __attribute__((always_inline)) void to_write() noexcept { fetch<1, 3>(); }

 private:
  template <int Write, int Locality>
  __attribute__((always_inline)) void fetch() noexcept {
    for (const std::uintptr_t stop = at_ + share_; at_ < stop && at_ < end_; at_ += 64)
      __builtin_prefetch(reinterpret_cast<const void*>(at_), Write, Locality);
  }

  std::uintptr_t at_, end_, share_;
};

}  // namespace mmlfast
