// The links of a graph as the kernel `links` leaves them and the kernel `pagerank` reads them: by the node at which
// they arrive, with the nodes renumbered.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mmlfast {

using Node = std::uint32_t;

// Those of row r are starts[r] .. starts[r + 1] - 1. `weight` is nullptr where all are equal.
struct ArrivingLinks {
  const std::int64_t* starts;
  const Node* column;
  const double* weight;
  std::int64_t n_core;
};

// The same by strongly connected components. Links of row r: [starts[r], outer_end[r]) from other components,
// [outer_end[r], starts[r + 1]) from its own; where repeats[r] is not 0, the latter are those of row r - 1. `weight` is
// nullptr where all are equal.
struct ComponentRows {
  const std::int64_t* starts;
  const std::int64_t* outer_end;
  const std::uint8_t* repeats;
  const Node* column;
  const double* weight;
  const float* inverse_strength;
  const float* strength;
  const float* own;  // what part of what the node gives goes to itself
};

}  // namespace mmlfast
