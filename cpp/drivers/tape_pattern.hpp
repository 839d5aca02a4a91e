// Which outputs change with which inputs, and which columns of a sparse Jacobian or Hessian can be computed together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "drivers/tape_graph.hpp"

namespace mmlfast::drivers {

// Row i: the places in wrt, ascending, that outputs[i] depends on; of the function, whatever the numbers are.
struct TapePattern {
  std::vector<std::int64_t> starts;
  std::vector<std::int32_t> columns;
};
TapePattern tape_pattern(const TapeGraph& graph, TapeView outputs, TapeView wrt);

// A sparse pattern by rows, from outside: nullptr if starts ascend from 0 to the number of columns' entries, all of
// which are below n_columns; else what is wrong.
const char* tape_pattern_fault(std::span<const std::int64_t> starts, std::span<const std::int32_t> columns,
                               std::int32_t n_columns) noexcept;

// A colour for each column, 0, 1, ...: columns with an entry in the same row have different ones.
std::vector<std::int32_t> tape_colour_columns(std::span<const std::int64_t> starts,
                                              std::span<const std::int32_t> columns, std::int32_t n_columns);

// Of a symmetric pattern: neighbours have different colours, and each path of four vertices has three. Then every entry
// stands alone in its row, or in its column, of the sums of columns of one colour.
// Source: Gebremedhin, Tarafdar, Manne, Pothen, SIAM J. Sci. Comput. 29 (2007), algorithm 4.1.
std::vector<std::int32_t> tape_colour_star(std::span<const std::int64_t> starts, std::span<const std::int32_t> columns);

}  // namespace mmlfast::drivers
