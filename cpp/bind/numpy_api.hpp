// The one way into NumPy's C API. bind/numpy_api.cpp owns the import; every other file only refers
// to it.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL mmlfast_array_api
#define PY_UFUNC_UNIQUE_SYMBOL mmlfast_ufunc_api
#ifndef MMLFAST_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#define NO_IMPORT_UFUNC
#endif
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>

namespace mmlfast::bind {

namespace py = pybind11;

// Must run before anything else of this module uses NumPy.
void import_numpy_api();

}  // namespace mmlfast::bind
