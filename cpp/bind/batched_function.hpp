// What Python gets for each batched function: a callable around the generalized ufunc.
//
// A call with plain positional arrays that are one item each (no batch axes, the exact dtype of a loop, small) goes
// straight to the loop body: NumPy's machinery for broadcasting, casting and iterating costs more than solving a 3 x 3
// system does. Every other call is handed to the ufunc as it is. Both ways run the same loop body on the same memory,
// so they give the same bits. The ufunc itself is the attribute `ufunc`.
#pragma once

#include <string>
#include <vector>

#include "bind/gufunc.hpp"

namespace mmlfast::bind {

// One loop of a gufunc: its body and the types of its operands.
struct TypedLoop {
  Outcome (*body)(GufuncFrame&);
  std::vector<int> types;
};

// The part of a gufunc that the short way needs to know. Lives as long as the process.
struct BatchedFunctionData {
  py::object ufunc;
  std::string name;
  const char* failed_items_message;  // nullptr: failed items are not an error
  int n_in, n_out;
  std::vector<std::vector<int>> core_dimensions;  // per operand, numbered in order of appearance
  int n_core_dimensions;
  std::vector<TypedLoop> loops;
};

// Splits "(n,n),(n,m)->(n,m)" into the core dimensions of each operand.
std::vector<std::vector<int>> parse_signature(const std::string& signature, int& n_core_dimensions);

// The type of these callables.
py::object batched_function_type();

// Takes ownership of `data`, for ever.
py::object make_batched_function(BatchedFunctionData* data);

}  // namespace mmlfast::bind
