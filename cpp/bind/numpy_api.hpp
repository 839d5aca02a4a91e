// The one way into the C API of Python and NumPy. bind/numpy_api.cpp owns the import; every other file only refers to
// it. Files that bind objects include bind/pybind.hpp, which has this and pybind11.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

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

// Thrown where a Python exception is set, while the module is being filled.
struct PythonError {};

// `object`, a new reference, or PythonError if it is nullptr.
inline PyObject* checked(PyObject* object) {
  if (object == nullptr) throw PythonError{};
  return object;
}

inline PyArrayObject* as_array(PyObject* object) noexcept { return reinterpret_cast<PyArrayObject*>(object); }

// module.name, a new reference, or nullptr with a Python exception set.
PyObject* attribute_of_module(const char* module, const char* name) noexcept;

// module.name := object, whose reference is taken over.
void add_to_module(PyObject* module, const char* name, PyObject* object);

// Makes a type, which is module.name from then on, and lives as long as the process.
PyTypeObject* add_type(PyObject* module, PyType_Spec& spec, const char* name);

// Must run before anything else of this module uses NumPy.
void import_numpy_api();

}  // namespace mmlfast::bind
