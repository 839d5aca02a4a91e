// The numbers of a graph at one point as Python asks for them.
#pragma once

#include <Python.h>

namespace mmlfast::bind {

// Adds the class TapePoint.
void add_tape_point_type(PyObject* module);

}  // namespace mmlfast::bind
