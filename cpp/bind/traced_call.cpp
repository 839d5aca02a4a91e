#include "bind/traced_call.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "bind/tape_program_object.hpp"
#include "bind/watch.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::bind {
namespace {

using Shape = std::vector<npy_intp>;

// A program, the calls that it answers, and what has to hold for it.
struct Kept : NonCopyable {
  PyObject *watch = nullptr, *program = nullptr;  // references of its own
  std::size_t argnum = 0;                         // which argument is x; the others are parameters, in their order
  std::vector<Shape> arguments, results;
  bool is_tuple = false;

  ~Kept() {
    Py_XDECREF(watch);
    Py_XDECREF(program);
  }
};

// Never changed: a call goes on with the list that it found, whatever Python does meanwhile.
using KeptList = std::vector<std::shared_ptr<const Kept>>;

// Of as many kinds of arguments, the last used ones first.
constexpr std::size_t most_kept = 4;
constexpr std::size_t most_arguments = 8;

struct TracedCall {
  PyObject_HEAD vectorcallfunc call;
  std::shared_ptr<const KeptList> kept;
};

PyTypeObject* type = nullptr;
PyObject* slow_name = nullptr;

TracedCall& self_of(PyObject* object) { return *reinterpret_cast<TracedCall*>(object); }

npy_intp size_of(const Shape& shape) {
  npy_intp size = 1;
  for (npy_intp n : shape) size *= n;
  return size;
}

// The list of the object, and another one in its place. Without a GIL, one thread at a time.
std::shared_ptr<const KeptList> kept_of(PyObject* object) {
  std::shared_ptr<const KeptList> kept;
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(object);
#endif
  kept = self_of(object).kept;
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  return kept;
}
void replace_kept(PyObject* object, std::shared_ptr<const KeptList> kept) {
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(object);
#endif
  self_of(object).kept.swap(kept);
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
}

// ---- arguments ----

// The numbers of an argument, `number` being a place for one; nullptr if it is not plain float64 of this shape.
const double* numbers_of(PyObject* argument, const Shape& shape, double& number) noexcept {
  if (PyArray_CheckExact(argument)) {
    PyArrayObject* array = as_array(argument);
    const bool fits = PyArray_TYPE(array) == NPY_DOUBLE && PyArray_ISCARRAY_RO(array) &&
                      static_cast<std::size_t>(PyArray_NDIM(array)) == shape.size() &&
                      std::equal(shape.begin(), shape.end(), PyArray_DIMS(array));
    return fits ? static_cast<const double*>(PyArray_DATA(array)) : nullptr;
  }
  if (!shape.empty() || !(PyFloat_CheckExact(argument) || PyArray_IsScalar(argument, Double))) return nullptr;
  number = PyFloat_AS_DOUBLE(argument);  // numpy.float64 is a float
  return &number;
}

struct Numbers {
  const double* x;
  const double* parameters[most_arguments];
  double own[most_arguments];

  bool take(const Kept& kept, PyObject* const* args, std::size_t n_args) noexcept {
    if (n_args != kept.arguments.size()) return false;
    std::size_t n_parameters = 0;
    for (std::size_t k = 0; k < n_args; ++k) {
      const double* numbers = numbers_of(args[k], kept.arguments[k], own[k]);
      if (numbers == nullptr) return false;
      if (k == kept.argnum)
        x = numbers;
      else
        parameters[n_parameters++] = numbers;
    }
    return true;
  }
};

// ---- results ----

PyObject* new_array(const Shape& shape) {
  return PyArray_SimpleNew(static_cast<int>(shape.size()), shape.data(), NPY_DOUBLE);
}

// An array of these numbers, or NumPy's number if it has no axes.
PyObject* result_of(const double* numbers, const Shape& shape) {
  PyObject* array = new_array(shape);
  if (array == nullptr) return nullptr;
  std::copy_n(numbers, size_of(shape), static_cast<double*>(PyArray_DATA(as_array(array))));
  return PyArray_Return(as_array(array));
}

PyObject* number_by(const Kept& kept, const Numbers& numbers) {
  double number = 0;
  if (!call_tape_program(kept.program, numbers.x, numbers.parameters, &number)) return nullptr;
  PyArray_Descr* description = PyArray_DescrFromType(NPY_DOUBLE);
  PyObject* scalar = PyArray_Scalar(&number, description, nullptr);
  Py_DECREF(description);
  return scalar;
}

PyObject* array_by(const Kept& kept, const Numbers& numbers) {
  if (kept.results[0].empty()) return number_by(kept, numbers);
  PyObject* array = new_array(kept.results[0]);
  if (array == nullptr) return nullptr;
  auto* to = static_cast<double*>(PyArray_DATA(as_array(array)));
  if (call_tape_program(kept.program, numbers.x, numbers.parameters, to)) return array;
  Py_DECREF(array);
  return nullptr;
}

PyObject* tuple_by(const Kept& kept, const Numbers& numbers) {
  npy_intp size = 0;
  for (const Shape& shape : kept.results) size += size_of(shape);
  PyObject* all = new_array({size});
  PyObject* tuple = all == nullptr ? nullptr : PyTuple_New(static_cast<Py_ssize_t>(kept.results.size()));
  auto* from = all == nullptr ? nullptr : static_cast<double*>(PyArray_DATA(as_array(all)));
  bool good = tuple != nullptr && call_tape_program(kept.program, numbers.x, numbers.parameters, from);
  for (std::size_t k = 0; good && k < kept.results.size(); ++k) {
    PyObject* result = result_of(from, kept.results[k]);
    good = result != nullptr;
    if (good) PyTuple_SET_ITEM(tuple, static_cast<Py_ssize_t>(k), result);
    from += size_of(kept.results[k]);
  }
  Py_XDECREF(all);
  if (!good) Py_CLEAR(tuple);
  return tuple;
}

// ---- calls ----

PyObject* call_slowly(PyObject* object, PyObject* const* args, std::size_t n_args, PyObject* keywords) {
  const std::size_t n_keywords = keywords == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(keywords));
  const std::size_t n = n_args + n_keywords + 1;
  PyObject* few[most_arguments + 1];
  PyObject** all = n <= most_arguments + 1 ? few : static_cast<PyObject**>(PyMem_Malloc(n * sizeof(PyObject*)));
  if (all == nullptr) return PyErr_NoMemory();
  all[0] = object;
  std::copy_n(args, n - 1, all + 1);
  PyObject* result = PyObject_VectorcallMethod(slow_name, all, n_args + 1, keywords);
  if (all != few) PyMem_Free(all);
  return result;
}

PyObject* call(PyObject* object, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const auto n_args = static_cast<std::size_t>(PyVectorcall_NARGS(n_args_and_flag));
  if (keywords == nullptr) {
    const std::shared_ptr<const KeptList> kept = kept_of(object);
    Numbers numbers;
    for (const auto& one : *kept)
      if (numbers.take(*one, args, n_args) && as_watch(one->watch)->holds())
        return one->is_tuple ? tuple_by(*one, numbers) : array_by(*one, numbers);
  }
  return call_slowly(object, args, n_args, keywords);
}

// ---- what is kept ----

// The shape that a tuple of integers says. False with a Python exception set if it is none.
bool read_shape(PyObject* said, Shape& shape) {
  if (!PyTuple_Check(said)) {
    PyErr_SetString(PyExc_TypeError, "a shape is a tuple of integers");
    return false;
  }
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(said); ++k) {
    const Py_ssize_t n = PyLong_AsSsize_t(PyTuple_GET_ITEM(said, k));
    if (n < 0) {
      if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_ValueError, "a shape has no negative lengths");
      return false;
    }
    shape.push_back(n);
  }
  return true;
}

bool read_shapes(PyObject* said, std::vector<Shape>& shapes) {
  shapes.resize(static_cast<std::size_t>(PyList_GET_SIZE(said)));
  for (std::size_t k = 0; k < shapes.size(); ++k)
    if (!read_shape(PyList_GET_ITEM(said, static_cast<Py_ssize_t>(k)), shapes[k])) return false;
  return true;
}

// The shapes are those of the program. Else a Python exception is set.
bool fits(const Kept& kept) {
  const drivers::TapeProgram* program = tape_program_of(kept.program);
  const char* wrong = nullptr;
  if (as_watch(kept.watch) == nullptr || program == nullptr) {
    wrong = "a watch and a program are needed";
  } else if (kept.arguments.empty() || kept.argnum >= kept.arguments.size() || kept.results.empty() ||
             (kept.results.size() > 1 && !kept.is_tuple)) {
    wrong = "x has to be among the arguments, and several results are a tuple";
  } else {
    const auto& groups = program->layout().group_sizes;
    npy_intp n_results = 0;
    for (const Shape& shape : kept.results) n_results += size_of(shape);
    bool same = groups.size() == kept.arguments.size() && n_results == program->layout().n_outputs &&
                groups[0] == size_of(kept.arguments[kept.argnum]);
    for (std::size_t k = 0, group = 1; same && k < kept.arguments.size(); ++k)
      if (k != kept.argnum) same = groups[group++] == size_of(kept.arguments[k]);
    if (!same) wrong = "the program has other numbers of arguments and results";
  }
  if (wrong != nullptr) PyErr_SetString(PyExc_ValueError, wrong);
  return wrong == nullptr;
}

PyObject* keep(PyObject* object, PyObject* args) {
  PyObject *watch, *program, *arguments, *results;
  Py_ssize_t argnum;
  int is_tuple;
  if (!PyArg_ParseTuple(args, "OOnO!O!p", &watch, &program, &argnum, &PyList_Type, &arguments, &PyList_Type, &results,
                        &is_tuple))
    return nullptr;
  auto kept = std::make_shared<Kept>();
  Py_INCREF(watch);
  Py_INCREF(program);
  kept->watch = watch;
  kept->program = program;
  kept->argnum = static_cast<std::size_t>(argnum);
  kept->is_tuple = is_tuple != 0;
  if (!read_shapes(arguments, kept->arguments) || !read_shapes(results, kept->results) || !fits(*kept)) return nullptr;
  if (kept->arguments.size() > most_arguments) Py_RETURN_NONE;  // these go the other way
  const std::shared_ptr<const KeptList> before = kept_of(object);
  auto after = std::make_shared<KeptList>();
  after->push_back(std::move(kept));
  for (const auto& other : *before)  // but not the same program by a watch that may hold no longer
    if (other->program != program && after->size() < most_kept) after->push_back(other);
  replace_kept(object, std::move(after));
  Py_RETURN_NONE;
}

// Nothing is kept any more.
PyObject* forget(PyObject* object, PyObject*) {
  replace_kept(object, std::make_shared<const KeptList>());
  Py_RETURN_NONE;
}

// ---- the object ----

PyObject* make(PyTypeObject* of_type, PyObject*, PyObject*) {
  PyObject* object = of_type->tp_alloc(of_type, 0);
  if (object == nullptr) return nullptr;
  self_of(object).call = call;
  new (&self_of(object).kept) std::shared_ptr<const KeptList>(std::make_shared<const KeptList>());
  return object;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  if (self_of(object).kept == nullptr) return 0;
  for (const auto& kept : *self_of(object).kept) {
    Py_VISIT(kept->watch);
    Py_VISIT(kept->program);
  }
  return 0;
}

int clear(PyObject* object) {
  replace_kept(object, std::make_shared<const KeptList>());
  return 0;
}

void deallocate(PyObject* object) {
  PyTypeObject* own_type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  self_of(object).kept.~shared_ptr();
  own_type->tp_free(object);
  Py_DECREF(own_type);
}

}  // namespace

void add_traced_call(PyObject* module) {
  slow_name = checked(PyUnicode_InternFromString("_call"));
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(TracedCall, call), READONLY, nullptr},
                                  {}};
  static PyMethodDef methods[] = {
      {"_keep", keep, METH_VARARGS, nullptr}, {"_forget", forget, METH_NOARGS, nullptr}, {}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)},
                                {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                                {Py_tp_doc, const_cast<char*>("A function that is traced when it is called.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.TracedCall", sizeof(TracedCall), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
                             slots};
  type = add_type(module, spec, "TracedCall");
}

}  // namespace mmlfast::bind
