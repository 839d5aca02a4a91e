// A graph as bytes, and parts of one graph in another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "drivers/tape_graph.hpp"

namespace mmlfast::drivers {

// What the outputs need of it, in a form of its own.
std::vector<std::uint8_t> tape_save(const TapeGraph& graph, TapeView outputs);

// The graph again, into an empty one, and its outputs. The bytes may be anything: what no graph would have written is
// said, nullptr being nothing, and the graph is not to be used then.
const char* tape_load(std::span<const std::uint8_t> bytes, TapeGraph& graph, TapeIds& outputs);

// The values `outputs` of `other`, computed in `graph`, where inputs[k] are the values of its group k of inputs.
// Identities vanish. Function number i of callbacks is number first_callback + i here.
TapeIds tape_inline(TapeGraph& graph, const TapeGraph& other, std::span<const TapeView> inputs, TapeView outputs,
                    std::int32_t first_callback);

}  // namespace mmlfast::drivers
