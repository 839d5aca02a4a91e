#include "bind/fast_path.hpp"

#include <numpy/arrayscalars.h>

#include <algorithm>
#include <utility>

#include "runtime/float_flags.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::bind {
namespace {

// Beyond this many elements in an operand the work outweighs NumPy's overhead, and the GIL should be released.
constexpr npy_intp most_elements = 1024;

// The operands of one fast call, in the form in which NumPy would present them to the loop.
class Operands : NonCopyable {
 public:
  Operands(const BatchedFunctionData& f, const TypedLoop& loop) noexcept : f_(f), loop_(loop) {
    // All of them, a number that is known: a call of memset would write under a mask, for which reads have to wait.
    std::fill_n(dimensions_ + 1, most_core_dimensions, npy_intp{-1});
    std::fill_n(outputs_, most_operands, nullptr);
    dimensions_[0] = 1;
  }
  ~Operands() {
    for (int k = 0; k < f_.n_out; ++k) Py_XDECREF(outputs_[k]);
  }

  // False if the array is not a small item of the loop's type, or its sizes are not those of the arrays before.
  bool add_input(int operand, PyArrayObject* array) noexcept {
    if (PyArray_TYPE(array) != type_of(operand) || !PyArray_ISBEHAVED_RO(array)) return false;
    const CoreDimensions& core = f_.core_dimensions[static_cast<std::size_t>(operand)];
    npy_intp elements = 1;
    for (int k = 0; k < core.count; ++k) {
      npy_intp& size = dimensions_[1 + core.number[static_cast<std::size_t>(k)]];
      const npy_intp here = PyArray_DIM(array, k);
      if ((size != -1 && size != here) || here > most_elements) return false;
      size = here;
      elements *= here;
    }
    add(operand, array);
    return elements <= most_elements;
  }

  // False with a Python exception set if there is no memory.
  bool add_output(int operand) noexcept {
    const CoreDimensions& core = f_.core_dimensions[static_cast<std::size_t>(operand)];
    const int k_out = operand - f_.n_in;
    if (core.count == 0) {
      numbers_[k_out] = 0;
      args_[operand] = reinterpret_cast<char*>(&numbers_[k_out]);
      steps_[operand] = 0;
      return true;
    }
    npy_intp shape[2];
    for (int k = 0; k < core.count; ++k) shape[k] = dimensions_[1 + core.number[static_cast<std::size_t>(k)]];
    outputs_[k_out] = PyArray_SimpleNew(core.count, shape, type_of(operand));
    if (outputs_[k_out] == nullptr) return false;
    add(operand, as_array(outputs_[k_out]));
    return true;
  }

  // Is there a core dimension of the outputs alone? That is a size that NumPy would ask for.
  bool all_sizes_known() const noexcept {
    const npy_intp* end = dimensions_ + 1 + f_.n_core_dimensions;
    return std::find(dimensions_ + 1, end, npy_intp{-1}) == end;
  }

  Outcome run() noexcept {
    GufuncFrame frame(args_, dimensions_, steps_, f_.n_operands());
    return loop_.body(frame);
  }

  // Gives the outputs away.
  PyObject* results(PyTypeObject* result, Integers integers) noexcept {
    for (int k = 0; k < f_.n_out; ++k) {
      if (outputs_[k] != nullptr) continue;
      outputs_[k] = to_scalar(type_of(f_.n_in + k), &numbers_[k], integers);
      if (outputs_[k] == nullptr) return nullptr;
    }
    if (f_.n_out == 1) return std::exchange(outputs_[0], nullptr);
    PyObject* tuple = result == nullptr ? PyTuple_New(f_.n_out) : result->tp_alloc(result, f_.n_out);
    for (int k = 0; k < f_.n_out && tuple != nullptr; ++k)
      PyTuple_SET_ITEM(tuple, k, std::exchange(outputs_[k], nullptr));
    return tuple;
  }

 private:
  int type_of(int operand) const noexcept { return loop_.types[static_cast<std::size_t>(operand)]; }

  void add(int operand, PyArrayObject* array) noexcept {
    args_[operand] = PyArray_BYTES(array);
    steps_[operand] = 0;
    npy_intp* core = steps_ + f_.n_operands();
    for (int k = 0; k < PyArray_NDIM(array); ++k) core[n_core_steps_++] = PyArray_STRIDE(array, k);
  }

  static PyObject* to_scalar(int type, void* number, Integers integers) noexcept {
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

  const BatchedFunctionData& f_;
  const TypedLoop& loop_;
  int n_core_steps_ = 0;
  char* args_[most_operands];
  npy_intp dimensions_[1 + most_core_dimensions];  // number of items, then the sizes of the core dimensions
  npy_intp steps_[most_operands + 2 * most_operands];
  PyObject* outputs_[most_operands];      // arrays
  std::uint64_t numbers_[most_operands];  // outputs without dimensions
};

// From the end: integers come first, floating point is more common.
const TypedLoop* loop_for(const BatchedFunctionData& f, PyObject* const* args) noexcept {
  const int type = PyArray_TYPE(as_array(args[0])), second = f.n_in > 1 ? PyArray_TYPE(as_array(args[1])) : -1;
  for (std::size_t k = f.loops.size(); k-- > 0;) {
    const TypedLoop& loop = f.loops[k];
    if (loop.types[0] == type && (second == -1 || loop.types[1] == second)) return &loop;
  }
  return nullptr;
}

}  // namespace

FastCall fast_call(const BatchedFunctionData& f, PyObject* const* args, PyTypeObject* result,
                   Integers integers) noexcept {
  FastCall call;
  const TypedLoop* loop = loop_for(f, args);
  if (loop == nullptr) return call;
  Operands operands(f, *loop);
  for (int k = 0; k < f.n_in; ++k)
    if (!operands.add_input(k, as_array(args[k]))) return call;
  if (!operands.all_sizes_known()) return call;
  call.taken = true;
  for (int k = f.n_in; k < f.n_operands(); ++k)
    if (!operands.add_output(k)) return call;

  call.outcome = operands.run();
  clear_float_flags();
  if (call.outcome.status == Outcome::Status::failed_items && f.failed_items_message == nullptr) call.outcome = {};
  if (call.outcome.ok()) call.value = operands.results(result, integers);
  return call;
}

}  // namespace mmlfast::bind
