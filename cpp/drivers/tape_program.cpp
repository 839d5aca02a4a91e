#include "drivers/tape_program.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace mmlfast::drivers {
namespace {

constexpr std::int32_t highest_polygamma = 60;  // the kernel has no more coefficients

const char* find_fault(const TapeListing& listing) {
  for (const TapeListing::Run& run : listing.runs)
    if (run.is(TapeOp::polygamma) && (run.aux < 0 || run.aux > highest_polygamma))
      return "polygamma: the order must be 0 to 60";
  return nullptr;
}

// Merged runs are fewer instructions, but what they wait for lives longer: as many slots as the L2 cache holds, of
// blocks of one row.
constexpr std::int32_t slots_in_cache = 8192;

int operands_of(TapeCode code) noexcept {
  if (code < tape_code(TapeFused::square)) return tape_operands(static_cast<TapeOp>(code));
  return code == tape_code(TapeFused::subtract_product) ? 3 : 1;
}
bool is_reduction(TapeCode code) noexcept {
  return code == tape_code(TapeOp::sum) || code == tape_code(TapeOp::dot) || code == tape_code(TapeOp::norm);
}
// Whether the kernel goes through a block slot by slot: an operand is no stretch of slots.
bool is_by_element(const TapeStep& step) noexcept {
  if (is_reduction(step.code)) return false;
  for (int k = 0; k < operands_of(step.code); ++k) {
    const TapeAccess access = step.access_of(k);
    if (access != TapeAccess::run && access != TapeAccess::fixed_single &&
        !(access == TapeAccess::single && step.count == 1))
      return true;
  }
  return false;
}

}  // namespace

// Vectors of a slot in a block. The more, the less often an instruction is looked at; the fewer, the more of what the
// next one reads is still in the L1 cache. A model of both, in units of adding one vector to another; its choice was
// measured to be among the fastest for gradients of Rosenbrock's function (n = 10 to 1000), of cmpad's functions, and
// for chains of single operations.
std::int32_t tape_block_rows(const TapeLayout& layout) noexcept {
  constexpr double look = 12, look_at_element = 5;
  constexpr Size vector_bytes = 64, level_2_bytes = 512 * 1024;
  std::int32_t best = 1;
  double least = std::numeric_limits<double>::max();
  for (std::int32_t rows = 1; rows <= 128; rows *= 2) {
    if (rows > 1 && rows * vector_bytes * layout.n_slots_without_padding > level_2_bytes) break;
    double cost = 0;
    for (const TapeStep& step : layout.per_point.block) {
      const double slots = is_reduction(step.code) ? 1.0 * step.count * step.aux() : step.count;
      const double kilobytes = 3.0 * vector_bytes / 1024 * rows * slots;  // two operands and the result
      const double far = kilobytes <= 24 ? 1 : kilobytes <= 40 ? 1.15 : 1.65;
      cost += look / rows + slots * (far + (is_by_element(step) ? look_at_element / rows : 0));
    }
    if (cost < least) least = cost, best = rows;
  }
  return best;
}

namespace {

// The same for points that are taken in from memory and results that are given back there, which go through the first
// cache as well: as many as leave room for all of that, unless those were less than a few.
std::int32_t batch_rows(const TapeLayout& layout) noexcept {
  constexpr Size vector_bytes = 64, level_1_bytes = 32 * 1024, few = 8;
  const Size n_inputs = layout.group_sizes.empty() ? 0 : layout.group_sizes[0];
  const Size numbers = std::max(layout.n_slots_without_padding + n_inputs + layout.n_outputs, Size{1});
  return static_cast<std::int32_t>(
      std::min<Size>(tape_block_rows(layout), std::max(few, level_1_bytes / (vector_bytes * numbers))));
}

}  // namespace

TapeListing tape_ready(const TapeGraph& graph, TapeView outputs, const char*& fault, bool as_written) {
  TapeListing listing = tape_pruned(tape_listing(graph, outputs));
  fault = find_fault(listing);
  if (fault != nullptr) return listing;
  tape_find_fixed(listing);
  if (as_written) return listing;
  tape_fuse(listing);
  listing = tape_pruned(std::move(listing));
  tape_find_fixed(listing);  // of a run perhaps only what is fixed was left
  return listing;
}

TapeProgram::TapeProgram(const TapeGraph& graph, TapeView outputs, bool as_written) {
  const TapeListing listing = tape_ready(graph, outputs, fault_, as_written);
  if (fault_ == nullptr) lay_out(listing, graph.input_groups());
}

TapeProgram::TapeProgram(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes) {
  lay_out(listing, group_sizes);
}

void TapeProgram::lay_out(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes) {
  const auto layout_of = [&](const TapeListing& ready) {
    return tape_layout(tape_with_constants_in_order(tape_paired(ready)), group_sizes);
  };
  layout_ = layout_of(listing);
  const auto is_alone = [](const TapeListing::Run& run) { return run.count == 1 && run.is_elementwise(); };
  if (std::count_if(listing.runs.begin(), listing.runs.end(), is_alone) > 1) {
    const TapeListing merged = tape_merged(listing);
    if (merged.runs.size() < listing.runs.size()) {
      TapeLayout other = layout_of(merged);
      if (other.n_slots <= std::max(slots_in_cache, 2 * layout_.n_slots)) layout_ = std::move(other);
    }
  }
  rows_ = batch_rows(layout_);
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
