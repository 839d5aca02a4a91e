// Working memory of the drivers, 64-byte aligned: buffers that belong to a call or an object, and one buffer per thread
// that small calls share so that they allocate nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "runtime/sizes.hpp"

namespace mmlfast {

namespace detail {
// nullptr if there is no memory or `bytes` is negative. 0 bytes have an address too.
void* allocate_aligned(std::ptrdiff_t bytes) noexcept;
void release_aligned(void* data) noexcept;
}  // namespace detail

// Memory for n elements, not set to anything, freed with its owner. data() is nullptr if there is no memory, or if n is
// negative: a checked_product that did not fit.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  AlignedBuffer() noexcept = default;
  explicit AlignedBuffer(Size n) noexcept
      : data_(static_cast<T*>(detail::allocate_aligned(checked_product(n, static_cast<Size>(sizeof(T)))))),
        size_(data_ == nullptr ? 0 : n) {}
  ~AlignedBuffer() { detail::release_aligned(data_); }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  static AlignedBuffer zeros(Size n) noexcept {
    AlignedBuffer buffer(n);
    if (buffer) std::fill_n(buffer.data_, n, T{});
    return buffer;
  }

  T* data() const noexcept { return data_; }
  T& operator[](Size i) const noexcept { return data_[i]; }
  Size size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  T* data_ = nullptr;
  Size size_ = 0;
};

// Divides one piece of memory into 64-byte aligned arrays. Without memory it only counts: what needs several arrays is
// laid out twice by the same function, once to learn how many bytes that takes.
class Divider {
 public:
  explicit Divider(void* memory = nullptr) noexcept : memory_(static_cast<char*>(memory)) {}

  template <class T>
  T* take(Size n) noexcept {
    T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    const Size bytes = checked_product(n, static_cast<Size>(sizeof(T)));
    if (bytes < 0 || used_ < 0 || bytes > most || __builtin_add_overflow(used_, (bytes + 63) / 64 * 64, &used_))
      used_ = -1;
    return piece;
  }

  // Bytes taken so far; -1 if they do not fit 64 bits.
  Size used() const noexcept { return used_; }

 private:
  static constexpr Size most = Size{1} << 62;
  char* memory_;
  Size used_ = 0;
};

// The calling thread's own buffer, at least `bytes` long; nullptr if there is no memory or `bytes` is negative. It
// grows as it is asked to, and is kept: until the thread ends, or trim_thread_scratch(). The contents are not kept from
// one request to the next, and there is one user at a time: a driver asks once, then divides. Not across an interrupt
// check: a signal handler is Python code and may call this library in the same thread. What has to live for that long
// is an AlignedBuffer.
void* thread_scratch(std::ptrdiff_t bytes) noexcept;

// Frees the calling thread's buffer if it is larger than this. Done at the end of a parallel loop by each thread that
// took part in it.
inline constexpr std::ptrdiff_t most_kept_scratch = std::ptrdiff_t{4} << 20;
void trim_thread_scratch() noexcept;

}  // namespace mmlfast
