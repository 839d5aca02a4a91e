// From an Outcome to a Python exception.
#pragma once

#include "bind/gil.hpp"
#include "bind/numpy_api.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::bind {

// Sets the Python exception that belongs to the outcome (none for ok). The GIL must be held.
void set_python_error(Outcome outcome, const char* failed_items_message) noexcept;

// Warns of an ill-conditioned matrix if the outcome says so. False if the warning has become an exception, which is
// then set. The GIL must be held.
bool warn_if_ill_conditioned(Outcome outcome) noexcept;

// For functions bound with pybind11: throws what set_python_error sets.
inline void raise_unless_ok(Outcome outcome, const char* failed_items_message = "the computation failed") {
  if (outcome.ok()) return;
  set_python_error(outcome, failed_items_message);
  throw py::error_already_set();
}

// Installs the interrupt check and the LAPACK loader in the runtime.
void install_runtime_hooks();

}  // namespace mmlfast::bind
