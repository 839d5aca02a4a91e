// A tape for loops that run it again and again on the same points: a block of points whose numbers stay in memory that
// the caller owns, number by number, as the lanes of SIMD registers want them.
#pragma once

#include <algorithm>

#include "drivers/tape.hpp"
#include "runtime/non_copyable.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Fixed numbers that depend on parameters: computed once, before a point or a block of them. Interrupted: a callback
// failed, and its exception is set.
Outcome prepare_tape(const TapeProgram& program, const TapeProgram::Numbers& numbers, const double* const* parameters,
                     const TapeCallback& callback) noexcept;

// The program must not call Python.
class TapeBlock : NonCopyable {
 public:
  // Of memory for a block of up to `points` points.
  static Size bytes(const TapeProgram& program, Size points) noexcept {
    const TapeLayout& layout = program.layout();
    return checked_product(8, layout.n_slots * round_up(points, tape_lanes) +
                                  (static_cast<Size>(layout.spread.size()) + layout.scratch) * tape_lanes);
  }

  TapeBlock(const TapeProgram& program, const double* fixed, Size points, double* memory) noexcept
      : layout_(program.layout()), memory_(memory), fixed_(fixed), most_(round_up(points, tape_lanes)) {
    spread_ = memory + layout_.n_slots * most_;
    scratch_ = spread_ + static_cast<Size>(layout_.spread.size()) * tape_lanes;
    for (std::size_t i = 0; i < layout_.spread.size(); ++i)
      std::fill_n(spread_ + static_cast<Size>(i) * tape_lanes, tape_lanes, fixed[layout_.spread[i]]);
  }

  // Of how many points the block has from now on, rounded up to whole vectors: the distance from one number to the
  // next. Called before the first run.
  Size set_points(Size points) noexcept {
    const Size slot = round_up(points, tape_lanes);
    if (slot != slot_) {  // where numbers are depends on it
      slot_ = slot;
      run(layout_.constant_copies.block);
      run(layout_.copies.block);
    }
    return slot_;
  }

  // Input k of all points; a run may write over it.
  double* input(Size k) const noexcept { return memory_ + k * slot_; }
  const double* output(Size k) const noexcept { return memory_ + layout_.results[static_cast<std::size_t>(k)] * slot_; }
  void run() const noexcept { run(layout_.per_point.block); }
  // With a call of between() after each of its functions.
  template <class Between>
  void run(Between&& between) const noexcept {
    const std::vector<TapeStep>& steps = layout_.per_point.block;
    run_steps(steps.data(), steps.data() + steps.size(), frame(), between);
  }

 private:
  TapeFrame frame() const noexcept { return {memory_, slot_, fixed_, spread_, layout_.lists.data(), scratch_}; }
  void run(const std::vector<TapeStep>& steps) const noexcept {
    run_steps(steps.data(), steps.data() + steps.size(), frame());
  }

  const TapeLayout& layout_;
  double* memory_;
  const double* fixed_;
  double *spread_, *scratch_;
  Size most_, slot_ = 0;
};

}  // namespace mmlfast::drivers
