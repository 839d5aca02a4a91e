#include "drivers/tape_listing.hpp"

#include <algorithm>
#include <numeric>

namespace mmlfast::drivers {
namespace {

// An instruction of its own for what is asked for most.
void specialise(TapeListing::Run& run) {
  if (!run.is(TapeOp::integer_power)) return;
  if (run.aux == 2) run.code = tape_code(TapeFused::square);
  if (run.aux == -1) run.code = tape_code(TapeFused::reciprocal);
}

class FromGraph {
 public:
  explicit FromGraph(const TapeGraph& graph) : graph_(graph), new_id_(at(graph.n_values())) {}

  TapeListing listing(TapeView outputs) {
    TapeIds wanted(outputs.begin(), outputs.end());
    std::erase(wanted, -1);
    const std::vector<std::uint8_t> need = graph_.needed(wanted);
    listing_.runs.reserve(need.size());
    listing_.ids.reserve(2 * new_id_.size());
    for (std::size_t r = 0; r < need.size(); ++r)
      if (need[r] != 0) add(graph_.runs()[r]);
    if (wanted.size() < outputs.size()) {
      listing_.constants.push_back(0);
      listing_.append(
          {tape_code(TapeOp::constant), false, 0, 1, static_cast<std::int32_t>(listing_.constants.size() - 1), {}, {}});
    }
    for (TapeId id : outputs) listing_.outputs.push_back(id < 0 ? listing_.n_values - 1 : new_id_[at(id)]);
    return std::move(listing_);
  }

 private:
  void add(const TapeRun& run) {
    if (run.op == TapeOp::identity) {
      for (std::int32_t i = 0; i < run.count; ++i) new_id_[at(run.first + i)] = new_id_[at(run.operand[0][i])];
      return;
    }
    TapeListing::Run copy{tape_code(run.op), false, 0, run.count, run.aux, {}, {}};
    for (int k = 0; k < run.n_operands(); ++k) {
      const TapeOperand& operand = run.operand[k];
      copy.operand[k] = listing_.ids.size();
      copy.size[k] = operand.size;
      for (std::int32_t i = 0; i < operand.size; ++i) listing_.ids.push_back(new_id_[at(operand[i])]);
    }
    if (run.op == TapeOp::constant) {
      copy.aux = static_cast<std::int32_t>(listing_.constants.size());
      for (std::int32_t i = 0; i < run.count; ++i) listing_.constants.push_back(graph_.constant_value(run.first + i));
    }
    specialise(copy);
    std::iota(new_id_.begin() + run.first, new_id_.begin() + run.first + run.count, listing_.n_values);
    listing_.append(copy);
  }

  const TapeGraph& graph_;
  TapeIds new_id_;
  TapeListing listing_;
};

}  // namespace

std::vector<std::int32_t> TapeListing::run_of_values() const {
  std::vector<std::int32_t> run_of(at(n_values));
  for (std::size_t r = 0; r < runs.size(); ++r)
    std::fill_n(run_of.begin() + runs[r].first, runs[r].count, static_cast<std::int32_t>(r));
  return run_of;
}

TapeListing tape_listing(const TapeGraph& graph, TapeView outputs) { return FromGraph(graph).listing(outputs); }

namespace {

// A byte for each value.
std::vector<std::uint8_t> needed_values(const TapeListing& listing) {
  std::vector<std::uint8_t> need(at(listing.n_values), 0);
  for (TapeId id : listing.outputs) need[at(id)] = 1;
  for (std::size_t r = listing.runs.size(); r-- > 0;) {
    const TapeListing::Run& run = listing.runs[r];
    const auto first = need.begin() + run.first;
    if (std::find(first, first + run.count, 1) == first + run.count) continue;
    if (run.is_whole() || run.is(TapeOp::input)) std::fill_n(first, run.count, std::uint8_t{1});
    for (int k = 0; k < 3 && run.size[k] > 0; ++k) {
      const TapeView operand = listing.operand(run, k);
      const std::int32_t terms = run.is_whole() ? run.size[k] : run.size[k] / run.count;
      for (std::int32_t i = 0; i < run.size[k]; ++i)
        if (run.is_whole() || need[at(run.first + i / terms)] != 0) need[at(operand[at(i)])] = 1;
    }
  }
  return need;
}

}  // namespace

TapeListing tape_pruned(TapeListing listing) {
  const std::vector<std::uint8_t> need = needed_values(listing);
  if (std::find(need.begin(), need.end(), 0) == need.end()) return listing;
  TapeListing result;
  result.reserve_like(listing);
  TapeIds new_id(at(listing.n_values), -1);
  for (const TapeListing::Run& run : listing.runs) {
    TapeListing::Run kept = run;
    kept.count = 0;
    for (std::int32_t i = 0; i < run.count; ++i)
      if (need[at(run.first + i)] != 0) new_id[at(run.first + i)] = result.n_values + kept.count++;
    if (kept.count == 0) continue;
    for (int k = 0; k < 3 && run.size[k] > 0; ++k) {
      const TapeView operand = listing.operand(run, k);
      const std::int32_t terms = run.is_whole() ? run.size[k] : run.size[k] / run.count;
      kept.operand[k] = result.ids.size();
      for (std::int32_t i = 0; i < run.size[k]; ++i)
        if (run.is_whole() || need[at(run.first + i / terms)] != 0) result.ids.push_back(new_id[at(operand[at(i)])]);
      kept.size[k] = static_cast<std::int32_t>(result.ids.size() - kept.operand[k]);
    }
    if (run.is(TapeOp::constant)) {
      kept.aux = static_cast<std::int32_t>(result.constants.size());
      for (std::int32_t i = 0; i < run.count; ++i)
        if (need[at(run.first + i)] != 0) result.constants.push_back(listing.constants[at(run.aux + i)]);
    }
    result.append(kept);
  }
  for (TapeId id : listing.outputs) result.outputs.push_back(new_id[at(id)]);
  return result;
}

void tape_find_fixed(TapeListing& listing) {
  std::vector<std::uint8_t> fixed(at(listing.n_values), 0);
  for (TapeListing::Run& run : listing.runs) {
    run.fixed = !run.is(TapeOp::input) || run.aux > 0;
    for (int k = 0; k < 3; ++k)
      for (TapeId id : listing.operand(run, k)) run.fixed = run.fixed && fixed[at(id)] != 0;
    std::fill_n(fixed.begin() + run.first, run.count, static_cast<std::uint8_t>(run.fixed));
  }
}

}  // namespace mmlfast::drivers
