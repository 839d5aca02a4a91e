// Rows by their labels, for every `groups=`.
#pragma once

#include <Python.h>

namespace mmlfast::bind {

void add_row_groups(PyObject* module);

}  // namespace mmlfast::bind
