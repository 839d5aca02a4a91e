// Which slots are free, for runs that need several in a row.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace mmlfast::drivers {

class TapeSlots {
 public:
  // Slots 0 .. n - 1 are taken from the beginning.
  explicit TapeSlots(std::int32_t n) : end_(n) {}

  std::int32_t end() const noexcept { return end_; }

  // The smallest gap that is large enough, of the first ones; new slots at the end, to which a gap before it belongs,
  // if there is none.
  std::int32_t take(std::int32_t count) {
    auto best = gaps_.end();
    int looks = 0;
    for (auto gap = gaps_.begin(); gap != gaps_.end() && looks < most_looks; ++gap, ++looks) {
      if (gap->second < count || (best != gaps_.end() && gap->second >= best->second)) continue;
      best = gap;
      if (gap->second == count) break;
    }
    if (best == gaps_.end()) {
      std::int32_t first = end_;
      if (!gaps_.empty() && gaps_.rbegin()->first + gaps_.rbegin()->second == end_) {
        first = gaps_.rbegin()->first;
        gaps_.erase(std::prev(gaps_.end()));
      }
      end_ = first + count;
      return first;
    }
    const std::int32_t first = best->first, left = best->second - count;
    gaps_.erase(best);
    if (left > 0) gaps_.emplace(first + count, left);
    return first;
  }

  void give_back(std::int32_t slot) {
    auto next = gaps_.lower_bound(slot);
    std::int32_t first = slot, count = 1;
    if (next != gaps_.end() && next->first == slot + 1) {
      count += next->second;
      next = gaps_.erase(next);
    }
    if (next != gaps_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == slot) {
        before->second += count;
        return;
      }
    }
    gaps_.emplace(first, count);
  }

 private:
  static constexpr int most_looks = 256;

  std::map<std::int32_t, std::int32_t> gaps_;  // first slot, how many
  std::int32_t end_;
};

}  // namespace mmlfast::drivers
