#include "bind/failed_items.hpp"

#include "bind/errors.hpp"

namespace mmlfast::bind {
namespace {

thread_local FailedItems* innermost = nullptr;

npy_intp bytes_of(char type) noexcept {
  switch (type) {
    case NPY_DOUBLE:
    case NPY_INT64:
    case NPY_UINT64:
      return 8;
    case NPY_BOOL:
      return 1;
    default:
      return 4;
  }
}

}  // namespace

FailedItems::FailedItems(const BatchedFunctionData& f) noexcept : function_(f), outer_(innermost) { innermost = this; }
FailedItems::~FailedItems() { innermost = outer_; }

FailedItems* FailedItems::of(const BatchedFunctionData& f) noexcept {
  return innermost != nullptr && &innermost->function_ == &f ? innermost : nullptr;
}

void FailedItems::add(const TypedLoop& loop, char* const* args, const npy_intp* dimensions, const npy_intp* steps,
                      const Outcome& outcome) noexcept {
  const auto result = static_cast<std::size_t>(function_.n_in);
  if (n_items_ == 0) {
    first_item_ = args[result];
    item_bytes_ = bytes_of(loop.types[result]);
    const CoreDimensions& core = function_.core_dimensions[result];
    for (int k = 0; k < core.count; ++k) item_bytes_ *= dimensions[1 + core.number[static_cast<std::size_t>(k)]];
  }
  adjacent_ = adjacent_ && args[result] == first_item_ + n_items_ * item_bytes_ &&
              (dimensions[0] == 1 || steps[result] == item_bytes_);
  if (outcome.status == Outcome::Status::failed_items) {
    if (n_failed_ == 0) first_failed_ = n_items_ + outcome.first_failed();
    n_failed_ += outcome.n_failed();
  }
  n_items_ += dimensions[0];
}

bool FailedItems::in_order(PyObject* results) const noexcept {
  PyObject* first = PyTuple_Check(results) ? PyTuple_GET_ITEM(results, 0) : results;
  if (!PyArray_Check(first)) return n_items_ == 1;
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(first);
  return adjacent_ && PyArray_BYTES(array) == first_item_ && PyArray_IS_C_CONTIGUOUS(array);
}

void FailedItems::raise() const noexcept {
  raise_failed_items(function_.failed_items_message, first_failed_, n_failed_);
}

}  // namespace mmlfast::bind
