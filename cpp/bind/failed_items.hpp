// Which items of a whole call have no answer: NumPy gives a batch to its loops in pieces.
#pragma once

#include "bind/batched_function.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::bind {

// While one lives, the loops of f that run in this thread report to it what they would raise for failed items.
class FailedItems : NonCopyable {
 public:
  explicit FailedItems(const BatchedFunctionData& f) noexcept;
  ~FailedItems();

  // Of this thread and function, or nullptr.
  static FailedItems* of(const BatchedFunctionData& f) noexcept;

  // One piece, as a loop sees it.
  void add(const TypedLoop& loop, char* const* args, const npy_intp* dimensions, const npy_intp* steps,
           const Outcome& outcome) noexcept;

  bool any() const noexcept { return n_failed_ > 0; }
  // Were the items visited in the order of their indices? `results`: what the ufunc returned.
  bool in_order(PyObject* results) const noexcept;
  // Sets LinAlgError, with the attributes `first_failed`, a number in C order, and `n_failed`.
  void raise() const noexcept;

 private:
  const BatchedFunctionData& function_;
  FailedItems* outer_;
  npy_intp n_items_ = 0, first_failed_ = 0, n_failed_ = 0, item_bytes_ = 0;
  const char* first_item_ = nullptr;  // of the first result
  bool adjacent_ = true;
};

}  // namespace mmlfast::bind
