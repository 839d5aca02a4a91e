// States are saved as doubles, counts among them: what comes back may be anything.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Is it a whole number, 0 <= x < below?
inline bool is_whole(double x, double below) noexcept { return x >= 0 && x < below && x == std::floor(x); }

// Reads saved numbers from position `at` on.
class NumberReader {
 public:
  NumberReader(const std::vector<double>& from, std::size_t at) noexcept : from_(from), at_(at) {}

  // to := the next n numbers, with zeros up to `size`. False if there are not that many, or there is no memory.
  bool take(AlignedBuffer<double>& to, Size n, Size size) noexcept {
    if (n < 0 || from_.size() - at_ < static_cast<std::size_t>(n)) return false;
    to = AlignedBuffer<double>::zeros(size);
    if (!to) return false;
    std::copy_n(from_.data() + at_, n, to.data());
    at_ += static_cast<std::size_t>(n);
    return true;
  }
  bool at_end() const noexcept { return at_ == from_.size(); }

 private:
  const std::vector<double>& from_;
  std::size_t at_;
};

}  // namespace mmlfast::drivers
