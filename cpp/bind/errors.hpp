// From an Outcome to a Python exception.
#pragma once

#include <cstddef>

#include "runtime/outcome.hpp"

namespace mmlfast::bind {

// Sets the Python exception that belongs to the outcome (none for ok). The GIL must be held.
void set_python_error(Outcome outcome, const char* failed_items_message) noexcept;

// Sets LinAlgError, with the attributes `first_failed` and `n_failed`, from which Python makes a message.
void raise_failed_items(const char* message, std::ptrdiff_t first_failed, std::ptrdiff_t n_failed) noexcept;

// Warns of an ill-conditioned matrix if the outcome says so. False if the warning has become an exception, which is
// then set. The GIL must be held.
bool warn_if_ill_conditioned(Outcome outcome) noexcept;

// Installs the interrupt check and the LAPACK loader in the runtime.
void install_runtime_hooks();

}  // namespace mmlfast::bind
