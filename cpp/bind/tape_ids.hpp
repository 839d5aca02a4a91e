// Ids of a tape's values between Python, where they are int32 arrays, and the drivers.
#pragma once

#include <algorithm>
#include <string>

#include "bind/pybind.hpp"
#include "drivers/tape_graph.hpp"

namespace mmlfast::bind {

// An argument as ids of `graph`, which it keeps alive: all of an array in C order; None is no ids.
class TapeArgument {
 public:
  TapeArgument(const drivers::TapeGraph& graph, py::handle argument, const char* name, bool may_lack = false) {
    if (argument.is_none()) return;
    array_ = py::reinterpret_steal<py::array>(
        PyArray_FROMANY(argument.ptr(), NPY_INT32, 0, 0, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST));
    if (!array_) throw py::error_already_set();
    ids_ = {static_cast<const drivers::TapeId*>(array_.data()), static_cast<std::size_t>(array_.size())};
    const drivers::TapeId lowest = may_lack ? -1 : 0, end = graph.n_values();
    if (!std::all_of(ids_.begin(), ids_.end(), [=](drivers::TapeId id) { return id >= lowest && id < end; }))
      throw py::value_error(std::string(name) + ": not ids of this graph");
  }
  operator drivers::TapeView() const noexcept { return ids_; }
  std::size_t size() const noexcept { return ids_.size(); }

 private:
  py::array array_ = py::reinterpret_steal<py::array>(nullptr);
  drivers::TapeView ids_;
};

inline py::array ids_to_python(drivers::TapeView ids) {
  npy_intp size = static_cast<npy_intp>(ids.size());
  auto array = py::reinterpret_steal<py::array>(PyArray_SimpleNew(1, &size, NPY_INT32));
  if (!array) throw py::error_already_set();
  std::copy(ids.begin(), ids.end(), static_cast<drivers::TapeId*>(PyArray_DATA(as_array(array.ptr()))));
  return array;
}

// What a graph answered, unless it could not hold it.
inline py::array ids_to_python(const drivers::TapeGraph& graph, drivers::TapeView ids) {
  if (graph.is_full()) {
    PyErr_SetString(PyExc_MemoryError, "the traced function has more than 2147483647 values");
    throw py::error_already_set();
  }
  return ids_to_python(ids);
}

}  // namespace mmlfast::bind
