// What Python gets for each batched function: a callable around the generalized ufunc.
//
// A call with plain positional arrays that are one item each (no batch axes, the exact dtype of a loop, small) goes
// straight to the loop body (bind/fast_path.hpp). Every other call goes to the ufunc (bind/ufunc_call.hpp). Both ways
// run the same loop body on the same memory, so they give the same bits. The ufunc itself is the attribute `ufunc`.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bind/gufunc.hpp"

namespace mmlfast::bind {

inline constexpr int most_operands = 10, most_core_dimensions = 8;

// The core dimensions of one operand, numbered in the order in which they appear in the signature.
struct CoreDimensions {
  int count = 0;
  std::array<int, 2> number{};
};

struct BatchedFunctionData;

// One loop of a gufunc, and what it gets to know besides the arrays.
struct TypedLoop {
  LoopBody body;
  std::array<char, most_operands> types;  // NumPy's type numbers
  const BatchedFunctionData* function;
};

// Lives as long as the process: NumPy keeps pointers into it.
struct BatchedFunctionData {
  BatchedFunctionData(std::string name_of, const char* message)
      : name(std::move(name_of)), failed_items_message(message) {}

  std::string name;
  const char* failed_items_message;  // nullptr: failed items are not an error
  int n_in = 0, n_out = 0, n_core_dimensions = 0;
  std::array<CoreDimensions, most_operands> core_dimensions;
  std::vector<TypedLoop> loops;
  PyObject* ufunc = nullptr;

  int n_operands() const noexcept { return n_in + n_out; }
};

// Adds the type of these callables to the module.
void add_batched_function_type(PyObject* module);

// nullptr if the object is not one of them.
const BatchedFunctionData* data_of_batched_function(PyObject* object) noexcept;

// The callable, a new reference.
PyObject* make_batched_function(const BatchedFunctionData* data);

}  // namespace mmlfast::bind
