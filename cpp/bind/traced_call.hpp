// The fast way into a derivative: grad(f)(x) without Python's looking at x, at f and at what f sees.
//
// TracedCall is the base of the Python classes of such functions. A call whose arguments are plain float64 arrays and
// floats of the shapes of a program that is kept goes straight there, if its Watch still holds; every other call goes
// to the method `_call`, which traces, checks and converts, and may keep what it has made by `_keep`. Both ways give
// the same.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// Adds the class, with `_keep(watch, program, argnum, shapes of the arguments, shapes of the results, whether the
// results are a tuple)`.
void add_traced_call(PyObject* module);

}  // namespace mmlfast::bind
