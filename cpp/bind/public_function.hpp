// A public function of Python with a short way around it.
//
// Between a call such as inv(a) and the loop lies a Python function that looks at its arguments, and that costs as much
// as inverting a 3 x 3 matrix does. A PublicFunction is called in its place: plain positional arrays of one small item
// go straight to the loop (bind/short_call.hpp), every other call, and one whose loop fails or would warn, to the
// Python function as it is. Both ways give the same.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// The type of these callables, whose instances have the attributes of the function they stand for.
py::object public_function_type();

// public_function(function, loops, wide, result): `loops` are BatchedFunctions that the arguments are offered to in
// turn, `wide` (or None) the ones to take instead where the first argument has more columns than rows, `result` (or
// None) the type derived from tuple that several results come as.
py::object make_public_function(py::object function, const py::tuple& loops, const py::object& wide,
                                const py::object& result);

}  // namespace mmlfast::bind
