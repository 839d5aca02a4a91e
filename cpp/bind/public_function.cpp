#include "bind/public_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <cstddef>
#include <vector>

#include "bind/batched_function.hpp"

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

PublicFunction& self_of(PyObject* object) { return *reinterpret_cast<PublicFunction*>(object); }

bool is_wide(PyObject* object) {
  if (!PyArray_CheckExact(object)) return false;
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
  return PyArray_NDIM(array) == 2 && PyArray_DIM(array, 0) < PyArray_DIM(array, 1);
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const PublicFunction& self = self_of(object);
  const Py_ssize_t n_args = PyVectorcall_NARGS(n_args_and_flag);
  if (keywords == nullptr && n_args > 0) {
    const Loops& loops = self.wide != self.loops && is_wide(args[0]) ? *self.wide : *self.loops;
    for (const BatchedFunctionData* loop : loops) {
      if (loop->n_in != n_args) continue;
      const ShortCall done = short_call(*loop, args, self.result, Integers::python);
      if (!done.taken) continue;
      if (done.outcome.ok() && done.outcome.rcond == 1) return done.value;
      Py_XDECREF(done.value);
      if (done.outcome.ok() || done.outcome.status == Outcome::Status::failed_items) break;  // there are words for it
      set_python_error(done.outcome, nullptr);
      return nullptr;
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
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self.weak_references != nullptr) PyObject_ClearWeakRefs(object);
  clear(object);
  Py_CLEAR(self.function);
  Py_CLEAR(self.result);
  if (self.wide != self.loops) delete self.wide;
  delete self.loops;
  PyObject_GC_Del(object);
  Py_DECREF(type);
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

PyTypeObject* make_type() {
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
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyTypeObject* the_type() {
  static PyTypeObject* type = make_type();
  if (type == nullptr) throw py::error_already_set();
  return type;
}

Loops loops_of(const py::handle& functions) {
  Loops loops;
  for (const py::handle function : functions) {
    const BatchedFunctionData* data = data_of_batched_function(function.ptr());
    if (data == nullptr) throw py::type_error("the loops of a public function are batched functions");
    loops.push_back(data);
  }
  return loops;
}

// The short way makes instances of it without asking it.
void check_result_type(const py::object& result, const Loops& loops) {
  PyTypeObject* type = reinterpret_cast<PyTypeObject*>(result.ptr());
  if (!PyType_Check(result.ptr()) || !PyType_IsSubtype(type, &PyTuple_Type) ||
      type->tp_basicsize != PyTuple_Type.tp_basicsize || type->tp_itemsize != PyTuple_Type.tp_itemsize)
    throw py::type_error("the result of a public function is a named tuple");
  const Py_ssize_t fields = static_cast<Py_ssize_t>(py::len(result.attr("_fields")));
  for (const BatchedFunctionData* loop : loops)
    if (loop->n_out != fields) throw py::type_error("a public function has as many results as its named tuple");
}

}  // namespace

py::object public_function_type() {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(the_type()));
}

py::object make_public_function(py::object function, const py::tuple& loops, const py::object& wide,
                                const py::object& result) {
  const Loops all = loops_of(loops), of_wide = wide.is_none() ? all : loops_of(wide);
  if (!result.is_none()) {
    check_result_type(result, all);
    check_result_type(result, of_wide);
  }
  PublicFunction* self = PyObject_GC_New(PublicFunction, the_type());
  if (self == nullptr) throw py::error_already_set();
  self->call = call;
  self->function = function.release().ptr();
  self->attributes = self->weak_references = nullptr;
  self->result = result.is_none() ? nullptr : reinterpret_cast<PyTypeObject*>(py::object(result).release().ptr());
  self->loops = new Loops(all);
  self->wide = wide.is_none() ? self->loops : new Loops(of_wide);
  PyObject_GC_Track(reinterpret_cast<PyObject*>(self));
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(self));
}

}  // namespace mmlfast::bind
