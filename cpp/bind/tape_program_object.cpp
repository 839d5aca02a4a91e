#include "bind/tape_program_object.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <cstddef>
#include <iterator>
#include <new>

#include "bind/pybind.hpp"
#include "bind/tape_ids.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeProgram;

struct ProgramObject {
  PyObject_HEAD vectorcallfunc call;
  TapeProgram* program;
  PyObject* callbacks;  // a tuple
};

PyTypeObject* type = nullptr;

ProgramObject& self_of(PyObject* object) { return *reinterpret_cast<ProgramObject*>(object); }

// ---- arguments ----

// What a program is called with: flat arrays of float64, new ones where the caller has something else.
class Arguments : NonCopyable {
 public:
  ~Arguments() {
    for (PyObject* array : made_) Py_XDECREF(array);
  }

  // x has n_points rows if that is not negative; the arrays after it are the parameters. False with a Python exception
  // set.
  bool take(const TapeProgram& program, PyObject* const* args, Py_ssize_t n_args, bool batch) noexcept {
    const auto& sizes = program.layout().group_sizes;
    if (sizes.size() > most) {
      PyErr_Format(PyExc_TypeError, "a program takes at most %zd arrays, and this one has %zd",
                   static_cast<Py_ssize_t>(most), static_cast<Py_ssize_t>(sizes.size()));
      return false;
    }
    if (static_cast<std::size_t>(n_args) != sizes.size()) {
      PyErr_Format(PyExc_TypeError, "the program takes %zd arguments and got %zd",
                   static_cast<Py_ssize_t>(sizes.size()), n_args);
      return false;
    }
    for (Py_ssize_t k = 0; k < n_args; ++k) {
      PyArrayObject* array = as_numbers(args[k], k);
      if (array == nullptr) return false;
      const Py_ssize_t size = sizes[static_cast<std::size_t>(k)];
      if (k == 0 && batch) {
        if (PyArray_NDIM(array) != 2 || PyArray_DIM(array, 1) != size) return refuse(k, size, true);
        n_points = PyArray_DIM(array, 0);
      } else if (PyArray_SIZE(array) != size) {
        return refuse(k, size, false);
      }
      data[k] = static_cast<const double*>(PyArray_DATA(array));
    }
    return true;
  }

  static constexpr std::size_t most = 32;
  const double* data[most];
  Py_ssize_t n_points = 1;

 private:
  static bool refuse(Py_ssize_t k, Py_ssize_t size, bool batch) {
    PyErr_Format(PyExc_ValueError,
                 batch ? "argument %zd must have shape (n_points, %zd)" : "argument %zd must have %zd elements", k,
                 size);
    return false;
  }
  PyArrayObject* as_numbers(PyObject* object, Py_ssize_t k) {
    if (PyArray_CheckExact(object)) {
      PyArrayObject* array = as_array(object);
      if (PyArray_TYPE(array) == NPY_DOUBLE && PyArray_ISCARRAY_RO(array)) return array;
    }
    made_[k] = PyArray_FROMANY(object, NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO);
    return made_[k] == nullptr ? nullptr : as_array(made_[k]);
  }

  PyObject* made_[most] = {};
};

// ---- Python functions inside of a program ----

PyObject* array_of(const double* numbers, Size n) {
  npy_intp size = n;
  PyObject* array = PyArray_SimpleNew(1, &size, NPY_DOUBLE);
  if (array != nullptr) std::copy_n(numbers, n, static_cast<double*>(PyArray_DATA(as_array(array))));
  return array;
}

bool call_python(void* context, std::int32_t index, const double* arguments, Size n_arguments, double* results,
                 Size n_results) {
  PyObject* callbacks = static_cast<PyObject*>(context);
  if (index < 0 || index >= PyTuple_GET_SIZE(callbacks)) {
    PyErr_Format(PyExc_IndexError, "the program calls function %d, and was given %zd", index,
                 PyTuple_GET_SIZE(callbacks));
    return false;
  }
  PyObject* array = array_of(arguments, n_arguments);
  PyObject* value = array == nullptr ? nullptr : PyObject_CallOneArg(PyTuple_GET_ITEM(callbacks, index), array);
  Py_XDECREF(array);
  PyObject* numbers = value == nullptr ? nullptr : PyArray_FROMANY(value, NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO);
  Py_XDECREF(value);
  if (numbers == nullptr) return false;
  const bool good = PyArray_SIZE(as_array(numbers)) == n_results;
  if (good)
    std::copy_n(static_cast<const double*>(PyArray_DATA(as_array(numbers))), n_results, results);
  else
    PyErr_Format(PyExc_ValueError, "a function inside of the traced one gave %zd numbers, and %zd when it was traced",
                 static_cast<Py_ssize_t>(PyArray_SIZE(as_array(numbers))), static_cast<Py_ssize_t>(n_results));
  Py_DECREF(numbers);
  return good;
}

bool succeeded(Outcome outcome) noexcept {
  if (outcome.ok()) return true;
  if (PyErr_Occurred() == nullptr) set_python_error(outcome, nullptr);
  return false;
}

// ---- the object ----

PyObject* call(PyObject* object, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const TapeProgram& program = *self_of(object).program;
  if (keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0) {
    PyErr_SetString(PyExc_TypeError, "the program takes no keyword arguments");
    return nullptr;
  }
  Arguments arguments;
  if (!arguments.take(program, args, PyVectorcall_NARGS(n_args_and_flag), false)) return nullptr;
  npy_intp size = program.layout().n_outputs;
  PyObject* result = PyArray_SimpleNew(1, &size, NPY_DOUBLE);
  if (result != nullptr && !call_tape_program(object, arguments.data[0], arguments.data + 1,
                                              static_cast<double*>(PyArray_DATA(as_array(result))))) {
    Py_DECREF(result);
    return nullptr;
  }
  return result;
}

PyObject* batch(PyObject* object, PyObject* const* args, Py_ssize_t n_args) {
  const ProgramObject& self = self_of(object);
  Arguments arguments;
  if (!arguments.take(*self.program, args, n_args, true)) return nullptr;
  npy_intp shape[2] = {arguments.n_points, self.program->layout().n_outputs};
  PyObject* result = PyArray_SimpleNew(2, shape, NPY_DOUBLE);
  if (result == nullptr) return nullptr;
  auto* to = static_cast<double*>(PyArray_DATA(as_array(result)));
  Outcome outcome;
  {
    const ReleasedGil released(!self.program->layout().calls_python);
    outcome = drivers::evaluate_tape_batch(*self.program, arguments.n_points, arguments.data[0], arguments.data + 1, to,
                                           {call_python, self.callbacks});
  }
  if (succeeded(outcome)) return result;
  Py_DECREF(result);
  return nullptr;
}

void deallocate(PyObject* object) {
  ProgramObject& self = self_of(object);
  PyTypeObject* own_type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  delete self.program;
  Py_CLEAR(self.callbacks);
  PyObject_GC_Del(object);
  Py_DECREF(own_type);
}
int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self_of(object).callbacks);
  return 0;
}
int clear(PyObject* object) {
  Py_CLEAR(self_of(object).callbacks);
  return 0;
}

TapeProgram* program_from(PyObject* graph_object, PyObject* outputs, bool as_written) {
  if (!py::isinstance<drivers::TapeGraph>(graph_object)) throw py::type_error("graph: not a TapeGraph");
  const auto& graph = py::cast<const drivers::TapeGraph&>(py::handle(graph_object));
  if (graph.input_groups().empty()) throw py::value_error("graph: it has no inputs");
  auto program = std::make_unique<TapeProgram>(graph, TapeArgument(graph, outputs, "outputs", true), as_written);
  if (program->fault() != nullptr) throw py::value_error(program->fault());
  return program.release();
}

// TapeProgram(graph, outputs, callbacks=(), as_written=False)
PyObject* make(PyTypeObject* of_type, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"graph", "outputs", "callbacks", "as_written", nullptr};
  PyObject *graph = nullptr, *outputs = nullptr, *callbacks = nullptr;
  int as_written = 0;
  if (PyArg_ParseTupleAndKeywords(args, keywords, "OO|Op", const_cast<char**>(names), &graph, &outputs, &callbacks,
                                  &as_written) == 0)
    return nullptr;
  TapeProgram* program = nullptr;
  try {
    program = program_from(graph, outputs, as_written != 0);
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  PyObject* functions = program == nullptr     ? nullptr
                        : callbacks == nullptr ? PyTuple_New(0)
                                               : PySequence_Tuple(callbacks);
  PyObject* object = functions == nullptr ? nullptr : of_type->tp_alloc(of_type, 0);
  if (object == nullptr) {
    Py_XDECREF(functions);
    delete program;
    return nullptr;
  }
  ProgramObject& self = self_of(object);
  self.call = call;
  self.program = program;
  self.callbacks = functions;
  return object;
}

PyObject* n_instructions(PyObject* object, void*) { return PyLong_FromLong(self_of(object).program->n_instructions()); }

const char* name_of(TapeCode code) {
  if (code <= tape_code(TapeOp::callback)) return tape_name(static_cast<TapeOp>(code));
  static const char* const fused[] = {"square", "reciprocal", "subtract_product", "sincos"};
  static_assert(std::size(fused) == n_tape_codes - tape_code(TapeFused::square));
  return fused[code - tape_code(TapeFused::square)];
}

// [(operation, count, slot of the first result, where the operands are)] for one point, in order.
PyObject* instructions(PyObject* object, void*) {
  static const char* const access[] = {"single", "run", "list", "fixed single", "fixed run", "fixed list"};
  const drivers::TapeLayout& layout = self_of(object).program->layout();
  try {
    py::list list;
    for (const drivers::TapeSteps* steps :
         {&layout.per_call, &layout.constant_copies, &layout.copies, &layout.per_point})
      for (const TapeStep& step : steps->block) {
        py::list operands;
        for (int k = 0; k < 3; ++k)
          operands.append(py::make_tuple(access[static_cast<int>(step.access_of(k))], step.from[k]));
        list.append(py::make_tuple(name_of(step.code), step.count, step.to, operands));
      }
    return list.release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}
PyObject* n_slots(PyObject* object, void*) { return PyLong_FromLong(self_of(object).program->layout().n_slots); }

}  // namespace

void add_tape_program_type(PyObject* module) {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(ProgramObject, call), READONLY, nullptr}, {}};
  static PyMethodDef methods[] = {
      {"batch", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(batch)), METH_FASTCALL, nullptr}, {}};
  static PyGetSetDef properties[] = {{"n_instructions", n_instructions, nullptr, nullptr, nullptr},
                                     {"instructions", instructions, nullptr, nullptr, nullptr},
                                     {"n_slots", n_slots, nullptr, nullptr, nullptr},
                                     {}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)},
                                {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                                {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {Py_tp_getset, properties},
                                {Py_tp_doc, const_cast<char*>("A traced function, ready to run.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.TapeProgram", sizeof(ProgramObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC, slots};
  type = add_type(module, spec, "TapeProgram");
}

const TapeProgram* tape_program_of(PyObject* object) noexcept {
  return Py_IS_TYPE(object, type) ? self_of(object).program : nullptr;
}

drivers::TapeCallback tape_callback_of(PyObject* object) noexcept { return {call_python, self_of(object).callbacks}; }
drivers::TapeCallback tape_callback_by(PyObject* functions) noexcept { return {call_python, functions}; }

bool call_tape_program(PyObject* object, const double* x, const double* const* parameters, double* result) noexcept {
  const ProgramObject& self = self_of(object);
  return succeeded(drivers::evaluate_tape(*self.program, x, parameters, result, {call_python, self.callbacks}));
}

}  // namespace mmlfast::bind
