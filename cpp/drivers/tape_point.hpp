// The numbers of a graph at one point while the graph still grows: what a function asks for while it is recorded.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "drivers/tape_graph.hpp"
#include "drivers/tape_program.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::drivers {

// Computes what is asked for and all that it needs, each run once: a thousand questions cost what one at the end does.
// The bits are those of a program of the graph as it is written. std::bad_alloc passes through.
class TapePoint : NonCopyable {
 public:
  // inputs: the numbers of all groups, one after the other. The graph must outlive this.
  TapePoint(const TapeGraph& graph, std::vector<double> inputs) : graph_(graph), inputs_(std::move(inputs)) {}

  // result: a number for each id. False: a callback failed, and its exception is set.
  bool find(TapeView ids, const TapeCallback& callback, double* result);

  // May any of them change with the first group of inputs, so that it has a derivative by it?
  bool depends_on_x(TapeView ids);

 private:
  std::vector<std::int32_t> missing(TapeView ids);
  bool compute(const TapeRun& run, const TapeCallback& callback);
  void take_input(const TapeRun& run);

  const TapeGraph& graph_;
  std::vector<double> inputs_, values_;  // values_: by id
  std::vector<std::uint8_t> known_;      // by run: 1 if its values are there
  std::vector<std::uint8_t> depends_;    // by id, of the runs seen so far
  std::size_t n_runs_seen_ = 0;
};

}  // namespace mmlfast::drivers
