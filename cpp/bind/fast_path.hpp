// The fast path into a loop, for calls with one small item: NumPy's machinery for broadcasting, casting and iterating
// costs more than solving a 3 x 3 system does.
#pragma once

#include "bind/batched_function.hpp"

namespace mmlfast::bind {

// Are these the n_in arguments of f, all of them plain arrays without batch axes? A look at the number of axes: it is
// what a call with a batch costs.
inline bool is_one_item(const BatchedFunctionData& f, PyObject* const* args, Py_ssize_t n_args) noexcept {
  if (n_args != f.n_in) return false;
  for (int k = 0; k < f.n_in; ++k) {
    const int axes = f.core_dimensions[static_cast<std::size_t>(k)].count;
    if (!PyArray_CheckExact(args[k]) || PyArray_NDIM(as_array(args[k])) != axes) return false;
  }
  return true;
}

// What came of a fast call. `taken` is false if the arrays are not small, behaved and all of the exact types of a loop,
// or do not fit together; then nothing has happened. Else either `outcome` is not good (an outcome with rcond < 1 is
// one to warn of), or `value` holds the result, or a Python exception is set.
struct FastCall {
  bool taken = false;
  Outcome outcome;
  PyObject* value = nullptr;
};

enum class Integers { numpy, python };

// Calls a loop of f on arguments of which is_one_item is true. Several results come as a tuple, or as a `result`, a
// type derived from tuple that adds nothing to its memory. Numbers are NumPy's scalars; integers among them Python's,
// if so wanted.
FastCall fast_call(const BatchedFunctionData& f, PyObject* const* args, PyTypeObject* result,
                   Integers integers) noexcept;

}  // namespace mmlfast::bind
