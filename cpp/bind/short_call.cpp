#include "bind/short_call.hpp"

#include <numpy/arrayscalars.h>

#include <algorithm>
#include <utility>

#include "runtime/float_flags.hpp"

namespace mmlfast::bind {
namespace {

// Beyond this many elements in an operand the work outweighs NumPy's overhead, and the GIL should be released.
constexpr npy_intp most_elements = 1024;

// The operands of one short call, in the form in which NumPy would present them to the loop.
struct Operands {
  char* args[most_operands];
  npy_intp dimensions[1 + most_core_dimensions];  // number of items, then the sizes of the core dimensions
  npy_intp steps[most_operands + 2 * most_operands];
  PyObject* outputs[most_operands] = {};      // arrays
  std::uint64_t numbers[most_operands] = {};  // outputs without dimensions
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
  const int k_out = operand - f.n_in;
  if (core.empty()) {
    operands.args[operand] = reinterpret_cast<char*>(&operands.numbers[k_out]);
    operands.steps[operand] = 0;
    return true;
  }
  npy_intp shape[2];
  for (std::size_t k = 0; k < core.size(); ++k) shape[k] = operands.dimensions[1 + core[k]];
  PyObject* array = PyArray_SimpleNew(static_cast<int>(core.size()), shape, type);
  if (array == nullptr) return false;
  operands.outputs[k_out] = array;
  operands.add(f, operand, reinterpret_cast<PyArrayObject*>(array));
  return true;
}

PyObject* to_scalar(int type, void* number, Integers integers) {
  if (type == NPY_DOUBLE) {
    PyObject* scalar = PyArrayScalar_New(Double);
    if (scalar != nullptr) PyArrayScalar_ASSIGN(scalar, Double, *static_cast<double*>(number));
    return scalar;
  }
  if (type == NPY_INT64 && integers == Integers::python)
    return PyLong_FromLongLong(*static_cast<std::int64_t*>(number));
  PyArray_Descr* description = PyArray_DescrFromType(type);
  PyObject* scalar = PyArray_Scalar(number, description, nullptr);
  Py_DECREF(description);
  return scalar;
}

// Gives the outputs away.
PyObject* results(const BatchedFunctionData& f, const TypedLoop& loop, Operands& operands, PyTypeObject* result,
                  Integers integers) {
  for (int k = 0; k < f.n_out; ++k) {
    if (operands.outputs[k] != nullptr) continue;
    operands.outputs[k] = to_scalar(loop.types[static_cast<std::size_t>(f.n_in + k)], &operands.numbers[k], integers);
    if (operands.outputs[k] == nullptr) return nullptr;
  }
  if (f.n_out == 1) return std::exchange(operands.outputs[0], nullptr);
  PyObject* tuple = result == nullptr ? PyTuple_New(f.n_out) : result->tp_alloc(result, f.n_out);
  for (int k = 0; k < f.n_out && tuple != nullptr; ++k)
    PyTuple_SET_ITEM(tuple, k, std::exchange(operands.outputs[k], nullptr));
  return tuple;
}

int type_of(PyObject* object) {
  return PyArray_CheckExact(object) ? PyArray_TYPE(reinterpret_cast<PyArrayObject*>(object)) : -1;
}

const TypedLoop* loop_for(const BatchedFunctionData& f, PyObject* const* args) {
  const int type = type_of(args[0]), second = f.n_in > 1 ? type_of(args[1]) : 0;
  for (const TypedLoop& loop : f.loops)
    if (loop.types[0] == type && (f.n_in == 1 || loop.types[1] == second)) return &loop;
  return nullptr;
}

}  // namespace

ShortCall short_call(const BatchedFunctionData& f, PyObject* const* args, PyTypeObject* result,
                     Integers integers) noexcept {
  ShortCall call;
  const TypedLoop* loop = loop_for(f, args);
  if (loop == nullptr) return call;
  Operands operands(f.n_core_dimensions);
  for (int k = 0; k < f.n_in; ++k)
    if (!add_input(f, k, loop->types[static_cast<std::size_t>(k)], args[k], operands)) return call;
  // A core dimension of the outputs alone (a size that NumPy would ask for) is not for the short way.
  const npy_intp* end = operands.dimensions + 1 + f.n_core_dimensions;
  if (std::find(operands.dimensions + 1, const_cast<npy_intp*>(end), -1) != end) return call;
  call.taken = true;
  for (int k = f.n_in; k < f.n_in + f.n_out; ++k)
    if (!add_output(f, k, loop->types[static_cast<std::size_t>(k)], operands)) return call;

  GufuncFrame frame(operands.args, operands.dimensions, operands.steps, f.n_in + f.n_out);
  call.outcome = loop->body(frame);
  clear_float_flags();
  if (call.outcome.status == Outcome::Status::failed_items && f.failed_items_message == nullptr)
    call.outcome.status = Outcome::Status::ok;
  if (call.outcome.ok()) call.value = results(f, *loop, operands, result, integers);
  return call;
}

}  // namespace mmlfast::bind
