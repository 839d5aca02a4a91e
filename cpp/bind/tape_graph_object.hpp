// A graph as Python holds it.
#pragma once

#include "bind/numpy_api.hpp"
#include "drivers/tape_graph.hpp"

namespace mmlfast::bind {

// The graph behind an object, or nullptr if it is none.
drivers::TapeGraph* tape_graph_of(PyObject* object) noexcept;

}  // namespace mmlfast::bind
