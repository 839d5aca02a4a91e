#include "bind/public_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <cstddef>
#include <utility>
#include <vector>

#include "bind/batched_function.hpp"
#include "bind/errors.hpp"
#include "bind/fast_path.hpp"

namespace mmlfast::bind {
namespace {

using Loops = std::vector<const BatchedFunctionData*>;

struct PublicFunction {
  PyObject_HEAD vectorcallfunc call;
  PyObject *function, *attributes, *weak_references;
  PyTypeObject* result;  // or nullptr
  Loops* loops;          // for all arguments, or for those that are not wide
  Loops* wide;
};

PyTypeObject* type = nullptr;

PublicFunction& self_of(PyObject* object) { return *reinterpret_cast<PublicFunction*>(object); }

bool is_wide(PyObject* object) {
  if (!PyArray_CheckExact(object)) return false;
  PyArrayObject* array = as_array(object);
  return PyArray_NDIM(array) == 2 && PyArray_DIM(array, 0) < PyArray_DIM(array, 1);
}

// The batched function whose arguments these are, without batch axes; nullptr if there is none.
const BatchedFunctionData* function_for(const PublicFunction& self, PyObject* const* args, Py_ssize_t n_args) {
  if (n_args == 0) return nullptr;
  for (const BatchedFunctionData* f : self.wide != self.loops && is_wide(args[0]) ? *self.wide : *self.loops)
    if (is_one_item(*f, args, n_args)) return f;
  return nullptr;
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const PublicFunction& self = self_of(object);
  const Py_ssize_t n_args = PyVectorcall_NARGS(n_args_and_flag);
  const BatchedFunctionData* f = keywords == nullptr ? function_for(self, args, n_args) : nullptr;
  if (f != nullptr) {
    const FastCall done = fast_call(*f, args, self.result, Integers::python);
    if (done.taken) {
      if (done.outcome.ok() && done.outcome.rcond() == 1) return done.value;
      Py_XDECREF(done.value);
      if (!done.outcome.ok() && done.outcome.status != Outcome::Status::failed_items) {
        set_python_error(done.outcome, nullptr);
        return nullptr;
      }
      // The Python function words the error, or warns.
    }
  }
  return PyObject_Vectorcall(self.function, args, n_args_and_flag, keywords);
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  const PublicFunction& self = self_of(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self.function);
  Py_VISIT(self.attributes);
  Py_VISIT(reinterpret_cast<PyObject*>(self.result));
  return 0;
}

int clear(PyObject* object) {
  PublicFunction& self = self_of(object);
  Py_CLEAR(self.attributes);
  return 0;
}

void deallocate(PyObject* object) {
  PublicFunction& self = self_of(object);
  PyTypeObject* own_type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self.weak_references != nullptr) PyObject_ClearWeakRefs(object);
  clear(object);
  Py_CLEAR(self.function);
  Py_CLEAR(self.result);
  if (self.wide != self.loops) delete self.wide;
  delete self.loops;
  PyObject_GC_Del(object);
  Py_DECREF(own_type);
}

// As for functions: an attribute of a class becomes a method of its instances.
PyObject* bind_to(PyObject* object, PyObject* instance, PyObject*) {
  if (instance != nullptr && instance != Py_None) return PyMethod_New(object, instance);
  Py_INCREF(object);
  return object;
}

PyObject* represent(PyObject* object) { return PyObject_Repr(self_of(object).function); }

// Copies are the function itself, and pickles its name.
PyObject* reduce(PyObject* object, PyObject*) {
  return PyObject_GetAttrString(self_of(object).function, "__qualname__");
}

// A TypeError, with which public_function() ends.
void* refuse(const char* message) {
  PyErr_SetString(PyExc_TypeError, message);
  return nullptr;
}

// The loops of a tuple of batched functions, or nullptr with a Python exception set.
Loops* loops_of(PyObject* functions) {
  Loops loops;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(functions); ++k) {
    loops.push_back(data_of_batched_function(PyTuple_GET_ITEM(functions, k)));
    if (loops.back() == nullptr)
      return static_cast<Loops*>(refuse("the loops of a public function are batched functions"));
  }
  return new Loops(std::move(loops));
}

// Whether the fast path may make instances of this type without asking it. Else a Python exception is set.
bool is_result_type(PyObject* result, const Loops& loops) {
  PyTypeObject* as_type = reinterpret_cast<PyTypeObject*>(result);
  if (!PyType_Check(result) || !PyType_IsSubtype(as_type, &PyTuple_Type) ||
      as_type->tp_basicsize != PyTuple_Type.tp_basicsize || as_type->tp_itemsize != PyTuple_Type.tp_itemsize ||
      as_type->tp_dictoffset != 0)  // from Python 3.14 on a dictionary takes no room in the size
    return refuse("the result of a public function is a named tuple") != nullptr;
  PyObject* fields = PyObject_GetAttrString(result, "_fields");
  const Py_ssize_t n_fields = fields == nullptr ? -1 : PyObject_Size(fields);
  Py_XDECREF(fields);
  if (n_fields < 0) return false;
  for (const BatchedFunctionData* f : loops)
    if (f->n_out != n_fields) return refuse("a public function has as many results as its named tuple") != nullptr;
  return true;
}

PyObject* new_reference_unless_none(PyObject* object) {
  if (object == Py_None) return nullptr;
  Py_INCREF(object);
  return object;
}

PyObject* make(PyObject*, PyObject* const* args, Py_ssize_t n_args) {
  if (n_args != 4 || !PyTuple_Check(args[1]) || (args[2] != Py_None && !PyTuple_Check(args[2])))
    return static_cast<PyObject*>(refuse("public_function(function, loops, wide, result)"));
  Loops* loops = loops_of(args[1]);
  Loops* wide = args[2] == Py_None || loops == nullptr ? loops : loops_of(args[2]);
  const bool good =
      wide != nullptr && (args[3] == Py_None || (is_result_type(args[3], *loops) && is_result_type(args[3], *wide)));
  PublicFunction* self = good ? PyObject_GC_New(PublicFunction, type) : nullptr;
  if (self == nullptr) {
    if (wide != loops) delete wide;
    delete loops;
    return nullptr;
  }
  self->call = call;
  self->function = new_reference_unless_none(args[0]);
  self->attributes = self->weak_references = nullptr;
  self->result = reinterpret_cast<PyTypeObject*>(new_reference_unless_none(args[3]));
  self->loops = loops;
  self->wide = wide;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(self));
  return reinterpret_cast<PyObject*>(self);
}

}  // namespace

void add_public_function(PyObject* module) {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(PublicFunction, call), READONLY, nullptr},
      {"__dictoffset__", T_PYSSIZET, offsetof(PublicFunction, attributes), READONLY, nullptr},
      {"__weaklistoffset__", T_PYSSIZET, offsetof(PublicFunction, weak_references), READONLY, nullptr},
      {}};
  static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};
  static PyGetSetDef properties[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                                     {}};
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_descr_get, reinterpret_cast<void*>(bind_to)},
                                {Py_tp_repr, reinterpret_cast<void*>(represent)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {Py_tp_getset, properties},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                                {Py_tp_doc, const_cast<char*>("A function of mmlfast.")},
                                {0, nullptr}};
  static PyType_Spec spec = {
      "mmlfast._core.PublicFunction", sizeof(PublicFunction), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  type = add_type(module, spec, "PublicFunction");
  static PyMethodDef functions[] = {
      {"public_function", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(make)), METH_FASTCALL, nullptr}, {}};
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

}  // namespace mmlfast::bind
