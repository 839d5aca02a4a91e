// A traced function made ready to run: instructions, and where their numbers are.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "drivers/tape_listing.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::drivers {

// A Python function of an instruction: results[0 .. n_results) from arguments[0 .. n_arguments). False if it failed.
struct TapeCallback {
  bool (*call)(void* context, std::int32_t index, const double* arguments, Size n_arguments, double* results,
               Size n_results) = nullptr;
  void* context = nullptr;
};

// Instructions in the form for one point and in that for blocks.
struct TapeSteps {
  std::vector<TapeStep> point, block;
};

// Everything but the numbers of an evaluation. Slots: x, copies of fixed numbers that stand in one operand with others,
// results, and the rest.
struct TapeLayout {
  TapeSteps per_call;  // fixed numbers that depend on parameters
  // Of fixed numbers into slots: where results are no function of x, and in mixed operands. Those of constants are done
  // when memory for a point is made.
  TapeSteps constant_copies, copies;
  TapeSteps per_point;
  // The slots of a block's results (in lanes, ~ the number of a fixed one); one point has them at first_output.
  std::vector<std::int32_t> results;
  std::vector<std::int32_t> lists;
  std::vector<double> constants;          // the first fixed numbers
  std::vector<std::int32_t> group_sizes;  // of inputs: x, then parameters
  std::vector<std::int32_t> group_fixed;  // where the fixed numbers of each group of parameters begin
  std::vector<std::int32_t> spread;       // the fixed numbers of which blocks have vectors
  std::int32_t n_slots = 0, n_fixed = 0, n_outputs = 0, first_output = 0;
  std::int32_t n_slots_without_padding = 0;  // roughly: blocks leave the padding of runs alone
  Size scratch = 0;                          // numbers
  double ns_per_point = 0;                   // an estimate
  bool calls_python = false;
};

class TapeProgram : NonCopyable {
 public:
  // std::bad_alloc passes through. Operations that cannot be computed: see fault(). as_written: every operation rounds,
  // none is fused with another.
  TapeProgram(const TapeGraph& graph, TapeView outputs, bool as_written = false);
  // Of a listing that tape_ready made.
  TapeProgram(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes);

  const TapeLayout& layout() const noexcept { return layout_; }
  // What is wrong with the graph, or nullptr.
  const char* fault() const noexcept { return fault_; }
  std::int32_t n_instructions() const noexcept {
    return static_cast<std::int32_t>(layout_.per_call.point.size() + layout_.constant_copies.point.size() +
                                     layout_.copies.point.size() + layout_.per_point.point.size());
  }
  // Rows of vectors that a block has: as many as leave all its slots in the first cache.
  std::int32_t rows() const noexcept { return rows_; }

  // The numbers of one point, with the constants in place: the program's own if nobody else has them. Empty if there is
  // no memory.
  class Numbers;
  Numbers numbers() const noexcept;

 private:
  AlignedBuffer<double> fresh_numbers() const noexcept;
  void lay_out(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes);

  TapeLayout layout_;
  const char* fault_ = nullptr;
  std::int32_t rows_ = 1;
  AlignedBuffer<double> own_;
  mutable std::atomic<bool> taken_{false};
};

// slots, fixed numbers, padding; then scratch.
class TapeProgram::Numbers : NonCopyable {
 public:
  explicit Numbers(const TapeProgram& program) noexcept;
  ~Numbers();
  explicit operator bool() const noexcept { return data_ != nullptr; }
  double* slots() const noexcept { return data_; }
  double* fixed() const noexcept { return data_ + program_.layout_.n_slots; }
  TapeFrame frame() const noexcept;

 private:
  const TapeProgram& program_;
  AlignedBuffer<double> other_;
  double* data_;
};

inline TapeProgram::Numbers TapeProgram::numbers() const noexcept { return Numbers(*this); }

// Of all that is needed for the outputs, as good instructions; `fault`, or nullptr: what cannot be computed.
TapeListing tape_ready(const TapeGraph& graph, TapeView outputs, const char*& fault, bool as_written = false);
// How many vectors a slot has best in a block.
std::int32_t tape_block_rows(const TapeLayout& layout) noexcept;

// Places for all numbers of a listing, and its instructions.
TapeLayout tape_layout(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes);

// Two of its instructions in one where that saves storing and loading.
void tape_pair(TapeLayout& layout);

// The same for blocks whose lanes have parameters of their own (drivers/tape_rows.hpp). Every fixed number is a vector
// of TapeFrame::spread under its own number, per_call.block runs on these as slots, and each operand of per_point.block
// that is more than one of them is copied into slots.
TapeLayout tape_layout_in_lanes(const TapeListing& listing, const std::vector<std::int32_t>& group_sizes);

}  // namespace mmlfast::drivers
