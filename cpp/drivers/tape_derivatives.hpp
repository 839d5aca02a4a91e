// Derivatives of a graph, as more runs of it: they are folded, shared and differentiated again like everything else.
//
// Ids of -1 are structural zeros: nothing is computed for them.
#pragma once

#include "drivers/tape_graph.hpp"

namespace mmlfast::drivers {

// What a pass gives: ids, or what it cannot do.
struct TapeAnswer {
  TapeIds ids;
  const char* fault = nullptr;
};

// Reverse: for each of wrt, the sum over outputs of seeds[i] * d outputs[i] / d wrt. Linear in the graph.
// wrt are taken as independent of each other, whatever they are computed from.
TapeAnswer tape_reverse(TapeGraph& graph, TapeView outputs, TapeView seeds, TapeView wrt);

// Forward: for each of outputs, the sum over wrt of d output / d wrt[i] * tangents[i].
TapeAnswer tape_forward(TapeGraph& graph, TapeView wrt, TapeView tangents, TapeView outputs);

inline constexpr const char* tape_no_jacobian =
    "a function without derivatives (of this order) lies between what is differentiated and what by";

}  // namespace mmlfast::drivers
