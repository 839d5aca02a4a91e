// What a graph computes, in double-double: for the few evaluations at the end of a fit whose float64 residuals are
// mostly roundings. One number after the other, about 20 ns for arithmetic and 1 us for a function.
#pragma once

#include <vector>

#include "drivers/common/double_double.hpp"
#include "drivers/tape_graph.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

class TapeDoubleDouble {
 public:
  // Keeps what it needs of the graph, but for its lists of indices, which stay as long as the graph does.
  // std::bad_alloc passes through.
  TapeDoubleDouble(const TapeGraph& graph, TapeView outputs);

  // Are all operations there? gammaln, polygamma, erfc, matrices and Python functions are not.
  bool is_possible() const noexcept { return possible_; }
  Size n_operations() const noexcept { return n_operations_; }
  Size n_outputs() const noexcept { return static_cast<Size>(outputs_.size()); }
  const std::vector<std::int32_t>& input_groups() const noexcept { return input_groups_; }

  // groups[g]: the numbers of input group g. NaN where an operation has no result, or none that is better than that of
  // float64. False: no memory.
  bool evaluate(const double* const* groups, Double2* results) const noexcept;

 private:
  TapeIds outputs_;
  std::vector<TapeRun> runs_;      // those that are needed
  std::vector<double> constants_;  // of runs of constants, whose aux says where they begin
  std::vector<std::int32_t> input_groups_;
  std::int32_t n_values_ = 0;
  bool possible_ = true;
  Size n_operations_ = 0;
};

}  // namespace mmlfast::drivers
