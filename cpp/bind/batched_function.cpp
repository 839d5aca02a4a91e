#include "bind/batched_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "runtime/float_flags.hpp"

namespace mmlfast::bind {
namespace {

// Beyond this many elements in an operand the work outweighs NumPy's overhead, and the GIL should be released.
constexpr npy_intp most_elements = 1024;
constexpr int most_operands = 10, most_core_dimensions = 8;

struct BatchedFunction {
  PyObject_HEAD vectorcallfunc call;
  const BatchedFunctionData* data;
};

// The operands of one short call, in the form in which NumPy would present them to the loop.
struct Operands {
  char* args[most_operands];
  npy_intp dimensions[1 + most_core_dimensions];  // number of items, then the sizes of the core dimensions
  npy_intp steps[most_operands + 2 * most_operands];
  PyObject* outputs[most_operands] = {};
  int n_core_steps = 0;

  Operands(int n_core_dimensions) {
    dimensions[0] = 1;
    std::fill_n(dimensions + 1, n_core_dimensions, npy_intp{-1});
  }
  ~Operands() {
    for (PyObject* output : outputs) Py_XDECREF(output);
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;

  void add(const BatchedFunctionData& f, int operand, PyArrayObject* array) {
    args[operand] = PyArray_BYTES(array);
    steps[operand] = 0;
    npy_intp* core = steps + f.n_in + f.n_out;
    for (int k = 0; k < PyArray_NDIM(array); ++k) core[n_core_steps++] = PyArray_STRIDE(array, k);
  }
};

// False if this input is not one plain item of the loop's type.
bool add_input(const BatchedFunctionData& f, int operand, int type, PyObject* object, Operands& operands) {
  if (!PyArray_CheckExact(object)) return false;
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
  const std::vector<int>& core = f.core_dimensions[static_cast<std::size_t>(operand)];
  if (PyArray_TYPE(array) != type || PyArray_NDIM(array) != static_cast<int>(core.size()) ||
      !PyArray_ISBEHAVED_RO(array) || PyArray_SIZE(array) > most_elements)
    return false;
  for (std::size_t k = 0; k < core.size(); ++k) {
    npy_intp& size = operands.dimensions[1 + core[k]];
    const npy_intp here = PyArray_DIM(array, static_cast<int>(k));
    if (size != -1 && size != here) return false;
    size = here;
  }
  operands.add(f, operand, array);
  return true;
}

bool add_output(const BatchedFunctionData& f, int operand, int type, Operands& operands) {
  const std::vector<int>& core = f.core_dimensions[static_cast<std::size_t>(operand)];
  npy_intp shape[2];
  for (std::size_t k = 0; k < core.size(); ++k) shape[k] = operands.dimensions[1 + core[k]];
  PyObject* array = PyArray_SimpleNew(static_cast<int>(core.size()), shape, type);
  if (array == nullptr) return false;
  operands.outputs[operand - f.n_in] = array;
  operands.add(f, operand, reinterpret_cast<PyArrayObject*>(array));
  return true;
}

// Gives the outputs away, 0-d ones as scalars.
PyObject* results(const BatchedFunctionData& f, Operands& operands) {
  for (int k = 0; k < f.n_out; ++k) {
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(operands.outputs[k]);
    operands.outputs[k] = PyArray_Return(array);  // takes the reference
    if (operands.outputs[k] == nullptr) return nullptr;
  }
  if (f.n_out == 1) return std::exchange(operands.outputs[0], nullptr);
  PyObject* tuple = PyTuple_New(f.n_out);
  for (int k = 0; k < f.n_out && tuple != nullptr; ++k)
    PyTuple_SET_ITEM(tuple, k, std::exchange(operands.outputs[k], nullptr));
  return tuple;
}

const TypedLoop* loop_for(const BatchedFunctionData& f, PyObject* first) {
  if (!PyArray_CheckExact(first)) return nullptr;
  const int type = PyArray_TYPE(reinterpret_cast<PyArrayObject*>(first));
  for (const TypedLoop& loop : f.loops)
    if (loop.types[0] == type) return &loop;
  return nullptr;
}

PyObject* call(PyObject* self, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const BatchedFunctionData& f = *reinterpret_cast<BatchedFunction*>(self)->data;
  const auto to_ufunc = [&] { return PyObject_Vectorcall(f.ufunc.ptr(), args, n_args_and_flag, keywords); };
  if (PyVectorcall_NARGS(n_args_and_flag) != f.n_in || keywords != nullptr) return to_ufunc();
  const TypedLoop* loop = loop_for(f, args[0]);
  if (loop == nullptr) return to_ufunc();

  Operands operands(f.n_core_dimensions);
  for (int k = 0; k < f.n_in; ++k)
    if (!add_input(f, k, loop->types[static_cast<std::size_t>(k)], args[k], operands)) return to_ufunc();
  // A core dimension of the outputs alone (a size that NumPy would ask for) is not for the short way.
  if (std::find(operands.dimensions + 1, operands.dimensions + 1 + f.n_core_dimensions, -1) !=
      operands.dimensions + 1 + f.n_core_dimensions)
    return to_ufunc();
  for (int k = f.n_in; k < f.n_in + f.n_out; ++k)
    if (!add_output(f, k, loop->types[static_cast<std::size_t>(k)], operands)) return nullptr;

  GufuncFrame frame(operands.args, operands.dimensions, operands.steps, f.n_in + f.n_out);
  const Outcome outcome = loop->body(frame);
  clear_float_flags();
  const bool forgiven = outcome.status == Outcome::Status::failed_items && f.failed_items_message == nullptr;
  if (!outcome.ok() && !forgiven) {
    set_python_error(outcome, f.failed_items_message);
    return nullptr;
  }
  if (outcome.rcond != 1 && !warn_if_ill_conditioned(outcome)) return nullptr;
  return results(f, operands);
}

PyObject* get_ufunc(PyObject* self, void*) {
  PyObject* ufunc = reinterpret_cast<BatchedFunction*>(self)->data->ufunc.ptr();
  Py_INCREF(ufunc);
  return ufunc;
}

PyObject* represent(PyObject* self) {
  return PyUnicode_FromFormat("<mmlfast batched function '%s'>",
                              reinterpret_cast<BatchedFunction*>(self)->data->name.c_str());
}

PyTypeObject* make_type() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(BatchedFunction, call), READONLY, nullptr}, {}};
  static PyGetSetDef properties[] = {{"ufunc", get_ufunc, nullptr, "The generalized ufunc.", nullptr}, {}};
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_repr, reinterpret_cast<void*>(represent)},
                                {Py_tp_members, members},
                                {Py_tp_getset, properties},
                                {Py_tp_doc, const_cast<char*>("A batched function of mmlfast.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.BatchedFunction", sizeof(BatchedFunction), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyTypeObject* the_type() {
  static PyTypeObject* type = make_type();
  if (type == nullptr) throw py::error_already_set();
  return type;
}

}  // namespace

std::vector<std::vector<int>> parse_signature(const std::string& signature, int& n_core_dimensions) {
  std::vector<std::vector<int>> operands;
  std::vector<std::string> names;
  std::string name;
  for (const char c : signature) {
    if (c == '(') {
      operands.emplace_back();
    } else if (c == ',' || c == ')') {
      if (name.empty()) continue;  // a comma between operands, or "()"
      const auto known = std::find(names.begin(), names.end(), name);
      operands.back().push_back(static_cast<int>(known - names.begin()));
      if (known == names.end()) names.push_back(name);
      name.clear();
    } else if (c != '-' && c != '>' && c != ' ') {
      name += c;
    }
  }
  n_core_dimensions = static_cast<int>(names.size());
  return operands;
}

py::object batched_function_type() {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(the_type()));
}

py::object make_batched_function(BatchedFunctionData* data) {
  if (data->n_in + data->n_out > most_operands || data->n_core_dimensions > most_core_dimensions)
    throw std::logic_error("too many operands for a batched function: " + data->name);
  BatchedFunction* f = PyObject_New(BatchedFunction, the_type());
  if (f == nullptr) throw py::error_already_set();
  f->call = call;
  f->data = data;
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(f));
}

}  // namespace mmlfast::bind
