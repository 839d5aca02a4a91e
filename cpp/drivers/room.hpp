// Memory of a driver that lives through a whole call, for all threads.
#pragma once

#include <new>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// 64-byte aligned working memory that outlives a block of work, unlike Scratch. data() is nullptr if there is none.
template <class T>
class Room {
 public:
  explicit Room(Size n) noexcept {
    const Size bytes = checked_product(n < 1 ? 1 : n, static_cast<Size>(sizeof(T)));
    if (bytes > 0)
      data_ = static_cast<T*>(::operator new(static_cast<std::size_t>(bytes), std::align_val_t{64}, std::nothrow));
  }
  ~Room() { ::operator delete(data_, std::align_val_t{64}); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  T* data() const noexcept { return data_; }
  T& operator[](Size i) const noexcept { return data_[i]; }

 private:
  T* data_ = nullptr;
};

}  // namespace mmlfast::drivers
