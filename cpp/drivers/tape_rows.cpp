#include "drivers/tape_rows.hpp"

#include <algorithm>

#include "drivers/tape.hpp"

namespace mmlfast::drivers {
namespace {

void run(const std::vector<TapeStep>& steps, const TapeFrame& frame) noexcept {
  run_steps(steps.data(), steps.data() + steps.size(), frame);
}

// A byte for each value: does it depend on parameters?
std::vector<std::uint8_t> depend_on_parameters(const TapeListing& listing) {
  std::vector<std::uint8_t> depends(at(listing.n_values), 0);
  for (const TapeListing::Run& run : listing.runs) {
    bool any = run.is(TapeOp::input) && run.aux > 0;
    for (int k = 0; k < 3; ++k)
      for (TapeId id : listing.operand(run, k)) any = any || depends[at(id)] != 0;
    std::fill_n(depends.begin() + run.first, run.count, static_cast<std::uint8_t>(any));
  }
  return depends;
}

}  // namespace

TapeStages tape_stages(const TapeListing& listing) {
  const std::vector<std::uint8_t> depends = depend_on_parameters(listing);
  const auto of_row = [&](const TapeListing::Run& run) { return !run.fixed && depends[at(run.first)] == 0; };
  std::vector<std::uint8_t> is_of_row(at(listing.n_values), 0);
  for (const TapeListing::Run& run : listing.runs)
    if (of_row(run)) std::fill_n(is_of_row.begin() + run.first, run.count, std::uint8_t{1});

  // What the rest needs of it.
  TapeIds boundary, new_id(at(listing.n_values), -1);
  const auto need = [&](TapeId id) {
    if (is_of_row[at(id)] == 0 || new_id[at(id)] >= 0) return;
    new_id[at(id)] = static_cast<TapeId>(boundary.size());
    boundary.push_back(id);
  };
  for (const TapeListing::Run& run : listing.runs)
    for (int k = 0; k < 3 && !of_row(run); ++k)
      for (TapeId id : listing.operand(run, k)) need(id);
  for (TapeId id : listing.outputs) need(id);

  TapeStages stages;
  stages.of_row = listing;
  stages.of_row.outputs = boundary;
  stages.of_row = tape_pruned(std::move(stages.of_row));
  tape_find_fixed(stages.of_row);

  TapeListing& rest = stages.rest;
  rest.constants = listing.constants;
  TapeListing::Run staged{tape_code(TapeOp::input), false, 0, static_cast<std::int32_t>(boundary.size()), 0, {}, {}};
  if (staged.count > 0) rest.append(staged);
  for (const TapeListing::Run& run : listing.runs) {
    if (of_row(run)) continue;
    for (std::int32_t i = 0; i < run.count; ++i) new_id[at(run.first + i)] = rest.n_values + i;
    TapeListing::Run kept = run;
    for (int k = 0; k < 3; ++k) {
      if (run.size[k] == 0) continue;
      TapeIds ids;
      for (TapeId id : listing.operand(run, k)) ids.push_back(new_id[at(id)]);
      rest.set_operand(kept, k, ids);
    }
    rest.append(kept);
  }
  for (TapeId id : listing.outputs) rest.outputs.push_back(new_id[at(id)]);
  rest = tape_pruned(std::move(rest));
  tape_find_fixed(rest);
  return stages;
}

TapeRows::TapeRows(const TapeGraph& graph, TapeView outputs) {
  const TapeListing listing = tape_ready(graph, outputs, fault_);
  std::vector<std::int32_t> sizes = graph.input_groups();
  n_row_ = sizes.empty() ? 0 : sizes[0];
  if (fault_ != nullptr) return;
  const TapeStages stages = tape_stages(listing);
  of_row_ = std::make_unique<const TapeProgram>(stages.of_row, sizes);
  const TapeIds& staged = stages.of_row.outputs;
  takes_rows_as_they_are_ =
      std::ssize(staged) == n_row_ && stages.of_row.runs.size() == 1 && std::is_sorted(staged.begin(), staged.end());
  sizes[0] = static_cast<std::int32_t>(staged.size());
  layout_ = tape_layout_in_lanes(tape_paired(stages.rest), sizes);
  if (layout_.calls_python || of_row_->layout().calls_python) fault_ = "functions of Python on the tape";
  parameter_at_.assign(layout_.group_fixed.begin() + 1, layout_.group_fixed.end());
  block_rows_ = std::max(4, tape_block_rows(layout_));
}

bool TapeRows::stage(Size rows, const double* x, double* staged) const noexcept {
  if (takes_rows_as_they_are_) {
    std::copy_n(x, rows * n_row_, staged);
    return true;
  }
  // Parameters do not occur in what is computed of rows alone.
  return evaluate_tape_batch(*of_row_, rows, x, nullptr, staged, {}).ok();
}

Size TapeRows::Lanes::numbers_for(const TapeRows& tape) noexcept {
  const TapeLayout& layout = tape.layout_;
  return checked_product(tape_lanes, layout.n_fixed + layout.n_slots * tape.block_rows_ + layout.scratch);
}

TapeRows::Lanes::Lanes(const TapeRows& tape, double* memory) noexcept : tape_(tape) {
  const TapeLayout& layout = tape.layout_;
  const Size rows = tape.block_rows_;
  double* fixed = memory;
  double* slots = fixed + layout.n_fixed * tape_lanes;
  double* scratch = slots + layout.n_slots * rows * tape_lanes;
  fixed_frame_ = {fixed, tape_lanes, nullptr, nullptr, layout.lists.data(), scratch};
  frame_ = {slots, rows * tape_lanes, nullptr, fixed, layout.lists.data(), scratch};
  for (std::size_t i = 0; i < layout.constants.size(); ++i)
    std::fill_n(fixed + static_cast<Size>(i) * tape_lanes, tape_lanes, layout.constants[i]);
  mmlfast::drivers::run(layout.constant_copies.block, frame_);
}

void TapeRows::Lanes::set_parameters(const double* parameters) noexcept {
  for (std::size_t p = 0; p < tape_.parameter_at_.size(); ++p)
    if (tape_.parameter_at_[p] >= 0)
      std::copy_n(parameters + static_cast<Size>(p) * tape_lanes, tape_lanes,
                  fixed_frame_.slots + tape_.parameter_at_[p] * tape_lanes);
  mmlfast::drivers::run(tape_.layout_.per_call.block, fixed_frame_);
  mmlfast::drivers::run(tape_.layout_.copies.block, frame_);
}

// Where slots are depends on the rows, and so what was copied into some of them is copied again.
void TapeRows::Lanes::set_rows(Size rows) noexcept {
  if (frame_.slot == rows * tape_lanes) return;
  frame_.slot = rows * tape_lanes;
  mmlfast::drivers::run(tape_.layout_.constant_copies.block, frame_);
  mmlfast::drivers::run(tape_.layout_.copies.block, frame_);
}

void TapeRows::Lanes::run() const noexcept { mmlfast::drivers::run(tape_.layout_.per_point.block, frame_); }

const double* TapeRows::Lanes::output(Size k, Size& stride) const noexcept {
  const std::int32_t place = tape_.layout_.results[at(k)];
  stride = place < 0 ? 0 : tape_lanes;
  return place < 0 ? frame_.spread + ~place * tape_lanes : frame_.slots + place * frame_.slot;
}

}  // namespace mmlfast::drivers
