#include "bind/watch.hpp"

#include <cstddef>
#include <cstring>
#include <iterator>

namespace mmlfast::bind {
namespace {

PyTypeObject* type = nullptr;

constexpr const char* kind_names[] = {"item", "attribute", "function", "cell", "sequence", "mapping", "bytes", "call"};

bool same_item(PyObject* dictionary, PyObject* key, PyObject* value) noexcept {
  PyObject* found = PyDict_GetItemWithError(dictionary, key);
  if (found == nullptr && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return false;
  }
  return found == value;
}

bool same_attribute(PyObject* owner, PyObject* name, PyObject* value) noexcept {
  PyObject* found = PyObject_GetAttr(owner, name);
  if (found == nullptr) PyErr_Clear();
  Py_XDECREF(found);  // value is held by the check: equal pointers are the same object
  return found == value;
}

// Without the descriptors of its type, which take ten times as long.
bool same_function(PyObject* function, PyObject* parts) noexcept {
  PyObject* const found[] = {PyFunction_GetCode(function), PyFunction_GetDefaults(function),
                             PyFunction_GetKwDefaults(function)};
  for (Py_ssize_t k = 0; k < 3; ++k)
    if ((found[k] == nullptr ? Py_None : found[k]) != PyTuple_GET_ITEM(parts, k)) return false;
  return true;
}

bool same_cell(PyObject* cell, PyObject* value) noexcept {
  PyObject* found = PyCell_Get(cell);
  Py_XDECREF(found);
  return found == value;
}

bool same_elements(PyObject* list, PyObject* elements) noexcept {
  const Py_ssize_t n = PyTuple_GET_SIZE(elements);
  if (PyList_GET_SIZE(list) != n) return false;
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject* found = PyList_GetItem(list, k);
    if (found == nullptr) PyErr_Clear();
    if (found != PyTuple_GET_ITEM(elements, k)) return false;
  }
  return true;
}

// `kept` is contiguous.
bool same_bytes(PyArrayObject* array, PyArrayObject* kept) noexcept {
  const int n_axes = PyArray_NDIM(array);
  if (PyArray_DESCR(array) != PyArray_DESCR(kept) || n_axes != PyArray_NDIM(kept)) return false;
  for (int k = 0; k < n_axes; ++k)
    if (PyArray_DIM(array, k) != PyArray_DIM(kept, k)) return false;
  const std::size_t n_bytes = static_cast<std::size_t>(PyArray_NBYTES(kept));
  if (PyArray_IS_C_CONTIGUOUS(array)) return std::memcmp(PyArray_DATA(array), PyArray_DATA(kept), n_bytes) == 0;
  PyObject* copy = PyArray_NewCopy(array, NPY_CORDER);
  if (copy == nullptr) PyErr_Clear();
  const bool same = copy != nullptr && std::memcmp(PyArray_DATA(as_array(copy)), PyArray_DATA(kept), n_bytes) == 0;
  Py_XDECREF(copy);
  return same;
}

// By identity, and in the same order.
bool same_items(PyObject* dictionary, PyObject* keys, PyObject* values) noexcept {
  const Py_ssize_t n = PyTuple_GET_SIZE(keys);
  Py_ssize_t found = 0, at = 0;
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(dictionary);
#endif
  PyObject *key = nullptr, *value = nullptr;
  if (PyDict_GET_SIZE(dictionary) == n)
    while (PyDict_Next(dictionary, &at, &key, &value) != 0 && found < n && key == PyTuple_GET_ITEM(keys, found) &&
           value == PyTuple_GET_ITEM(values, found))
      ++found;
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  return found == n && PyDict_GET_SIZE(dictionary) == n;
}

bool answers_true(PyObject* function, PyObject* arguments) noexcept {
  PyObject* answer = PyObject_CallObject(function, arguments);
  const int truth = answer == nullptr ? -1 : PyObject_IsTrue(answer);
  if (truth < 0) PyErr_Clear();
  Py_XDECREF(answer);
  return truth > 0;
}

// What the check looks at is of the type that it needs. Else a Python exception is set.
bool fits(const Check& check) {
  const char* wrong = nullptr;
  switch (check.kind) {
    case Check::Kind::item:
      if (!PyDict_Check(check.owner)) wrong = "an item is watched in a dictionary";
      break;
    case Check::Kind::attribute:
      if (!PyUnicode_Check(check.key) || check.value == nullptr) wrong = "an attribute has a name and a value";
      break;
    case Check::Kind::function:
      if (!PyFunction_Check(check.owner) || check.value == nullptr || !PyTuple_Check(check.value) ||
          PyTuple_GET_SIZE(check.value) != 3)
        wrong = "a function has code, defaults and defaults by keyword";
      break;
    case Check::Kind::cell:
      if (!PyCell_Check(check.owner)) wrong = "a cell is that of a closure";
      break;
    case Check::Kind::sequence:
      if (!PyList_Check(check.owner) || check.value == nullptr || !PyTuple_Check(check.value))
        wrong = "a sequence is a list, and its elements a tuple";
      break;
    case Check::Kind::mapping:
      if (!PyDict_Check(check.owner) || !PyTuple_Check(check.key) || check.value == nullptr ||
          !PyTuple_Check(check.value) || PyTuple_GET_SIZE(check.key) != PyTuple_GET_SIZE(check.value))
        wrong = "a mapping is a dictionary, and its keys and values are tuples";
      break;
    case Check::Kind::bytes:
      if (!PyArray_Check(check.owner) || check.value == nullptr || !PyArray_Check(check.value) ||
          !PyArray_IS_C_CONTIGUOUS(as_array(check.value)) || PyDataType_REFCHK(PyArray_DESCR(as_array(check.value))))
        wrong = "bytes are those of an array without objects, and of a contiguous copy of it";
      break;
    case Check::Kind::call:
      if (!PyCallable_Check(check.owner) || !PyTuple_Check(check.key)) wrong = "a call has a tuple of arguments";
      break;
  }
  if (wrong != nullptr) PyErr_SetString(PyExc_TypeError, wrong);
  return wrong == nullptr;
}

// Adds the check that a tuple (kind, owner, key, value) says; a value that is missing: (kind, owner, key). False with a
// Python exception set if it says none.
bool add_check(std::vector<Check>& checks, PyObject* said) {
  const char* kind_name = nullptr;
  PyObject *owner = nullptr, *key = nullptr, *value = nullptr;
  if (!PyTuple_Check(said) || !PyArg_ParseTuple(said, "sOO|O", &kind_name, &owner, &key, &value)) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_TypeError, "a check is a tuple");
    return false;
  }
  for (std::size_t k = 0; k < std::size(kind_names); ++k) {
    if (std::strcmp(kind_name, kind_names[k]) != 0) continue;
    const Check check{static_cast<Check::Kind>(k), owner, key, value};
    if (!fits(check)) return false;
    Py_INCREF(owner);
    Py_INCREF(key);
    Py_XINCREF(value);
    checks.push_back(check);
    return true;
  }
  PyErr_Format(PyExc_ValueError, "there is no check %R", PyTuple_GET_ITEM(said, 0));
  return false;
}

Watch& self_of(PyObject* object) { return *reinterpret_cast<Watch*>(object); }

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  if (self_of(object).checks == nullptr) return 0;
  for (const Check& check : *self_of(object).checks) {
    Py_VISIT(check.owner);
    Py_VISIT(check.key);
    Py_VISIT(check.value);
  }
  return 0;
}

int clear(PyObject* object) {
  std::vector<Check> checks;
  if (self_of(object).checks != nullptr) checks.swap(*self_of(object).checks);
  for (Check& check : checks) {
    Py_CLEAR(check.owner);
    Py_CLEAR(check.key);
    Py_CLEAR(check.value);
  }
  return 0;
}

void deallocate(PyObject* object) {
  PyTypeObject* own_type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  delete self_of(object).checks;
  PyObject_GC_Del(object);
  Py_DECREF(own_type);
}

PyObject* make(PyTypeObject* wanted, PyObject* args, PyObject* keywords) {
  PyObject* list = nullptr;
  if (keywords != nullptr || !PyArg_ParseTuple(args, "O!", &PyList_Type, &list)) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_TypeError, "Watch(checks)");
    return nullptr;
  }
  Watch* self = PyObject_GC_New(Watch, wanted);
  if (self == nullptr) return nullptr;
  self->checks = new std::vector<Check>();
  PyObject_GC_Track(reinterpret_cast<PyObject*>(self));
  for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); ++k)
    if (!add_check(*self->checks, PyList_GET_ITEM(list, k))) {
      Py_DECREF(self);
      return nullptr;
    }
  return reinterpret_cast<PyObject*>(self);
}

PyObject* holds(PyObject* object, PyObject*) { return PyBool_FromLong(self_of(object).holds()); }

Py_ssize_t n_checks(PyObject* object) { return static_cast<Py_ssize_t>(self_of(object).checks->size()); }

}  // namespace

bool Check::holds() const noexcept {
  switch (kind) {
    case Kind::item:
      return same_item(owner, key, value);
    case Kind::attribute:
      return same_attribute(owner, key, value);
    case Kind::function:
      return same_function(owner, value);
    case Kind::cell:
      return same_cell(owner, value);
    case Kind::sequence:
      return same_elements(owner, value);
    case Kind::mapping:
      return same_items(owner, key, value);
    case Kind::bytes:
      return same_bytes(as_array(owner), as_array(value));
    case Kind::call:
      return answers_true(owner, key);
  }
  return false;
}

const Watch* as_watch(PyObject* object) noexcept {
  return Py_TYPE(object) == type ? reinterpret_cast<const Watch*>(object) : nullptr;
}

void add_watch(PyObject* module) {
  static PyMethodDef methods[] = {{"holds", holds, METH_NOARGS, "Whether everything watched is still what it was."},
                                  {}};
  static PyType_Slot slots[] = {
      {Py_tp_new, reinterpret_cast<void*>(make)},
      {Py_tp_methods, methods},
      {Py_sq_length, reinterpret_cast<void*>(n_checks)},
      {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
      {Py_tp_doc, const_cast<char*>("What a kept answer rests on: Watch([(kind, owner, key, value)])")},
      {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.Watch", sizeof(Watch), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  type = add_type(module, spec, "Watch");
}

}  // namespace mmlfast::bind
