// A public function of Python with a fast path around it.
//
// Between a call such as inv(a) and the loop lies a Python function that looks at its arguments, and that costs as much
// as inverting a 3 x 3 matrix does. A PublicFunction is called in its place: plain positional arrays of one small item
// go straight to the loop (bind/fast_path.hpp), every other call, and one whose loop fails or would warn, to the Python
// function as it is. Both ways give the same.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// Adds the type of these callables, whose instances have the attributes of the function they stand for, and the
// function that makes them, public_function(function, loops, wide, result): `loops` are BatchedFunctions, of which the
// first one whose operands have as many axes as the arguments is taken, `wide` (or None) the ones to take instead where
// the first argument has more columns than rows, `result` (or None) the type derived from tuple that several results
// come as.
void add_public_function(PyObject* module);

}  // namespace mmlfast::bind
