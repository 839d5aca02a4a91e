// The state of RFactor as numbers, and back. Part of drivers/rfactor, which alone includes it.
#pragma once

#include <algorithm>
#include <vector>

#include "drivers/common/saved_numbers.hpp"
#include "drivers/rfactor.hpp"

namespace mmlfast::drivers {

void RFactor::save(std::vector<double>& to) const {
  const auto add = [&](const Doubles& d, Size size) {
    if (d) to.insert(to.end(), d.data(), d.data() + size);
  };
  to = {1,
        static_cast<double>(n_),
        static_cast<double>(count_),
        static_cast<double>(n_leaves_),
        static_cast<double>(open_rows_),
        merged_ ? 1.0 : 0.0,
        removed_ ? 1.0 : 0.0};
  for (int l = 0; l < most_levels; ++l)
    if ((n_leaves_ >> l) & 1) add(levels_[l], node_size());
  if (open_rows_ > 0) add(open_, open_rows_ * n_);
  add(merged_, node_size());
  add(removed_, node_size());
}

namespace {

inline bool is_triangular(const Doubles& r, Size n) noexcept {
  for (Size i = 0; r && i < n; ++i)
    for (Size j = 0; j < i; ++j)
      if (r.data()[i * n + j] != 0) return false;
  return true;
}

}  // namespace

// Could update(), merge() and remove() have led here?
bool RFactor::consistent() const noexcept {
  if (n_ == 0 && (n_leaves_ != 0 || open_rows_ != 0)) return false;
  const double own = static_cast<double>(n_leaves_) * static_cast<double>(leaf_rows(n_)) +
                     static_cast<double>(open_rows_),
               count = static_cast<double>(count_);
  if (n_ > 0 && ((!merged_ && count > own) || (!removed_ && count < own))) return false;
  return is_triangular(merged_, n_) && is_triangular(removed_, n_) &&
         std::all_of(levels_, levels_ + most_levels, [&](const Doubles& r) { return is_triangular(r, n_); });
}

bool RFactor::restore(const std::vector<double>& from) {
  constexpr std::size_t header = 7;
  if (from.size() < header || from[0] != 1 || !is_whole(from[1], 0x1p24) || !is_whole(from[2], 0x1p53) ||
      !is_whole(from[3], 0x1p47))
    return false;
  for (const std::size_t flag : {5, 6})
    if (from[flag] != 0 && from[flag] != 1) return false;
  RFactor fresh(static_cast<Size>(from[1]));
  fresh.count_ = static_cast<Size>(from[2]);
  fresh.n_leaves_ = static_cast<std::uint64_t>(from[3]);
  if (!is_whole(from[4], static_cast<double>(leaf_rows(fresh.n_)))) return false;
  fresh.open_rows_ = static_cast<Size>(from[4]);
  std::size_t at = header;
  const auto take = [&](Doubles& to, Size used, Size size) {
    if (used < 0 || from.size() - at < static_cast<std::size_t>(used) || !to.allocate(size)) return false;
    std::copy_n(from.data() + at, used, to.data());
    at += static_cast<std::size_t>(used);
    return true;
  };
  const Size nn = fresh.node_size();
  for (int l = 0; l < most_levels; ++l)
    if (((fresh.n_leaves_ >> l) & 1) && !take(fresh.levels_[l], nn, nn)) return false;
  if (fresh.open_rows_ > 0 && !take(fresh.open_, fresh.open_rows_ * fresh.n_, leaf_rows(fresh.n_) * fresh.n_))
    return false;
  if (from[5] != 0 && !take(fresh.merged_, nn, nn)) return false;
  if (from[6] != 0 && !take(fresh.removed_, nn, nn)) return false;
  if (at != from.size() || !fresh.consistent()) return false;
  return copy(fresh).ok();
}

}  // namespace mmlfast::drivers
