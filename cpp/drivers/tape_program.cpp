#include "drivers/tape_program.hpp"

#include <algorithm>

namespace mmlfast::drivers {
namespace {

constexpr std::int32_t highest_polygamma = 60;  // the kernel has no more coefficients

const char* find_fault(const TapeListing& listing) {
  for (const TapeListing::Run& run : listing.runs)
    if (run.is(TapeOp::polygamma) && (run.aux < 0 || run.aux > highest_polygamma))
      return "polygamma: the order must be 0 to 60";
  return nullptr;
}

// Fewer instructions, but what they wait for lives longer.
constexpr std::int32_t slots_in_cache = 128;

std::int32_t rows_for(const TapeLayout& layout) noexcept {
  constexpr Size cache_bytes = 32 * 1024;
  const Size vectors = layout.n_slots + static_cast<Size>(layout.spread.size());
  return vectors * 8 * 64 <= cache_bytes ? 8 : 4;
}

}  // namespace

TapeProgram::TapeProgram(const TapeGraph& graph, TapeView outputs) {
  TapeListing listing = tape_pruned(tape_listing(graph, outputs));
  fault_ = find_fault(listing);
  if (fault_ != nullptr) return;
  tape_find_fixed(listing);
  tape_fuse(listing);
  listing = tape_pruned(listing);
  tape_find_fixed(listing);  // of a run perhaps only what is fixed was left
  layout_ = tape_layout(tape_paired(listing), graph.input_groups());
  const TapeListing merged = tape_merged(listing);
  if (merged.runs.size() < listing.runs.size()) {
    TapeLayout other = tape_layout(tape_paired(merged), graph.input_groups());
    if (other.n_slots <= std::max(slots_in_cache, 2 * layout_.n_slots)) layout_ = std::move(other);
  }
  rows_ = rows_for(layout_);
  own_ = fresh_numbers();
}

AlignedBuffer<double> TapeProgram::fresh_numbers() const noexcept {
  auto numbers =
      AlignedBuffer<double>::zeros(Size{layout_.n_slots} + layout_.n_fixed + 2 * tape_padding + layout_.scratch);
  if (!numbers) return numbers;
  double* fixed = numbers.data() + layout_.n_slots;
  std::copy(layout_.constants.begin(), layout_.constants.end(), fixed);
  const TapeFrame frame{numbers.data(), 1, fixed, nullptr, layout_.lists.data(), nullptr};
  for (const TapeStep& step : layout_.constant_copies.point) step.function(step, frame);
  return numbers;
}

TapeProgram::Numbers::Numbers(const TapeProgram& program) noexcept : program_(program), data_(nullptr) {
  if (program.own_ && !program.taken_.exchange(true, std::memory_order_acquire)) {
    data_ = program.own_.data();
    return;
  }
  other_ = program.fresh_numbers();
  data_ = other_.data();
}

TapeProgram::Numbers::~Numbers() {
  if (data_ != nullptr && data_ == program_.own_.data()) program_.taken_.store(false, std::memory_order_release);
}

TapeFrame TapeProgram::Numbers::frame() const noexcept {
  return {
      data_, 1, fixed(), nullptr, program_.layout_.lists.data(), fixed() + program_.layout_.n_fixed + 2 * tape_padding};
}

}  // namespace mmlfast::drivers
