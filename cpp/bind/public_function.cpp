#include "bind/public_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "bind/batched_function.hpp"
#include "bind/errors.hpp"
#include "bind/fast_path.hpp"

namespace mmlfast::bind {
namespace {

using Loops = std::vector<const BatchedFunctionData*>;

struct Choice;

struct PublicFunction {
  PyObject_HEAD vectorcallfunc call;
  PyObject *function, *attributes, *weak_references;
  PyTypeObject* result;  // or nullptr
  Choice* plain;         // for calls with nothing but arrays
  Choice* with_keyword;  // or nullptr; for calls that say besides `keyword` = `value`
  PyObject *keyword, *value;
  PyObject* remembered;  // nullptr, or a tuple: functions, each followed by what is called in its place
};

PyTypeObject* type = nullptr;

PublicFunction& self_of(PyObject* object) { return *reinterpret_cast<PublicFunction*>(object); }

bool is_wide(PyObject* object) {
  if (!PyArray_CheckExact(object)) return false;
  PyArrayObject* array = as_array(object);
  return PyArray_NDIM(array) == 2 && PyArray_DIM(array, 0) < PyArray_DIM(array, 1);
}

struct Choice {
  Loops loops;  // for all arguments, or for those that are not wide
  Loops wide;
  bool by_shape = false;

  const Loops& of(PyObject* first) const { return by_shape && is_wide(first) ? wide : loops; }
};

// The batched function whose arguments these are, without batch axes; nullptr if there is none.
const BatchedFunctionData* function_for(const Choice* choice, PyObject* const* args, Py_ssize_t n_args) {
  if (choice == nullptr || n_args == 0) return nullptr;
  for (const BatchedFunctionData* f : choice->of(args[0]))
    if (is_one_item(*f, args, n_args)) return f;
  return nullptr;
}

// The loops for a call with these keywords; nullptr if that is for the function. Names that stand in a program, and
// True, False and None, are the same object wherever they stand.
const Choice* choice_for(const PublicFunction& self, PyObject* const* args, Py_ssize_t n_args, PyObject* keywords) {
  if (keywords == nullptr) return self.plain;
  const bool same = self.with_keyword != nullptr && PyTuple_GET_SIZE(keywords) == 1 &&
                    PyTuple_GET_ITEM(keywords, 0) == self.keyword && args[n_args] == self.value;
  return same ? self.with_keyword : nullptr;
}

// What is called with a float in place of this function with (f, float); nullptr if there is nothing.
PyObject* remembered_for(PyObject* object, PyObject* const* args, Py_ssize_t n_args) {
  if (self_of(object).remembered == nullptr || n_args != 2 || !PyFloat_Check(args[1])) return nullptr;
  PyObject* found = nullptr;
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(object);
#endif
  PyObject* all = self_of(object).remembered;
  for (Py_ssize_t k = 0; found == nullptr && k + 1 < PyTuple_GET_SIZE(all); k += 2)
    if (PyTuple_GET_ITEM(all, k) == args[0]) found = Py_NewRef(PyTuple_GET_ITEM(all, k + 1));
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  return found;
}

// remember(tuple): from now on.
PyObject* remember(PyObject* object, PyObject* pairs) {
  if (!PyTuple_CheckExact(pairs)) {
    PyErr_SetString(PyExc_TypeError, "a tuple of functions, each followed by what is called in its place");
    return nullptr;
  }
  PyObject* before = Py_NewRef(pairs);
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(object);
#endif
  std::swap(before, self_of(object).remembered);
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  Py_XDECREF(before);
  Py_RETURN_NONE;
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const PublicFunction& self = self_of(object);
  const Py_ssize_t n_args = PyVectorcall_NARGS(n_args_and_flag);
  PyObject* other = keywords == nullptr ? remembered_for(object, args, n_args) : nullptr;
  if (other != nullptr) {
    PyObject* result = PyObject_Vectorcall(other, args + 1, 1, nullptr);
    Py_DECREF(other);
    return result;
  }
  const BatchedFunctionData* f = function_for(choice_for(self, args, n_args, keywords), args, n_args);
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
  Py_VISIT(self.remembered);
  Py_VISIT(reinterpret_cast<PyObject*>(self.result));
  return 0;
}

int clear(PyObject* object) {
  PublicFunction& self = self_of(object);
  Py_CLEAR(self.attributes);
  Py_CLEAR(self.remembered);
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
  Py_CLEAR(self.keyword);
  Py_CLEAR(self.value);
  delete self.with_keyword;
  delete self.plain;
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

// False with a Python exception set if it is no tuple of batched functions.
bool add_loops(Loops& loops, PyObject* functions) {
  if (!PyTuple_Check(functions)) return refuse("the loops of a public function are a tuple") != nullptr;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(functions); ++k) {
    loops.push_back(data_of_batched_function(PyTuple_GET_ITEM(functions, k)));
    if (loops.back() == nullptr) return refuse("the loops of a public function are batched functions") != nullptr;
  }
  return true;
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

// The loops, those for wide arguments or None; nullptr with a Python exception set if they are not what they should be.
std::unique_ptr<Choice> choice_of(PyObject* loops, PyObject* wide, PyObject* result) {
  auto choice = std::make_unique<Choice>();
  choice->by_shape = wide != Py_None;
  if (!add_loops(choice->loops, loops) || (choice->by_shape && !add_loops(choice->wide, wide))) return nullptr;
  if (result != Py_None && !(is_result_type(result, choice->loops) && is_result_type(result, choice->wide)))
    return nullptr;
  return choice;
}

PyObject* new_reference_unless_none(PyObject* object) {
  if (object == Py_None) return nullptr;
  Py_INCREF(object);
  return object;
}

PyObject* make(PyObject*, PyObject* const* args, Py_ssize_t n_args) {
  PyObject* const keyword = n_args == 5 ? args[4] : Py_None;  // or (name, value, loops, wide)
  const bool has_keyword = keyword != Py_None;
  if (n_args != 5 || (has_keyword && (!PyTuple_Check(keyword) || PyTuple_GET_SIZE(keyword) != 4)))
    return static_cast<PyObject*>(refuse("public_function(function, loops, wide, result, keyword)"));
  std::unique_ptr<Choice> plain = choice_of(args[1], args[2], args[3]), with_keyword;
  if (plain == nullptr) return nullptr;
  if (has_keyword) {
    with_keyword = choice_of(PyTuple_GET_ITEM(keyword, 2), PyTuple_GET_ITEM(keyword, 3), args[3]);
    if (with_keyword == nullptr) return nullptr;
  }
  PublicFunction* self = PyObject_GC_New(PublicFunction, type);
  if (self == nullptr) return nullptr;
  self->call = call;
  self->function = new_reference_unless_none(args[0]);
  self->attributes = self->weak_references = self->remembered = nullptr;
  self->result = reinterpret_cast<PyTypeObject*>(new_reference_unless_none(args[3]));
  self->plain = plain.release();
  self->with_keyword = with_keyword.release();
  self->keyword = new_reference_unless_none(has_keyword ? PyTuple_GET_ITEM(keyword, 0) : Py_None);
  self->value = new_reference_unless_none(has_keyword ? PyTuple_GET_ITEM(keyword, 1) : Py_None);
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
  static PyMethodDef methods[] = {
      {"__reduce__", reduce, METH_NOARGS, nullptr}, {"_remember", remember, METH_O, nullptr}, {}};
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
