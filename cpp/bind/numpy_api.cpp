#define MMLFAST_IMPORTS_NUMPY
#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

void import_numpy_api() {
  if (PyArray_ImportNumPyAPI() < 0) throw py::error_already_set();
  if (PyUFunc_ImportUFuncAPI() < 0) throw py::error_already_set();
}

}  // namespace mmlfast::bind
