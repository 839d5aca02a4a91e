// Working memory of the drivers: one growing buffer per thread, 64-byte aligned, kept between calls
// so that small calls do not allocate. Large buffers are given back at the end of the call that
// needed them.
#pragma once

#include <cstddef>
#include <utility>

namespace mmlfast {

// Not across an interrupt check: a signal handler is Python code and may call this library in the same thread. A driver
// that keeps memory for that long takes OwnScratch.
class Scratch {
 public:
  // The calling thread's buffer, at least `bytes` long; nullptr if there is no memory or bytes is
  // negative. The contents are not kept from one request to the next. One user at a time: a driver
  // asks once, then divides.
  static void* request(std::ptrdiff_t bytes) noexcept;

  // Gives the calling thread's buffer back if it is larger than what is worth keeping.
  static void trim() noexcept;
};

// Memory of one call's own, freed at its end.
class OwnScratch {
 public:
  OwnScratch() noexcept = default;
  explicit OwnScratch(std::ptrdiff_t bytes) noexcept;
  ~OwnScratch();
  OwnScratch(OwnScratch&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  OwnScratch& operator=(OwnScratch&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }

  // nullptr if there is no memory or bytes was negative.
  void* data() const noexcept { return data_; }

 private:
  void* data_ = nullptr;
};

}  // namespace mmlfast
