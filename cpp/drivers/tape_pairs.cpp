// Instructions that are computed together with the only one that reads their results.
#include <algorithm>
#include <tuple>
#include <utility>

#include "drivers/tape_program.hpp"

namespace mmlfast::drivers {
namespace {

constexpr int n_operands(const TapeStep& step) noexcept {
  if (step.code < tape_code(TapeFused::square)) return tape_operands(static_cast<TapeOp>(step.code));
  return step.code == tape_code(TapeFused::subtract_product) ? 3 : 1;
}

// How many slots or numbers an operand has.
std::uint32_t size_of(const TapeStep& step, int operand) noexcept {
  const auto aux = static_cast<std::uint32_t>(step.aux());
  if (step.code == tape_code(TapeFused::sincos)) return step.count / 2;
  switch (static_cast<TapeOp>(step.code)) {
    case TapeOp::sum:
    case TapeOp::dot:
    case TapeOp::norm:
      return operand == 0 && (step.access & tape_shared) != 0 ? aux : step.count * aux;
    case TapeOp::solve:
      return operand == 0 ? aux * aux : step.count;
    case TapeOp::determinant:
      return aux * aux;
    default:
      return step.count;
  }
}

class Pairer {
 public:
  Pairer(TapeLayout& layout, bool point)
      : layout_(layout),
        steps_(point ? layout.per_point.point : layout.per_point.block),
        point_(point),
        kernel_(kernel_of<Tape>()),
        element_(at(layout.n_slots), -1),
        pair_of_(steps_.size(), -1) {}

  void run() {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      begins_.push_back(static_cast<std::int32_t>(step_of_.size()));
      step_of_.resize(step_of_.size() + written(steps_[s]), static_cast<std::int32_t>(s));
    }
    before_.assign(step_of_.size(), -1);
    reads_.assign(step_of_.size(), 0);
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      read(steps_[s]);
      find_candidates(s);
      for (std::uint32_t i = 0; i < written(steps_[s]); ++i) {
        std::int32_t& element = element_[steps_[s].to + i];
        const std::int32_t written = begins_[s] + static_cast<std::int32_t>(i);
        before_[at(written)] = std::exchange(element, written);
      }
    }
    for (std::int32_t i = 0; i < layout_.n_outputs; ++i) {
      const std::int32_t slot = point_ ? layout_.first_output + i : layout_.results[at(i)];
      if (slot >= 0 && element_[at(slot)] >= 0) reads_[at(element_[at(slot)])] = 2;
    }
    unwritten_.assign(step_of_.size(), 0);
    // First those that depend on no other pair; then those that read what another pair does not write over any more.
    for (const bool alone : {true, false})
      for (const Candidate& candidate : candidates_)
        if ((candidate.over_begin == candidate.over_end) == alone) choose(candidate);
    if (!chosen_.empty()) emit();
  }

 private:
  // Operand `taken` of step `second` are elements begin, begin + 1, ... of step `first`.
  struct Candidate {
    std::int32_t first, second, taken;
    std::uint32_t begin;
    std::size_t over_begin, over_end;  // which of over_ must not be written
  };

  // How many slots a step writes: of one point perhaps those behind its results too.
  std::uint32_t written(const TapeStep& step) const {
    return point_ && (step.access & tape_padded) != 0 ? static_cast<std::uint32_t>(round_up(step.count, tape_lanes))
                                                      : step.count;
  }

  template <class Body>
  void each_slot(const TapeStep& step, int k, Body&& body) const {
    const TapeAccess access = step.access_of(k);
    if (access >= TapeAccess::fixed_single || (access != TapeAccess::list && step.from[k] >= element_.size())) return;
    if (access == TapeAccess::single) return body(step.from[k]);
    for (std::uint32_t i = 0, n = size_of(step, k); i < n; ++i)
      body(access == TapeAccess::list ? static_cast<std::uint32_t>(layout_.lists[step.from[k] + i]) : step.from[k] + i);
  }
  void read(const TapeStep& step) {
    for (int k = 0; k < n_operands(step); ++k)
      each_slot(step, k, [&](std::uint32_t slot) {
        if (element_[slot] >= 0 && reads_[at(element_[slot])] < 2) ++reads_[at(element_[slot])];
      });
  }

  void find_candidates(std::size_t s) {
    const TapeStep& step = steps_[s];
    for (int k = 0; k < n_operands(step); ++k) {
      const bool run =
          step.access_of(k) == TapeAccess::run || (step.access_of(k) == TapeAccess::single && step.count == 1);
      if (!run || size_of(step, k) != step.count) continue;
      const std::uint32_t from = step.from[k];
      if (from >= element_.size() || element_[from] < 0) continue;
      const std::int32_t first = step_of_[at(element_[from])];
      bool together = true;
      for (std::uint32_t i = 1; i < step.count && together; ++i)
        together = element_[from + i] == element_[from] + static_cast<std::int32_t>(i) &&
                   step_of_[at(element_[from + i])] == first;
      if (!together) continue;
      const auto begin = static_cast<std::uint32_t>(element_[from] - begins_[at(first)]);
      const TapeStep part = part_of(steps_[at(first)], begin, step.count);
      TapeStep a = part, b = step;
      const std::size_t over = over_.size();
      if (kernel_.for_pair(a, b, k, point_) != nullptr && can_wait(part, first, step))
        candidates_.push_back({first, static_cast<std::int32_t>(s), k, begin, over, over_.size()});
      else
        over_.resize(over);
    }
  }

  static TapeStep part_of(TapeStep step, std::uint32_t begin, std::uint32_t count) {
    step.to += begin;
    for (int k = 0; k < n_operands(step); ++k)
      if (step.access_of(k) == TapeAccess::run) step.from[k] += begin;
    if (begin % tape_lanes != 0 || begin + count < step.count) step.access &= static_cast<std::uint16_t>(~tape_padded);
    step.count = count;
    return step;
  }

  // Can this part of step `first` be computed with `second`? It reads its operands when others may have written over
  // them: what these are goes into over_. False if `second` writes over them itself before all are read.
  bool can_wait(const TapeStep& part, std::int32_t first, const TapeStep& second) {
    for (int k = 0; k < n_operands(part); ++k) {
      const std::uint32_t from = part.from[k], n = part.access_of(k) == TapeAccess::single ? 1 : part.count;
      if (part.access_of(k) >= TapeAccess::fixed_single || from >= element_.size()) continue;
      if (from != second.to && from < second.to + written(second) && second.to < from + n) return false;
      if (n < part.count && from == second.to) return false;
      for (std::uint32_t i = 0; i < n; ++i) {
        std::int32_t element = element_[from + i];
        for (; element >= 0 && step_of_[at(element)] > first; element = before_[at(element)]) over_.push_back(element);
        if (element >= 0 && step_of_[at(element)] == first && from != part.to) return false;
      }
    }
    return true;
  }

  // A step is in one pair at most as the second; as the first it may be in several, and then in none as the second.
  void choose(const Candidate& candidate) {
    const auto first = at(candidate.first), second = at(candidate.second);
    const auto begin = at(begins_[first] + static_cast<std::int64_t>(candidate.begin)),
               end = begin + steps_[second].count;
    const auto is = [&](const std::vector<std::uint8_t>& of, std::size_t element) { return of[element] == 1; };
    bool good = pair_of_[second] < 0 && pair_of_[first] < 0 &&
                // what is left of the first step is worth a step of its own
                (steps_[second].count == steps_[first].count || steps_[second].count >= 4);
    for (std::size_t i = 0; i < steps_[second].count && good; ++i)  // in no pair as the first
      good = !is(unwritten_, at(begins_[second]) + i);
    for (std::size_t element = begin; element < end && good; ++element) good = is(reads_, element);
    for (std::size_t i = candidate.over_begin; i < candidate.over_end && good; ++i) good = is(unwritten_, at(over_[i]));
    if (!good) return;
    std::fill(unwritten_.begin() + static_cast<std::ptrdiff_t>(begin),
              unwritten_.begin() + static_cast<std::ptrdiff_t>(end), std::uint8_t{1});
    pair_of_[second] = static_cast<std::int32_t>(chosen_.size());
    chosen_.push_back(candidate);
  }

  void emit() {
    parts_ = chosen_;
    std::sort(parts_.begin(), parts_.end(), [](const Candidate& a, const Candidate& b) {
      return std::tie(a.first, a.begin) < std::tie(b.first, b.begin);
    });
    std::vector<TapeStep> steps;
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      if (pair_of_[s] >= 0) {
        const Candidate& pair = chosen_[at(pair_of_[s])];
        TapeStep first = part_of(steps_[at(pair.first)], pair.begin, steps_[s].count), second = steps_[s];
        first.function = kernel_.for_pair(first, second, pair.taken, point_);
        steps.push_back(first);
        steps.push_back(second);
      } else {
        emit_rest(s, steps);
      }
    }
    steps_ = std::move(steps);
  }
  // What no pair computes of a step.
  void emit_rest(std::size_t s, std::vector<TapeStep>& steps) {
    std::uint32_t begin = 0;
    const auto emit_until = [&](std::uint32_t end) {
      if (begin == 0 && end == steps_[s].count) return steps.push_back(steps_[s]);
      if (begin >= end) return;
      TapeStep part = part_of(steps_[s], begin, end - begin);
      part.function = point_ ? kernel_.for_point(part) : kernel_.for_block(part);
      steps.push_back(part);
    };
    for (; part_ < parts_.size() && at(parts_[part_].first) == s; ++part_) {
      emit_until(parts_[part_].begin);
      begin = parts_[part_].begin + steps_[at(parts_[part_].second)].count;
    }
    emit_until(steps_[s].count);
  }

  TapeLayout& layout_;
  std::vector<TapeStep>& steps_;
  const bool point_;
  const Tape& kernel_;
  // Results are counted through all steps: elements. Of each slot the one that is there; of each element its step, the
  // one that was in its slot before it, how often it is read, up to twice, and whether a pair keeps it from being
  // written.
  std::vector<std::int32_t> element_, step_of_, before_;
  std::vector<std::uint8_t> reads_, unwritten_;
  std::vector<std::int32_t> begins_;                    // of each step its first element
  std::vector<std::int32_t> over_;                      // elements that some candidates must not find in their slots
  std::vector<Candidate> candidates_, chosen_, parts_;  // parts_: chosen_ in the order of their first steps
  std::size_t part_ = 0;
  std::vector<std::int32_t> pair_of_;
};

}  // namespace

void tape_pair(TapeLayout& layout) {
  if (layout.calls_python) return;
  Pairer(layout, true).run();
  Pairer(layout, false).run();
}

}  // namespace mmlfast::drivers
