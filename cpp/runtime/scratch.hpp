// Working memory of the drivers: one growing buffer per thread, 64-byte aligned, kept between calls
// so that small calls do not allocate. Large buffers are given back at the end of the call that
// needed them.
#pragma once

#include <cstddef>

namespace mmlfast {

class Scratch {
 public:
  // The calling thread's buffer, at least `bytes` long; nullptr if there is no memory or bytes is
  // negative. The contents are not kept from one request to the next. One user at a time: a driver
  // asks once, then divides.
  static void* request(std::ptrdiff_t bytes) noexcept;

  // Gives the calling thread's buffer back if it is larger than what is worth keeping.
  static void trim() noexcept;
};

}  // namespace mmlfast
