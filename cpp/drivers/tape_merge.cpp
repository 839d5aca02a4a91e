#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "drivers/tape_listing.hpp"

namespace mmlfast::drivers {
namespace {

// Runs that may become one: the key, and which they are.
struct Group {
  TapeCode code;
  std::int32_t aux, depth;
  bool fixed;
  std::int32_t run;

  auto key() const noexcept { return std::make_tuple(depth, code, aux, fixed); }
};

std::vector<std::int32_t> depths(const TapeListing& listing) {
  std::vector<std::int32_t> of_value(at(listing.n_values), 0), of_run;
  for (const TapeListing::Run& run : listing.runs) {
    std::int32_t depth = 0;
    for (int k = 0; k < 3; ++k)
      for (TapeId id : listing.operand(run, k)) depth = std::max(depth, of_value[at(id)] + 1);
    std::fill_n(of_value.begin() + run.first, run.count, depth);
    of_run.push_back(depth);
  }
  return of_run;
}

// An instruction for one number takes so little that only several of them are worth bringing together, and gathering
// what they need; of functions that are computed eight at a time, two.
std::size_t least_group(const TapeListing::Run& run) {
  switch (static_cast<TapeOp>(run.code)) {
    case TapeOp::negative:
    case TapeOp::absolute:
    case TapeOp::sign:
    case TapeOp::sqrt:
    case TapeOp::floor:
    case TapeOp::ceil:
    case TapeOp::trunc:
    case TapeOp::rint:
    case TapeOp::logical_not:
    case TapeOp::integer_power:
      return 6;
    default:
      return run.size[1] > 0 || run.code > tape_code(TapeOp::callback) ? 6 : 2;
  }
}

}  // namespace

TapeListing tape_merged(const TapeListing& listing) {
  const std::vector<std::int32_t> depth = depths(listing);
  std::vector<Group> order;
  for (std::size_t r = 0; r < listing.runs.size(); ++r) {
    const TapeListing::Run& run = listing.runs[r];
    if (run.is_elementwise() && run.count == 1)
      order.push_back({run.code, run.aux, depth[r], run.fixed, static_cast<std::int32_t>(r)});
    else  // alone, after those that may come together
      order.push_back({n_tape_codes, 0, run.is_leaf() ? -1 : depth[r], false, static_cast<std::int32_t>(r)});
  }
  std::sort(order.begin(), order.end(), [](const Group& a, const Group& b) {
    return std::tuple_cat(a.key(), std::tuple(a.run)) < std::tuple_cat(b.key(), std::tuple(b.run));
  });
  TapeListing result;
  result.reserve_like(listing);
  result.constants = listing.constants;
  TapeIds new_id(at(listing.n_values));
  for (std::size_t i = 0, end = 0; i < order.size(); i = end) {
    const TapeListing::Run& first = listing.runs[at(order[i].run)];
    end = i + 1;
    if (order[i].code < n_tape_codes)
      while (end < order.size() && order[end].key() == order[i].key()) ++end;
    if (end - i < least_group(first)) end = i + 1;
    // In the order of their operands, which are then more often one after the other.
    const auto places = [&](const Group& group) {
      const TapeListing::Run& run = listing.runs[at(group.run)];
      std::array<TapeId, 3> ids{};
      for (int k = 0; k < 3 && run.size[k] > 0; ++k) ids[at(k)] = new_id[at(listing.operand(run, k)[0])];
      return ids;
    };
    if (end - i > 1)
      std::sort(
          order.begin() + static_cast<std::ptrdiff_t>(i), order.begin() + static_cast<std::ptrdiff_t>(end),
          [&](const Group& a, const Group& b) { return std::pair(places(a), a.run) < std::pair(places(b), b.run); });
    TapeListing::Run merged = first;
    if (end - i > 1) merged.count = static_cast<std::int32_t>(end - i);
    for (int k = 0; k < 3; ++k) {
      merged.operand[k] = result.ids.size();
      for (std::size_t j = i; j < end; ++j)
        for (TapeId id : listing.operand(listing.runs[at(order[j].run)], k)) result.ids.push_back(new_id[at(id)]);
      merged.size[k] = static_cast<std::int32_t>(result.ids.size() - merged.operand[k]);
    }
    TapeId next = result.n_values;
    for (std::size_t j = i; j < end; ++j) {
      const TapeListing::Run& run = listing.runs[at(order[j].run)];
      for (std::int32_t e = 0; e < run.count; ++e) new_id[at(run.first + e)] = next++;
    }
    result.append(merged);
  }
  for (TapeId id : listing.outputs) result.outputs.push_back(new_id[at(id)]);
  return result;
}

namespace {

std::uint64_t hash_of(TapeView ids) noexcept {
  std::uint64_t hash = ids.size();
  for (TapeId id : ids) hash = (hash ^ static_cast<std::uint32_t>(id)) * 0x9E3779B97F4A7C15u;
  return hash;
}

// Of each run that is a sine or cosine, the other one; -1 if there is none. Those of fixed numbers are left alone.
std::vector<std::int32_t> partners(const TapeListing& listing) {
  std::vector<std::int32_t> partner(listing.runs.size(), -1);
  std::unordered_multimap<std::uint64_t, std::int32_t> known;
  for (std::size_t r = 0; r < listing.runs.size(); ++r) {
    const TapeListing::Run& run = listing.runs[r];
    if (run.fixed || (!run.is(TapeOp::sin) && !run.is(TapeOp::cos))) continue;
    const TapeView ids = listing.operand(run, 0);
    const std::uint64_t hash = hash_of(ids);
    const auto [from, to] = known.equal_range(hash);
    for (auto candidate = from; candidate != to && partner[r] < 0; ++candidate) {
      const auto c = at(candidate->second);
      const TapeListing::Run& other = listing.runs[c];
      const TapeView others = listing.operand(other, 0);
      if (partner[c] >= 0 || other.code == run.code ||
          !std::equal(ids.begin(), ids.end(), others.begin(), others.end()))
        continue;
      partner[r] = candidate->second;
      partner[c] = static_cast<std::int32_t>(r);
    }
    known.emplace(hash, static_cast<std::int32_t>(r));
  }
  return partner;
}

}  // namespace

TapeListing tape_paired(const TapeListing& listing) {
  const std::vector<std::int32_t> partner = partners(listing);
  TapeListing result;
  result.reserve_like(listing);
  result.constants = listing.constants;
  TapeIds new_id(at(listing.n_values));
  const auto number = [&](const TapeListing::Run& run, TapeId first) {
    std::iota(new_id.begin() + run.first, new_id.begin() + run.first + run.count, first);
  };
  for (std::size_t r = 0; r < listing.runs.size(); ++r) {
    const TapeListing::Run& run = listing.runs[r];
    if (partner[r] >= 0 && at(partner[r]) < r) continue;  // done with the other one
    TapeListing::Run kept = run;
    for (int k = 0; k < 3; ++k) {
      kept.operand[k] = result.ids.size();
      for (TapeId id : listing.operand(run, k)) result.ids.push_back(new_id[at(id)]);
    }
    if (partner[r] < 0) {
      number(run, result.n_values);
    } else {
      const TapeListing::Run& other = listing.runs[at(partner[r])];
      number(run.is(TapeOp::sin) ? run : other, result.n_values);
      number(run.is(TapeOp::sin) ? other : run, result.n_values + run.count);
      kept.code = tape_code(TapeFused::sincos);
      kept.count = 2 * run.count;
    }
    result.append(kept);
  }
  for (TapeId id : listing.outputs) result.outputs.push_back(new_id[at(id)]);
  return result;
}

}  // namespace mmlfast::drivers
