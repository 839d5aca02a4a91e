// Memory of a driver that lives through a whole call, for all threads, or as long as an object.
#pragma once

#include "runtime/scratch.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// 64-byte aligned memory that outlives a block of work, unlike Scratch. data() is nullptr if there is none.
template <class T>
class Room {
 public:
  Room() noexcept = default;
  explicit Room(Size n) noexcept : memory_(checked_product(n < 1 ? 1 : n, static_cast<Size>(sizeof(T)))) {}

  T* data() const noexcept { return static_cast<T*>(memory_.data()); }
  T& operator[](Size i) const noexcept { return data()[i]; }
  explicit operator bool() const noexcept { return memory_.data() != nullptr; }

 private:
  OwnScratch memory_;
};

}  // namespace mmlfast::drivers
