// What all ways to rank a graph share: its links in the kernels' form, and the loop over its fixed blocks of rows.
#pragma once

#include "drivers/links.hpp"
#include "kernels/pagerank.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

inline ArrivingLinks arriving(const Links& links) {
  return {links.starts(), links.columns(), links.weights(), links.n_core()};
}

// body(block, first row, last row) for blocks first .. last - 1; `between` in the leader, after each of its blocks.
template <class Body, class Between>
void over_row_blocks(Team& team, const Links& links, Size first, Size last, Body&& body, Between&& between) {
  team.run(
      last - first, [&](Size k) { body(first + k, links.first_row(first + k), links.first_row(first + k + 1)); },
      between);
}

}  // namespace mmlfast::drivers
