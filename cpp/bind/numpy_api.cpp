#define MMLFAST_IMPORTS_NUMPY
#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

PyObject* attribute_of_module(const char* module, const char* name) noexcept {
  PyObject* imported = PyImport_ImportModule(module);
  if (imported == nullptr) return nullptr;
  PyObject* attribute = PyObject_GetAttrString(imported, name);
  Py_DECREF(imported);
  return attribute;
}

void add_to_module(PyObject* module, const char* name, PyObject* object) {
  const int status = PyModule_AddObjectRef(module, name, object);
  Py_DECREF(object);
  if (status < 0) throw PythonError{};
}

PyTypeObject* add_type(PyObject* module, PyType_Spec& spec, const char* name) {
  PyObject* type = checked(PyType_FromSpec(&spec));
  Py_INCREF(type);
  add_to_module(module, name, type);
  return reinterpret_cast<PyTypeObject*>(type);
}

void import_numpy_api() {
  if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0) throw PythonError{};
}

}  // namespace mmlfast::bind
