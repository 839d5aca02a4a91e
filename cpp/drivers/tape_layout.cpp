#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "drivers/tape_program.hpp"
#include "drivers/tape_slots.hpp"

namespace mmlfast::drivers {
namespace {

using Run = TapeListing::Run;
constexpr std::int32_t for_ever = std::numeric_limits<std::int32_t>::max();

// Nanoseconds an element and point, roughly.
double ns_of(const Run& run) {
  if (run.reduces()) return 0.06 * run.size[0] / run.count;
  if (run.is(TapeFused::sincos)) return 0.5;
  if (run.is_whole()) return 2.0 * run.aux * run.aux;
  switch (static_cast<TapeOp>(run.code)) {
    case TapeOp::divide:
    case TapeOp::divide_or_zero:
    case TapeOp::sqrt:
      return 0.3;
    case TapeOp::integer_power:
      return 0.2;
    case TapeOp::fmod:
    case TapeOp::polygamma:
      return 10;
    default:
      return run.code >= tape_code(TapeOp::cbrt) && run.code <= tape_code(TapeOp::softplus) ? 0.7 : 0.07;
  }
}

class Layouter {
 public:
  Layouter(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes, bool in_lanes)
      : listing_(listing),
        in_lanes_(in_lanes),
        index_(at(listing.n_values), -1),
        copy_(at(listing.n_values), -1),
        fixed_(at(listing.n_values), 0),
        slots_(0) {
    layout_.group_sizes = group_sizes;
    layout_.group_fixed.assign(group_sizes.size(), -1);
  }

  TapeLayout layout() {
    number_fixed();
    reserve();
    find_last_uses();
    for (std::size_t r = 0; r < listing_.runs.size(); ++r) {
      const Run& run = listing_.runs[r];
      if (run.is_leaf()) continue;
      if (run.fixed)
        emit(layout_.per_call, run, listing_of(run), index_[at(run.first)]);
      else
        place_and_emit(run, static_cast<std::int32_t>(r));
    }
    if (!in_lanes_) copy_results();
    find_results();
    layout_.n_slots = slots_.end();
    layout_.n_slots_without_padding =
        taken_ == 0 ? layout_.n_slots : static_cast<std::int32_t>(taken_ * layout_.n_slots / taken_and_padding_);
    finish(layout_.per_call, layout_.n_slots);
    finish(layout_.constant_copies, 0);
    finish(layout_.copies, 0);
    finish(layout_.per_point, 0);
    tape_pair(layout_);
    return std::move(layout_);
  }

 private:
  enum class Form { point, block, both };
  struct Operands {
    TapeView of[3];
  };
  Operands listing_of(const Run& run) const {
    return {{listing_.operand(run, 0), listing_.operand(run, 1), listing_.operand(run, 2)}};
  }
  bool is_fixed(TapeId id) const noexcept { return fixed_[at(id)] != 0; }
  bool all_fixed(TapeView ids) const {
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return is_fixed(id); });
  }
  bool none_fixed(TapeView ids) const {
    return std::none_of(ids.begin(), ids.end(), [&](TapeId id) { return is_fixed(id); });
  }

  // Is an operand one number for all elements?
  static bool is_one_vector(const Run& run, TapeView ids) {
    return !run.reduces() && !run.is_whole() && std::count(ids.begin(), ids.end(), ids[0]) == std::ssize(ids);
  }

  // Constants, parameters, what depends on them.
  void number_fixed() {
    std::int32_t next = 0;
    const auto number = [&](const Run& run) {
      std::fill_n(fixed_.begin() + run.first, run.count, std::uint8_t{1});
      std::iota(index_.begin() + run.first, index_.begin() + run.first + run.count, next);
      next += run.count;
    };
    for (const Run& run : listing_.runs)
      if (run.is(TapeOp::constant)) {
        number(run);
        for (std::int32_t i = 0; i < run.count; ++i) layout_.constants.push_back(listing_.constants[at(run.aux + i)]);
      }
    for (const Run& run : listing_.runs)
      if (run.is(TapeOp::input) && run.aux > 0) {
        layout_.group_fixed[at(run.aux)] = next;
        number(run);
      }
    for (const Run& run : listing_.runs)
      if (run.fixed && !run.is_leaf()) number(run);
    layout_.n_fixed = next;
    spread_.assign(at(next), -1);
  }

  // Slots that are never given back: x at first, copies, results.
  void reserve() {
    std::int32_t next = layout_.group_sizes.empty() ? 0 : layout_.group_sizes[0];
    for (const Run& run : listing_.runs) {
      if (run.is(TapeOp::input) && run.aux == 0)
        std::iota(index_.begin() + run.first, index_.begin() + run.first + run.count, 0);
      if (run.fixed) continue;
      for (int k = 0; k < 3; ++k) {
        const TapeView ids = listing_.operand(run, k);
        if (none_fixed(ids) || (all_fixed(ids) && (!in_lanes_ || is_one_vector(run, ids)))) continue;
        for (TapeId id : ids)
          if (is_fixed(id) && copy_[at(id)] < 0) {
            copy_[at(id)] = next++;
            copied_.push_back(id);
          }
      }
    }
    copy_fixed(copied_, next - static_cast<std::int32_t>(copied_.size()), Form::both);
    // One slot for all results that are the same number; in lanes they are what they are.
    for (TapeId id : listing_.outputs)
      if (!in_lanes_ && is_fixed(id) && copy_[at(id)] < 0) {
        copy_[at(id)] = next++;
        copy_fixed({&id, 1}, copy_[at(id)], Form::block);
      }
    layout_.n_outputs = static_cast<std::int32_t>(listing_.outputs.size());
    layout_.first_output = next;
    slots_ = TapeSlots(next + layout_.n_outputs);
    home_.assign(at(listing_.n_values), -1);
    for (std::size_t i = listing_.outputs.size(); i-- > 0;)
      if (!is_fixed(listing_.outputs[i])) home_[at(listing_.outputs[i])] = static_cast<std::int32_t>(i);
  }

  void find_last_uses() {
    last_use_.assign(at(listing_.n_values), -1);
    for (std::size_t r = 0; r < listing_.runs.size(); ++r)
      for (int k = 0; k < 3; ++k)
        for (TapeId id : listing_.operand(listing_.runs[r], k)) last_use_[at(id)] = static_cast<std::int32_t>(r);
    for (TapeId id : listing_.outputs) last_use_[at(id)] = for_ever;
    for (const Run& run : listing_.runs)
      if (run.is(TapeOp::input) && run.aux == 0)
        for (TapeId id = run.first; id < run.first + run.count; ++id)
          if (last_use_[at(id)] < 0) give_back(index_[at(id)]);
  }

  // ---- where results go ----

  // Among the results of the program, if all of the run belong there one after the other.
  std::int32_t among_results(const Run& run) const {
    const std::int32_t first = home_[at(run.first)];
    for (std::int32_t i = 0; i < run.count; ++i)
      if (home_[at(run.first + i)] != first + i) return -1;
    return first < 0 ? -1 : layout_.first_output + first;
  }

  bool dies(TapeId id, std::int32_t r) const { return !is_fixed(id) && last_use_[at(id)] == r; }

  // The slots of an operand that nobody reads any more, if the loop reads each of them before it writes there.
  std::int32_t in_place(const Run& run, std::int32_t r) const {
    if (!run.is_elementwise()) return -1;
    for (int k = 0; k < 3; ++k) {
      const TapeView ids = listing_.operand(run, k);
      if (ids.empty()) break;
      const std::int32_t first = index_[at(ids[0])];
      bool good = true;
      for (std::size_t i = 0; i < ids.size() && good; ++i)
        good = dies(ids[i], r) && index_[at(ids[i])] == first + static_cast<std::int32_t>(i);
      for (int j = 0; j < 3 && good; ++j) {
        const TapeView others = listing_.operand(run, j);
        for (std::size_t i = 0; i < others.size() && good; ++i) {
          const std::int32_t slot = is_fixed(others[i]) ? -1 : index_[at(others[i])] - first;
          good = slot < 0 || slot >= run.count || slot == static_cast<std::int32_t>(i);
        }
      }
      if (good) return first;
    }
    return -1;
  }

  // Slots for a run and, where it has several numbers, up to a multiple of 8 behind it, which the last one keeps.
  std::int32_t take(const Run& run) {
    const std::int32_t padded = run.count == 1 ? 1 : (run.count + tape_lanes - 1) / tape_lanes * tape_lanes;
    const std::int32_t to = slots_.take(padded);
    padding_.resize(at(slots_.end()), 0);
    padding_[at(to + run.count - 1)] = static_cast<std::uint8_t>(padded - run.count);
    taken_ += run.count;
    taken_and_padding_ += padded;
    return to;
  }
  void give_back(std::int32_t slot) {
    const std::int32_t padding = at(slot) < padding_.size() ? std::exchange(padding_[at(slot)], 0) : 0;
    for (std::int32_t i = 0; i <= padding; ++i) slots_.give_back(slot + i);
  }
  bool is_padded(const Run& run, std::int32_t to) const {
    const std::size_t last = at(to + run.count - 1);
    return run.count > 1 && last < padding_.size() && padding_[last] > 0 &&
           (run.count + padding_[last]) % tape_lanes == 0;
  }

  void place_and_emit(const Run& run, std::int32_t r) {
    std::int32_t to = among_results(run);
    std::int32_t kept = -1;  // slots that a new value takes over
    if (to < 0) to = kept = in_place(run, r);
    if (to < 0) to = take(run);
    emit(layout_.per_point, run, listing_of(run), to);
    layout_.ns_per_point += ns_of(run) * run.count;
    for (int k = 0; k < 3; ++k)
      for (TapeId id : listing_.operand(run, k)) {
        if (!dies(id, r)) continue;
        last_use_[at(id)] = -1;
        const std::int32_t slot = index_[at(id)];
        if (kept < 0 || slot < kept || slot >= kept + run.count) give_back(slot);
      }
    std::iota(index_.begin() + run.first, index_.begin() + run.first + run.count, to);
  }

  bool is_constant(TapeId id) const {
    return is_fixed(id) && index_[at(id)] < static_cast<std::int32_t>(layout_.constants.size());
  }
  // Fixed numbers into slots one after the other: constants apart from what depends on parameters.
  void copy_fixed(TapeView ids, std::int32_t to, Form form) {
    for (std::size_t i = 0, end = 0; i < ids.size(); i = end) {
      const bool constant = is_constant(ids[i]);
      for (end = i + 1; !in_lanes_ && end < ids.size() && is_constant(ids[end]) == constant;) ++end;
      emit_copy(constant ? layout_.constant_copies : layout_.copies, ids.subspan(i, end - i),
                to + static_cast<std::int32_t>(i), form);
    }
  }

  // Of one point: results that are where they were computed, at another place of the results, or fixed.
  void copy_results() {
    const auto slot = [&](std::size_t i) { return layout_.first_output + static_cast<std::int32_t>(i); };
    const TapeIds& outputs = listing_.outputs;
    for (std::size_t i = 0, end = 0; i < outputs.size(); i = end) {
      const bool fixed = is_fixed(outputs[i]);
      const auto missing = [&](std::size_t j) {
        return is_fixed(outputs[j]) == fixed && (fixed || index_[at(outputs[j])] != slot(j));
      };
      end = i + 1;
      if (!missing(i)) continue;
      while (end < outputs.size() && missing(end)) ++end;
      const TapeView stretch = TapeView(outputs).subspan(i, end - i);
      if (fixed)
        copy_fixed(stretch, slot(i), Form::point);
      else
        emit_copy(layout_.per_point, stretch, slot(i), Form::point);
    }
  }

  void find_results() {
    const auto fixed = [&](TapeId id) { return in_lanes_ ? ~index_[at(id)] : copy_[at(id)]; };
    for (TapeId id : listing_.outputs) layout_.results.push_back(is_fixed(id) ? fixed(id) : index_[at(id)]);
  }

  // ---- instructions ----

  void emit_copy(TapeSteps& steps, TapeView ids, std::int32_t to, Form form) {
    const Run copy{tape_code(TapeOp::identity), false, 0, static_cast<std::int32_t>(ids.size()), 0, {}, {}};
    emit(steps, copy, {{ids, {}, {}}}, to);
    if (form == Form::point) steps.block.pop_back();
    if (form == Form::block) steps.point.pop_back();
  }

  void emit(TapeSteps& steps, const Run& run, Operands operands, std::int32_t to) {
    if (run.is(TapeOp::dot)) order_factors(run, operands);
    TapeStep step{};
    step.code = run.code;
    step.count = static_cast<std::uint32_t>(run.count);
    step.to = static_cast<std::uint32_t>(to);
    if (&steps == &layout_.per_point && is_padded(run, to)) step.access = tape_padded;
    TapeStep block = step;
    for (int k = 0; k < 3; ++k)
      if (!operands.of[k].empty()) set_operand(step, block, k, operands.of[k], run);
    if (operands.of[2].empty()) step.from[2] = block.from[2] = static_cast<std::uint32_t>(run.aux);
    if (run.is(TapeOp::callback)) {
      step.from[1] = static_cast<std::uint32_t>(operands.of[0].size());
      layout_.calls_python = true;
    }
    const Size n = run.aux;
    if (run.is(TapeOp::solve)) layout_.scratch = std::max(layout_.scratch, n * n + run.count);
    if (run.is(TapeOp::determinant)) layout_.scratch = std::max(layout_.scratch, n * n);
    if ((step.access & tape_shared) != 0) layout_.scratch = std::max(layout_.scratch, n + tape_padding);
    if (run.is(TapeOp::callback))
      layout_.scratch = std::max(layout_.scratch, static_cast<Size>(operands.of[0].size()) + run.count);
    steps.point.push_back(step);
    steps.block.push_back(block);
  }

  // Of inner products the first operand depends on the point and, if that goes together, is the same for all results.
  void order_factors(const Run& run, Operands& operands) const {
    auto& [a, b, none] = operands.of;
    const bool exchange = all_fixed(a) || (!all_fixed(b) && is_shared(run, b) && !is_shared(run, a));
    if (!run.fixed && exchange) std::swap(a, b);
  }
  static bool is_shared(const Run& run, TapeView ids) {
    for (std::size_t i = at(run.aux); i < ids.size(); ++i)
      if (ids[i] != ids[i - at(run.aux)]) return false;
    return run.count > 1;
  }
  // Are terms rows of a matrix, and results its columns?
  bool are_columns(const Run& run) const {
    for (std::int32_t i = 0; i < run.count; ++i)
      for (std::int32_t t = 0; t < run.aux; ++t)
        if (places_[at(i * run.aux + t)] != places_[0] + t * run.count + i) return false;
    return true;
  }
  bool is_consecutive() const {
    for (std::size_t i = 1; i < places_.size(); ++i)
      if (places_[i] != places_[0] + static_cast<std::int32_t>(i)) return false;
    return true;
  }

  void set_operand(TapeStep& step, TapeStep& block, int k, TapeView ids, const Run& run) {
    const bool fixed = all_fixed(ids) && (!in_lanes_ || (!run.fixed && is_one_vector(run, ids)));
    places_.clear();
    for (TapeId id : ids) places_.push_back(!fixed && !run.fixed && is_fixed(id) ? copy_[at(id)] : index_[at(id)]);
    bool single = std::count(places_.begin(), places_.end(), places_[0]) == std::ssize(places_);
    bool consecutive = is_consecutive();
    if (run.reduces() || run.is(TapeOp::callback)) single = false;
    if (run.is(TapeOp::dot) && !consecutive) {
      if (k == 0 && is_shared(run, ids)) {
        step.access |= tape_shared;
        places_.resize(at(run.aux));
        consecutive = is_consecutive();
      } else if (k == 1 && are_columns(run)) {
        step.access |= tape_columns;
        consecutive = true;
      }
    }
    const bool listed = !single && !consecutive;
    const auto access = static_cast<TapeAccess>((single ? 0 : listed ? 2 : 1) + (fixed ? 3 : 0));
    step.access |= static_cast<std::uint16_t>(static_cast<int>(access) << (4 * k));
    step.from[k] = listed ? list() : static_cast<std::uint32_t>(places_[0]);
    block.access = step.access;
    block.from[k] = access == TapeAccess::fixed_single ? spread(places_[0]) : step.from[k];
  }

  std::uint32_t spread(std::int32_t fixed) {
    if (in_lanes_) return static_cast<std::uint32_t>(fixed);
    if (spread_[at(fixed)] < 0) {
      spread_[at(fixed)] = static_cast<std::int32_t>(layout_.spread.size());
      layout_.spread.push_back(fixed);
    }
    return static_cast<std::uint32_t>(spread_[at(fixed)]);
  }

  // Where places_ stands among the lists; equal ones are one.
  std::uint32_t list() {
    std::uint64_t hash = places_.size();
    for (std::int32_t place : places_) hash = (hash ^ static_cast<std::uint32_t>(place)) * 0x9E3779B97F4A7C15u;
    const auto [from, to] = known_lists_.equal_range(hash);
    for (auto known = from; known != to; ++known) {
      const auto begin = layout_.lists.begin() + known->second;
      if (static_cast<std::size_t>(layout_.lists.end() - begin) >= places_.size() &&
          std::equal(places_.begin(), places_.end(), begin))
        return static_cast<std::uint32_t>(known->second);
    }
    const auto begin = static_cast<std::ptrdiff_t>(layout_.lists.size());
    layout_.lists.insert(layout_.lists.end(), places_.begin(), places_.end());
    known_lists_.emplace(hash, begin);
    return static_cast<std::uint32_t>(begin);
  }

  // For one point fixed numbers lie behind the slots, of which the number is known now.
  void finish(TapeSteps& steps, std::int32_t to) const {
    const Tape& kernel = kernel_of<Tape>();
    for (TapeStep& step : steps.point) {
      step.to += static_cast<std::uint32_t>(to);
      const int n = step.code == tape_code(TapeOp::callback) ? 1 : 3;
      for (int k = 0; k < n; ++k) {
        const TapeAccess access = step.access_of(k);
        if (access != TapeAccess::fixed_single && access != TapeAccess::fixed_run) continue;
        step.access = static_cast<std::uint16_t>(step.access - (3 << (4 * k)));
        step.from[k] += static_cast<std::uint32_t>(layout_.n_slots);
      }
      if (step.code != tape_code(TapeOp::callback)) step.function = kernel.for_point(step);
    }
    for (TapeStep& step : steps.block)
      if (step.code != tape_code(TapeOp::callback)) step.function = kernel.for_block(step);
  }

  const TapeListing& listing_;
  bool in_lanes_;
  TapeLayout layout_;
  // Of each value the slot, or the number among the fixed ones; the slot of its copy; the run that reads it last; the
  // place among the results.
  std::vector<std::int32_t> index_, copy_;
  std::vector<std::uint8_t> fixed_;
  std::vector<std::int32_t> last_use_, home_, spread_, places_;
  TapeIds copied_;
  TapeSlots slots_;
  std::int64_t taken_ = 0, taken_and_padding_ = 0;
  std::vector<std::uint8_t> padding_;  // of each slot how many behind it are its own
  std::unordered_multimap<std::uint64_t, std::ptrdiff_t> known_lists_;
};

}  // namespace

TapeLayout tape_layout(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes) {
  return Layouter(listing, group_sizes, false).layout();
}

TapeLayout tape_layout_in_lanes(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes) {
  return Layouter(listing, group_sizes, true).layout();
}

}  // namespace mmlfast::drivers
