// A function as a list of runs: what tracing writes down, what derivatives are made from, and what a program is made
// of.
//
// Every number that the function computes has an id, 0, 1, 2, ... A run computes `count` of them by one operation; its
// operands have smaller ids. Nothing is ever changed or taken away: derivatives are more runs at the end.
//
// Memory is that of std::vector: std::bad_alloc passes through to the caller, and the graph is then as before or
// longer. What is asked for must make sense (ids below n_values(), as many as the operation takes): bindings check it.
// One thread at a time may add to a graph.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/tape_ops.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::drivers {

using TapeId = std::int32_t;
using TapeIds = std::vector<TapeId>;
using TapeView = std::span<const TapeId>;  // of operands: one id may stand for as many of it as are needed

// Which values an operand takes: start, start + stride, ... or a list. Stride 0: one value for all.
struct TapeOperand {
  const TapeId* list = nullptr;
  TapeId start = 0;
  std::int32_t stride = 0, size = 0;

  TapeId operator[](std::int32_t i) const noexcept { return list != nullptr ? list[i] : start + stride * i; }
};

// The same values?
bool tape_same(const TapeOperand& a, const TapeOperand& b) noexcept;

struct TapeRun {
  TapeOp op;
  TapeId first;
  std::int32_t count, aux;  // aux: as kernels/tape_ops.hpp says; of constants: where their values begin
  TapeOperand operand[3];   // of size count, for reductions count * aux; of whole runs as the operation says

  int n_operands() const noexcept { return tape_operands(op); }
  bool holds(TapeId id) const noexcept { return id >= first && id - first < count; }
};

// Whose element i takes aux terms.
constexpr bool tape_reduces(TapeOp op) noexcept { return op == TapeOp::sum || op == TapeOp::dot || op == TapeOp::norm; }
// Whose elements do not stand for themselves.
constexpr bool tape_is_whole(TapeOp op) noexcept {
  return op == TapeOp::solve || op == TapeOp::determinant || op == TapeOp::callback;
}
// Of integer_power and polygamma: an aux whose neighbours, and theirs, are numbers too.
constexpr bool tape_good_order(TapeOp op, std::int32_t aux) noexcept {
  return aux <= 1 << 30 && aux >= (op == TapeOp::polygamma ? 0 : -(1 << 30));
}
// Whose result is 0 or 1.
bool tape_is_condition(TapeOp op) noexcept;

class TapeGraph : NonCopyable {
 public:
  // as_written: no formula becomes another one with other roundings (tape_simplify.cpp).
  explicit TapeGraph(bool as_written = false) noexcept : as_written_(as_written) {}

  // New inputs: the next group.
  TapeId input(std::int32_t count);
  // An id for each number. Equal ones (by bits) may have one id.
  TapeIds constants(std::span<const double> values);
  TapeId constant(double value);
  // The values of `op`: what is known already is not computed again, what is simpler is simplified (tape_simplify.cpp).
  // count < 0: as many as the operands say. Of whole runs count must be given.
  TapeIds emit(TapeOp op, TapeView a, TapeView b = {}, TapeView c = {}, std::int32_t aux = 0, std::int32_t count = -1);
  // The same values under new numbers: what to differentiate by.
  TapeIds identity(TapeView ids);
  // Function number `index` of all of a. jacobian: count x a.size() ids row by row, or none; it can be given later, by
  // the same call again, and may be made of the results themselves.
  TapeIds callback(std::int32_t index, TapeView a, std::int32_t count, TapeView jacobian);

  std::int32_t n_values() const noexcept { return static_cast<std::int32_t>(run_of_.size()); }
  const std::vector<TapeRun>& runs() const noexcept { return runs_; }
  const std::vector<std::int32_t>& input_groups() const noexcept { return input_groups_; }
  std::int32_t run_number(TapeId id) const noexcept { return run_of_[static_cast<std::size_t>(id)]; }
  const TapeRun& run_of(TapeId id) const noexcept { return runs_[static_cast<std::size_t>(run_number(id))]; }
  // Operand k of the run that computes it, at its place (of elementwise operations).
  TapeId operand_of(TapeId id, int k) const noexcept {
    const TapeRun& run = run_of(id);
    return run.operand[k][id - run.first];
  }
  bool is_constant(TapeId id) const noexcept { return run_of(id).op == TapeOp::constant; }
  bool is_constant(TapeId id, double value) const noexcept { return is_constant(id) && constant_value(id) == value; }
  double constant_value(TapeId id) const noexcept {
    const TapeRun& run = run_of(id);
    return constants_[static_cast<std::size_t>(run.aux + (id - run.first))];
  }
  // The Jacobian that came with a callback, by the number of its run; empty if there was none.
  TapeView jacobian_of(std::int32_t run) const noexcept;
  // Did a request not fit 2^31 - 1 values? Its ids are wrong, the graph itself is good.
  bool is_full() const noexcept { return full_; }
  bool is_as_written() const noexcept { return as_written_; }

  // Which runs are needed for these values: a byte for each run.
  std::vector<std::uint8_t> needed(TapeView outputs, bool with_jacobians = false) const;

  // A run as it is, after no look at what it computes (but equal ones become one).
  TapeIds append(TapeOp op, std::initializer_list<TapeView> operands, std::int32_t aux, std::int32_t count);

 private:
  friend class TapeReader;  // tape_saved.cpp

  TapeOperand packed(TapeView ids, std::int32_t size) const noexcept;
  std::uint64_t hash_of(const TapeRun& run) const noexcept;
  bool equal(const TapeRun& run, const TapeRun& other) const noexcept;
  std::int32_t find(const TapeRun& run, std::uint64_t hash) const noexcept;
  std::int32_t find_constants(std::span<const double> values, std::uint64_t hash) const noexcept;
  bool fits(std::int64_t count) noexcept;
  TapeId push(TapeRun run);
  void remember(std::uint64_t hash);
  void keep(TapeOperand& operand);

  std::vector<TapeRun> runs_;
  std::vector<std::int32_t> run_of_, input_groups_;
  std::vector<double> constants_;
  std::unordered_map<std::uint64_t, TapeId> constant_of_bits_;
  std::unordered_map<std::int32_t, TapeIds> jacobians_;
  // Runs by hash, open addressing: number of the run + 1, and the hash itself.
  struct Entry {
    std::uint64_t hash = 0;
    std::int32_t run = -1;
  };
  std::vector<Entry> table_ = std::vector<Entry>(64);
  std::size_t n_entries_ = 0;
  // Index lists: in blocks, which do not move.
  std::vector<std::unique_ptr<TapeId[]>> blocks_;
  std::size_t block_left_ = 0;
  TapeId* block_at_ = nullptr;
  bool full_ = false;
  const bool as_written_;
};

// first, first + 1, ...
TapeIds tape_range(TapeId first, std::int32_t count);

}  // namespace mmlfast::drivers
