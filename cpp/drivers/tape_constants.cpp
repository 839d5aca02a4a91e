#include <algorithm>
#include <unordered_map>

#include "drivers/tape_listing.hpp"

namespace mmlfast::drivers {
namespace {

// Shorter lists are as fast.
constexpr std::size_t shortest = 16;

bool is_run(TapeView ids) {
  for (std::size_t i = 1; i < ids.size(); ++i)
    if (ids[i] != ids[0] + static_cast<TapeId>(i)) return false;
  return true;
}
bool is_single(TapeView ids) {
  return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return id == ids[0]; });
}

class Ordering {
 public:
  explicit Ordering(TapeListing& listing) : listing_(listing), constant_(at(listing.n_values), -1) {
    for (const TapeListing::Run& run : listing.runs)
      for (std::int32_t i = 0; i < run.count && run.is(TapeOp::constant); ++i)
        constant_[at(run.first + i)] = run.aux + i;
  }

  void operand(std::size_t r, int k) {
    const TapeView ids = listing_.operand(listing_.runs[r], k);
    if (ids.size() < shortest || is_run(ids) || is_single(ids)) return;
    if (std::any_of(ids.begin(), ids.end(), [&](TapeId id) { return constant_[at(id)] < 0; })) return;
    const TapeIds ordered = copied(ids);
    listing_.set_operand(listing_.runs[r], k, ordered);
  }

 private:
  // Of equal lists there is one copy.
  TapeIds copied(TapeView ids) {
    std::uint64_t hash = ids.size();
    for (TapeId id : ids) hash = (hash ^ static_cast<std::uint32_t>(id)) * 0x9E3779B97F4A7C15u;
    const auto [from, to] = copies_.equal_range(hash);
    for (auto copy = from; copy != to; ++copy)
      if (std::equal(ids.begin(), ids.end(), copy->second.ids.begin(), copy->second.ids.end()))
        return tape_range(copy->second.first, static_cast<std::int32_t>(ids.size()));
    TapeListing::Run run;
    run.code = tape_code(TapeOp::constant);
    run.fixed = true;
    run.count = static_cast<std::int32_t>(ids.size());
    run.aux = static_cast<std::int32_t>(listing_.constants.size());
    for (TapeId id : ids) listing_.constants.push_back(listing_.constants[at(constant_[at(id)])]);
    const TapeId first = listing_.n_values;
    copies_.emplace(hash, Copy{TapeIds(ids.begin(), ids.end()), first});
    listing_.append(run);
    return tape_range(first, run.count);
  }

  struct Copy {
    TapeIds ids;
    TapeId first;
  };
  TapeListing& listing_;
  std::vector<std::int32_t> constant_;  // where the number of a value stands among the constants, or -1
  std::unordered_multimap<std::uint64_t, Copy> copies_;
};

}  // namespace

TapeListing tape_with_constants_in_order(TapeListing listing) {
  Ordering ordering(listing);
  for (std::size_t r = 0, n = listing.runs.size(); r < n; ++r)
    for (int k = 0; k < 3; ++k)
      if (listing.runs[r].size[k] > 0) ordering.operand(r, k);
  return listing;
}

}  // namespace mmlfast::drivers
