// A traced function of one row, evaluated for eight items at once, each with parameters of its own, in blocks of rows:
// curve fits. The tape is taken apart by what its numbers depend on: on the row alone, once for all items that have the
// same rows; on parameters alone, once for each set of them; on both, for each row.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "drivers/tape_program.hpp"

namespace mmlfast::drivers {

class TapeRows : NonCopyable {
 public:
  // Input group 0 is the row, each other group a parameter. std::bad_alloc passes through.
  TapeRows(const TapeGraph& graph, TapeView outputs);

  // What is wrong with the graph, or nullptr.
  const char* fault() const noexcept { return fault_; }

  // Numbers of a row, and of what is computed of it alone.
  Size n_row() const noexcept { return n_row_; }
  Size n_staged() const noexcept { return layout_.group_sizes[0]; }
  Size n_parameters() const noexcept { return static_cast<Size>(layout_.group_sizes.size()) - 1; }
  double ns_per_row() const noexcept { return layout_.ns_per_point; }

  // staged[i n_staged() ..] of the rows x[i n_row() ..]. False if there is no memory.
  bool stage(Size rows, const double* x, double* staged) const noexcept;

  // Rows of a block, but for the last one. It depends on nothing but the tape, and so do sums by blocks.
  Size block_rows() const noexcept { return block_rows_; }

  // The memory of eight items.
  class Lanes {
   public:
    // Of `memory`, which has numbers_for(tape) numbers and is aligned to 64 bytes.
    Lanes(const TapeRows& tape, double* memory) noexcept;
    static Size numbers_for(const TapeRows& tape) noexcept;

    // parameters[p * 8 + item]
    void set_parameters(const double* parameters) noexcept;
    // How many rows the block has: 1 to block_rows(), to begin with.
    void set_rows(Size rows) noexcept;
    // Of staged number k, a vector for each row of the block.
    double* staged(Size k) const noexcept { return frame_.slots + k * frame_.slot; }
    // All rows of the block; their staged numbers are used up.
    void run() const noexcept;
    // Vectors of output k, `stride` numbers apart: 8 for each row, or 0, one for all.
    const double* output(Size k, Size& stride) const noexcept;

   private:
    const TapeRows& tape_;
    TapeFrame frame_, fixed_frame_;  // of rows; of fixed numbers as if they were slots
  };

 private:
  TapeLayout layout_;
  std::vector<std::int32_t> parameter_at_;  // the fixed number of each parameter, or -1
  std::unique_ptr<const TapeProgram> of_row_;
  const char* fault_ = nullptr;
  bool takes_rows_as_they_are_ = false;
  Size n_row_ = 0, block_rows_ = 1;
};

// What depends on the row alone becomes input group 0 of `rest`; `of_row` computes it from the row.
struct TapeStages {
  TapeListing of_row, rest;
};
TapeStages tape_stages(const TapeListing& listing);

}  // namespace mmlfast::drivers
