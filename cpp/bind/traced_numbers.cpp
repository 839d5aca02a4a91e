#include "bind/traced_numbers.hpp"

#include <structmember.h>  // T_OBJECT_EX: Python.h has names of its own for these only from 3.12 on

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

#include "bind/tape_graph_object.hpp"
#include "drivers/tape_graph.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeGraph;
using drivers::TapeId;
using drivers::TapeIds;
using drivers::TapeView;

struct TracedNumbers {
  PyObject_HEAD PyObject *owner, *ids;  // a recording, and an int32 array
  char is_mask;
};

PyTypeObject* type = nullptr;
PyObject *graph_name = nullptr, *call_name = nullptr, *ufunc_name = nullptr;
PyObject* ufuncs = nullptr;  // a dictionary: ufunc -> number of the operation

TracedNumbers& self_of(PyObject* object) noexcept { return *reinterpret_cast<TracedNumbers*>(object); }
bool is_traced(PyObject* object) noexcept { return PyObject_TypeCheck(object, type) != 0; }

// New traced numbers of the same recording and class, with the array of ids, whose reference is taken over.
PyObject* traced_like(PyObject* object, PyObject* ids, bool is_mask) noexcept {
  if (ids == nullptr) return nullptr;
  PyTypeObject* of_type = Py_TYPE(object);
  PyObject* made = of_type->tp_alloc(of_type, 0);
  if (made == nullptr) {
    Py_DECREF(ids);
    return nullptr;
  }
  TracedNumbers& numbers = self_of(made);
  numbers.owner = Py_NewRef(self_of(object).owner);
  numbers.ids = ids;
  numbers.is_mask = is_mask ? 1 : 0;
  return made;
}

// ---- operands ----

// Ids of one graph, and their shape.
struct Operand {
  TapeView ids;
  PyArrayObject* array = nullptr;  // nullptr: one number
  TapeId own = 0;

  // False, without an exception, if the way round by Python has to be taken.
  bool take(TapeGraph& graph, PyObject* owner, PyObject* object) {
    if (is_traced(object)) {
      if (self_of(object).owner != owner) return false;
      return take_array(graph, self_of(object).ids);
    }
    double number;
    if (PyFloat_CheckExact(object) || PyArray_IsScalar(object, Double)) {
      number = PyFloat_AS_DOUBLE(object);  // numpy.float64 is a float
    } else if (PyLong_CheckExact(object)) {
      number = PyLong_AsDouble(object);
      if (number == -1.0 && PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        return false;
      }
    } else {
      return false;
    }
    own = graph.constant(number);
    ids = {&own, 1};
    return true;
  }

  int n_axes() const noexcept { return array == nullptr ? 0 : PyArray_NDIM(array); }

 private:
  bool take_array(const TapeGraph& graph, PyObject* object) noexcept {
    if (!PyArray_CheckExact(object)) return false;
    array = as_array(object);
    if (PyArray_TYPE(array) != NPY_INT32 || !PyArray_ISCARRAY_RO(array)) return false;
    ids = {static_cast<const TapeId*>(PyArray_DATA(array)), static_cast<std::size_t>(PyArray_SIZE(array))};
    const TapeId end = graph.n_values();
    return !ids.empty() && std::all_of(ids.begin(), ids.end(), [=](TapeId id) { return id >= 0 && id < end; });
  }
};

// Where the result gets its shape from: both have it, or one has no axes. False if it takes more than that.
bool one_shape(const Operand& a, const Operand& b, const Operand*& shape) noexcept {
  shape = b.n_axes() == 0 ? &a : &b;
  if (a.n_axes() == 0 || b.n_axes() == 0) return true;
  return a.n_axes() == b.n_axes() &&
         std::equal(PyArray_DIMS(a.array), PyArray_DIMS(a.array) + a.n_axes(), PyArray_DIMS(b.array));
}

PyObject* array_of(const TapeIds& ids, const Operand& shape) noexcept {
  npy_intp none = 0;
  npy_intp* sizes = shape.array == nullptr ? &none : PyArray_DIMS(shape.array);
  PyObject* array = PyArray_SimpleNew(shape.n_axes(), sizes, NPY_INT32);
  if (array != nullptr) std::copy(ids.begin(), ids.end(), static_cast<TapeId*>(PyArray_DATA(as_array(array))));
  return array;
}

// op of one or two operands. nullptr without an exception if the way round by Python has to be taken.
PyObject* computed(PyObject* traced, TapeOp op, PyObject* const* operands, int n, bool gives_mask) noexcept {
  PyObject* owner = self_of(traced).owner;
  PyObject* holder = PyObject_GetAttr(owner, graph_name);
  if (holder == nullptr) return nullptr;
  PyObject* result = nullptr;
  try {
    TapeGraph* graph = tape_graph_of(holder);
    Operand a, b;
    const Operand* shape = &a;
    if (graph != nullptr && a.take(*graph, owner, operands[0]) &&
        (n == 1 || (b.take(*graph, owner, operands[1]) && one_shape(a, b, shape)))) {
      const auto count = static_cast<std::int32_t>(std::max(a.ids.size(), b.ids.size()));
      const TapeIds ids = graph->emit(op, a.ids, b.ids, {}, 0, count);
      if (!graph->is_full()) result = traced_like(traced, array_of(ids, *shape), gives_mask);
    }
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  Py_DECREF(holder);
  return result;
}

// ---- operators ----

struct Binary {
  TapeOp op;
  const char *name, *swapped_name;
};
constexpr Binary binaries[] = {{TapeOp::add, "_add", "_radd"},
                               {TapeOp::subtract, "_sub", "_rsub"},
                               {TapeOp::multiply, "_mul", "_rmul"},
                               {TapeOp::divide, "_truediv", "_rtruediv"},
                               {TapeOp::power, "_pow", "_rpow"}};

bool is_mask(PyObject* object) noexcept { return is_traced(object) && self_of(object).is_mask != 0; }

template <int which>
PyObject* binary(PyObject* a, PyObject* b) noexcept {
  constexpr Binary how = binaries[which];
  const bool swapped = !is_traced(a);
  PyObject* traced = swapped ? b : a;
  if (!is_mask(a) && !is_mask(b)) {
    PyObject* const operands[] = {a, b};
    PyObject* result = computed(traced, how.op, operands, 2, false);
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  return PyObject_CallMethod(traced, swapped ? how.swapped_name : how.name, "(O)", swapped ? a : b);  // also a tuple
}

PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) noexcept {
  if (modulus == Py_None) return binary<4>(a, b);
  Py_RETURN_NOTIMPLEMENTED;
}

PyObject* negative(PyObject* object) noexcept {
  if (!is_mask(object)) {
    PyObject* result = computed(object, TapeOp::negative, &object, 1, false);
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  return PyObject_CallMethod(object, "_neg", nullptr);
}

// ---- ufuncs ----

// The numbers of operations that give booleans have this added, and those whose operands change places that.
constexpr long gives_mask = 1 << 10, swaps = 1 << 11;

// The operation behind a call of a ufunc, or -1 if it is not one of the tape.
long operation_of(PyObject* const* args, Py_ssize_t n_args, PyObject* keywords) noexcept {
  if (n_args < 3 || n_args > 4 || (keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0)) return -1;
  PyObject* found = PyDict_GetItemWithError(ufuncs, args[0]);
  if (found == nullptr || PyUnicode_Compare(args[1], call_name) != 0) {
    PyErr_Clear();
    return -1;
  }
  const long code = PyLong_AsLong(found);
  return n_args - 2 == tape_operands(static_cast<TapeOp>(code & (gives_mask - 1))) ? code : -1;
}

// __array_ufunc__(self, ufunc, method, *inputs, **keywords)
PyObject* array_ufunc(PyObject* object, PyObject* const* args, Py_ssize_t n_args, PyObject* keywords) {
  const long code = operation_of(args, n_args, keywords);
  if (code >= 0 && !is_mask(args[2]) && (n_args < 4 || !is_mask(args[3]))) {
    PyObject* operands[] = {args[2], n_args < 4 ? nullptr : args[3]};
    if ((code & swaps) != 0) std::swap(operands[0], operands[1]);
    const auto op = static_cast<TapeOp>(code & (gives_mask - 1));
    PyObject* result = computed(object, op, operands, static_cast<int>(n_args - 2), (code & gives_mask) != 0);
    if (result != nullptr || PyErr_Occurred() != nullptr) return result;
  }
  PyObject* method = PyObject_GetAttr(object, ufunc_name);
  if (method == nullptr) return nullptr;
  PyObject* result = PyObject_Vectorcall(method, args, static_cast<std::size_t>(n_args), keywords);
  Py_DECREF(method);
  return result;
}

PyObject* name_traced_ufuncs(PyObject*, PyObject* names) {
  if (!PyDict_CheckExact(names)) {
    PyErr_SetString(PyExc_TypeError, "a dictionary: ufunc -> operation");
    return nullptr;
  }
  PyObject *ufunc, *number;
  for (Py_ssize_t at = 0; PyDict_Next(names, &at, &ufunc, &number);) {
    const long code = PyLong_AsLong(number);
    const auto op = static_cast<TapeOp>(code & (gives_mask - 1));
    if (code >= 0 && (code & (gives_mask - 1)) < tape_op_count && !drivers::tape_reduces(op) &&
        !drivers::tape_is_whole(op))
      continue;
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "no operation that takes number by number");
    return nullptr;
  }
  Py_XSETREF(ufuncs, PyDict_Copy(names));
  if (ufuncs == nullptr) return nullptr;
  Py_RETURN_NONE;
}

// ---- parts ----

bool is_plain_key(PyObject* key) noexcept {
  return PySlice_Check(key) || PyLong_CheckExact(key) || key == Py_Ellipsis || key == Py_None;
}

PyObject* part(PyObject* object, PyObject* key) noexcept {
  bool plain = is_plain_key(key);
  if (PyTuple_CheckExact(key)) {
    plain = true;
    for (Py_ssize_t k = 0; plain && k < PyTuple_GET_SIZE(key); ++k) plain = is_plain_key(PyTuple_GET_ITEM(key, k));
  }
  if (!plain) return PyObject_CallMethod(object, "_getitem", "(O)", key);
  PyObject* found = PyObject_GetItem(self_of(object).ids, key);
  if (found != nullptr && PyArray_IsScalar(found, Generic)) Py_SETREF(found, PyArray_FromScalar(found, nullptr));
  return traced_like(object, found, self_of(object).is_mask != 0);
}

PyObject* element(PyObject* object, Py_ssize_t i) noexcept {
  PyObject* key = PyLong_FromSsize_t(i);
  if (key == nullptr) return nullptr;
  PyObject* found = part(object, key);
  Py_DECREF(key);
  return found;
}

// ---- the object ----

PyObject* make(PyTypeObject* of_type, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"owner", "ids", "is_mask", nullptr};
  PyObject *owner, *ids;
  int mask = 0;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|p", const_cast<char**>(names), &owner, &ids, &mask))
    return nullptr;
  PyObject* object = of_type->tp_alloc(of_type, 0);
  if (object == nullptr) return nullptr;
  TracedNumbers& numbers = self_of(object);
  numbers.owner = Py_NewRef(owner);
  numbers.ids = Py_NewRef(ids);
  numbers.is_mask = mask != 0 ? 1 : 0;
  return object;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self_of(object).owner);
  Py_VISIT(self_of(object).ids);
  return 0;
}

int clear(PyObject* object) {
  Py_CLEAR(self_of(object).owner);
  Py_CLEAR(self_of(object).ids);
  return 0;
}

void deallocate(PyObject* object) {
  PyTypeObject* own_type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  own_type->tp_free(object);
  Py_DECREF(own_type);
}

template <class Function>
void* slot(Function* function) noexcept {
  return reinterpret_cast<void*>(function);
}

}  // namespace

void add_traced_numbers(PyObject* module) {
  graph_name = checked(PyUnicode_InternFromString("graph"));
  call_name = checked(PyUnicode_InternFromString("__call__"));
  ufunc_name = checked(PyUnicode_InternFromString("_array_ufunc"));
  ufuncs = checked(PyDict_New());
  static PyMemberDef members[] = {
      {"owner", T_OBJECT_EX, offsetof(TracedNumbers, owner), READONLY, nullptr},
      {"ids", T_OBJECT_EX, offsetof(TracedNumbers, ids), READONLY, nullptr},
      {"is_mask", T_BOOL, offsetof(TracedNumbers, is_mask), READONLY, nullptr},
      {},
  };
  static PyMethodDef methods[] = {
      {"__array_ufunc__", reinterpret_cast<PyCFunction>(slot(array_ufunc)), METH_FASTCALL | METH_KEYWORDS, nullptr},
      {}};
  static PyType_Slot slots[] = {{Py_tp_new, slot(make)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {Py_nb_add, slot(binary<0>)},
                                {Py_nb_subtract, slot(binary<1>)},
                                {Py_nb_multiply, slot(binary<2>)},
                                {Py_nb_true_divide, slot(binary<3>)},
                                {Py_nb_power, slot(power)},
                                {Py_nb_negative, slot(negative)},
                                {Py_mp_subscript, slot(part)},
                                {Py_sq_item, slot(element)},
                                {Py_tp_traverse, slot(traverse)},
                                {Py_tp_clear, slot(clear)},
                                {Py_tp_dealloc, slot(deallocate)},
                                {Py_tp_doc, const_cast<char*>("Numbers of a function that is being recorded.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.TracedNumbers", sizeof(TracedNumbers), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE, slots};
  type = add_type(module, spec, "TracedNumbers");
  static PyMethodDef functions[] = {{"name_traced_ufuncs", name_traced_ufuncs, METH_O, nullptr}, {}};
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

}  // namespace mmlfast::bind
