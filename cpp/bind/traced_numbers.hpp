// Traced numbers: what a function gets in place of an array while it is recorded.
//
// TracedNumbers is the base of the Python class. It holds the recording (`owner`, which has the graph as `graph`), an
// int32 array of ids of the graph, and whether they are booleans. What a function does most often never gets to Python:
// + - * / ** and negation of traced numbers with each other and with floats and integers, of one shape or one of them
// without axes; the ufuncs that are one operation of the tape; and parts by slices and integers. All else goes to the
// methods of the Python class that have the same names with one underscore (`_add`, `_radd` ..., `_getitem`,
// `_array_ufunc`). Both ways give the same.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// Adds the class, and the function `name_traced_ufuncs`, which says what operation a ufunc is.
void add_traced_numbers(PyObject* module);

}  // namespace mmlfast::bind
