// The short way into a loop, for calls with one small item: NumPy's machinery for broadcasting, casting and iterating
// costs more than solving a 3 x 3 system does.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bind/gufunc.hpp"

namespace mmlfast::bind {

// One loop of a gufunc: its body and the types of its operands.
struct TypedLoop {
  Outcome (*body)(GufuncFrame&);
  std::vector<int> types;
};

// The part of a gufunc that the short way needs to know. Lives as long as the process.
struct BatchedFunctionData {
  py::object ufunc;
  std::string name;
  const char* failed_items_message;  // nullptr: failed items are not an error
  int n_in, n_out;
  std::vector<std::vector<int>> core_dimensions;  // per operand, numbered in order of appearance
  int n_core_dimensions;
  std::vector<TypedLoop> loops;
};

inline constexpr int most_operands = 10, most_core_dimensions = 8;

// What came of a short call. `taken` is false if the arguments are not plain arrays of one small item, all of the exact
// types of a loop; then nothing has happened. Else either `outcome` is not good (an outcome with rcond < 1 is one to
// warn of), or `value` holds the result, or a Python exception is set.
struct ShortCall {
  bool taken = false;
  Outcome outcome;
  PyObject* value = nullptr;
};

enum class Integers { numpy, python };

// Calls a loop of f on its n_in arguments. Several results come as a tuple, or as a `result`, a type derived from tuple
// that adds nothing to its memory. Numbers are NumPy's scalars; integers among them Python's, if so wanted.
ShortCall short_call(const BatchedFunctionData& f, PyObject* const* args, PyTypeObject* result,
                     Integers integers) noexcept;

}  // namespace mmlfast::bind
