// Working memory of the drivers, 64-byte aligned: buffers that belong to a call or an object, and one buffer per thread
// that is lent to one user at a time, so that small calls allocate nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "runtime/non_copyable.hpp"
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
    std::swap(data_, other.data_);  // the old memory goes with `other`
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
    if (bytes < 0 || used_ < 0 || bytes > most_memory || __builtin_add_overflow(used_, (bytes + 63) / 64 * 64, &used_))
      used_ = -1;
    return piece;
  }

  // What `other` took from the same memory may lie where this one's pieces are; both fit.
  void take_more(const Divider& other) noexcept {
    used_ = used_ < 0 || other.used_ < 0 ? -1 : std::max(used_, other.used_);
  }

  // Bytes taken so far; -1 if they do not fit a Size.
  Size used() const noexcept { return used_; }

 private:
  char* memory_;
  Size used_ = 0;
};

namespace detail {
// With assertions every lease has memory of its own, freed at its end: a sanitizer then sees who goes on in it, or past
// its end. And all memory is NaN to begin with, which shows who counts on what is in it.
#ifdef NDEBUG
inline constexpr bool always_new = false;
#else
inline constexpr bool always_new = true;
#endif

struct ThreadBuffer {
  AlignedBuffer<char> memory;
  Size lent = 0;    // bytes of it, from the start
  Size wanted = 0;  // what all leases that there were at one time would have taken
};
}  // namespace detail

// `bytes` of working memory until the end of the scope. It is part of the calling thread's own buffer, which is kept
// until the thread ends and grows while nobody has a lease: small calls allocate nothing. What is called further in
// gets what is left of the buffer, or memory of its own; nobody's memory moves. False if there is none, or if `bytes`
// is negative. The contents are not set to anything.
class ScratchLease : NonCopyable {
 public:
  explicit ScratchLease(Size bytes) noexcept { lend(bytes); }
  // Of `own`, which is the caller's and lives longer, if that is enough: quicker for a small call than to look for the
  // thread's buffer, and that is left to what is called further in.
  template <Size Bytes>
  ScratchLease(Size bytes, char (&own)[Bytes]) noexcept {
    if (bytes >= 0 && bytes <= Bytes && !detail::always_new)
      data_ = own;
    else
      lend(bytes);
  }
  ~ScratchLease() {
    if (lender_ != nullptr) lender_->lent -= lent_;
  }

  void* data() const noexcept { return data_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  void lend(Size bytes) noexcept;

  void* data_ = nullptr;
  detail::ThreadBuffer* lender_ = nullptr;
  Size lent_ = 0;
  AlignedBuffer<char> own_;
};

// Frees the calling thread's buffer if it is larger than this and nobody has a lease. Done at the end of a parallel
// loop by each thread that took part in it.
inline constexpr Size most_kept_scratch = Size{4} << 20;
void trim_thread_scratch() noexcept;

}  // namespace mmlfast
