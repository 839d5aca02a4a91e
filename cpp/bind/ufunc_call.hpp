// A call of a generalized ufunc, with what NumPy does not look after:
//
// - An operand that shares memory with `out` is copied first. NumPy takes an operand and a result in the same place for
//   elementwise work; a kernel goes on reading operands after it has written results.
// - 64-bit integers for a loop of floats are refused where float64 would round them.
// - Dask arrays go to mmlfast._common.lazy, which knows what dtype results. Dask itself would try the function on ones.
#pragma once

#include <cstddef>

#include "bind/batched_function.hpp"

namespace mmlfast::bind {

// Not noexcept: at the end of the interpreter NumPy ends a daemon thread that waits for the GIL by unwinding its stack.
// `function` is the Python object of f; the other arguments are those of a vectorcall.
PyObject* call_ufunc(PyObject* function, const BatchedFunctionData& f, PyObject* const* args,
                     std::size_t n_args_and_flag, PyObject* keywords);

}  // namespace mmlfast::bind
