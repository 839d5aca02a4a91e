// What Python gets for each batched function: a callable around the generalized ufunc.
//
// A call with plain positional arrays that are one item each (no batch axes, the exact dtype of a loop, small) goes
// straight to the loop body (bind/short_call.hpp). Every other call goes to the ufunc (bind/ufunc_call.hpp). Both ways
// run the same loop body on the same memory, so they give the same bits. The ufunc itself is the attribute `ufunc`.
#pragma once

#include <string>
#include <vector>

#include "bind/short_call.hpp"

namespace mmlfast::bind {

// Splits "(n,n),(n,m)->(n,m)" into the core dimensions of each operand.
std::vector<std::vector<int>> parse_signature(const std::string& signature, int& n_core_dimensions);

// The type of these callables.
py::object batched_function_type();

// nullptr if the object is not one of them.
const BatchedFunctionData* data_of_batched_function(PyObject* object);

// Takes ownership of `data`, for ever.
py::object make_batched_function(BatchedFunctionData* data);

}  // namespace mmlfast::bind
