// What a program is made from: the runs of a graph that its outputs need, in order, as lists of ids that passes may
// rewrite. Ids are numbered anew, 0, 1, 2, ... through all runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "drivers/tape_graph.hpp"
#include "kernels/tape.hpp"

namespace mmlfast::drivers {

constexpr std::size_t at(std::int64_t i) noexcept { return static_cast<std::size_t>(i); }

struct TapeListing {
  struct Run {
    TapeCode code;
    bool fixed = false;               // depends on no point
    TapeId first = 0;                 // of its values
    std::int32_t count = 0, aux = 0;  // aux: as in kernels/tape_ops.hpp; of constants: where their values begin
    std::size_t operand[3] = {};      // where the ids of each begin
    std::int32_t size[3] = {};        // and how many there are; 0: no such operand

    bool is(TapeOp op) const noexcept { return code == tape_code(op); }
    bool is(TapeFused op) const noexcept { return code == tape_code(op); }
    bool is_leaf() const noexcept { return is(TapeOp::input) || is(TapeOp::constant); }
    bool reduces() const noexcept { return is(TapeOp::sum) || is(TapeOp::dot) || is(TapeOp::norm); }
    // Whose elements do not stand for themselves.
    bool is_whole() const noexcept {
      return is(TapeOp::solve) || is(TapeOp::determinant) || is(TapeOp::callback) || is(TapeFused::sincos);
    }
    // Element i is made of element i of each operand.
    bool is_elementwise() const noexcept { return !is_leaf() && !reduces() && !is_whole(); }
  };

  std::vector<Run> runs;
  TapeIds ids;  // of all operands
  TapeIds outputs;
  std::vector<double> constants;
  std::int32_t n_values = 0;

  TapeView operand(const Run& run, int k) const noexcept { return {ids.data() + run.operand[k], at(run.size[k])}; }
  void set_operand(Run& run, int k, TapeView values) {
    run.operand[k] = ids.size();
    run.size[k] = static_cast<std::int32_t>(values.size());
    ids.insert(ids.end(), values.begin(), values.end());
  }
  // Room for what another one has: growing step by step takes longer than most passes.
  void reserve_like(const TapeListing& other) {
    runs.reserve(other.runs.size());
    ids.reserve(other.ids.size());
    outputs.reserve(other.outputs.size());
  }
  // The next run, whose values are numbered.
  void append(Run run) {
    run.first = n_values;
    n_values += run.count;
    runs.push_back(run);
  }
  // The number of its run, for each value.
  std::vector<std::int32_t> run_of_values() const;
};

// Of all that is needed for the outputs, -1 standing for zero. identity is no run of it.
TapeListing tape_listing(const TapeGraph& graph, TapeView outputs);

// Without runs and elements that no output needs.
TapeListing tape_pruned(TapeListing listing);

// Marks what depends on no point.
void tape_find_fixed(TapeListing& listing);

// What takes fewer instructions: sums of products by fused multiplications, sums of sums of products as inner products,
// differences instead of sums of negatives. Prune it afterwards.
void tape_fuse(TapeListing& listing);

// Runs of one element that do the same and do not wait for each other become one run.
TapeListing tape_merged(const TapeListing& listing);

// Constants that an operand takes in another order than they stand in, as products with a transposed matrix do, get a
// copy in that order, which vectors can load. The last of all passes: the copies come after what uses them.
TapeListing tape_with_constants_in_order(TapeListing listing);

// Sines and cosines of the same numbers become one run.
TapeListing tape_paired(const TapeListing& listing);

}  // namespace mmlfast::drivers
