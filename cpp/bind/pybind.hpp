// pybind11, for the files of this folder that bind objects with a state or functions of unlike arguments. Batched
// functions do without it (bind/gufunc.hpp): it costs each file that includes it several seconds to compile.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bind/errors.hpp"
#include "bind/gil.hpp"
#include "bind/numpy_api.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::bind {

namespace py = pybind11;

// Throws what set_python_error sets.
inline void raise_unless_ok(Outcome outcome, const char* failed_items_message = "the computation failed") {
  if (outcome.ok()) return;
  set_python_error(outcome, failed_items_message);
  throw py::error_already_set();
}

// Calls a driver without the GIL.
template <class Call>
Outcome outcome_without_gil(Call&& call) {
  const ReleasedGil released;
  return call();
}
// And raises unless its outcome is good.
template <class Call>
void run_without_gil(Call&& call) {
  raise_unless_ok(outcome_without_gil(call));
}

// f(T{}), T being float or double: the type of the elements of x, which Python has seen to.
template <class F>
auto by_float_type(bool single, F&& f) {
  return single ? f(float{}) : f(double{});
}
template <class F>
auto by_float_type(const py::array& x, F&& f) {
  return by_float_type(x.itemsize() == 4, f);
}

inline py::module_ module_of(PyObject* module) { return py::reinterpret_borrow<py::module_>(module); }

}  // namespace mmlfast::bind
