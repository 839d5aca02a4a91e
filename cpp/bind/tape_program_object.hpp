// A program as Python holds it: called with the numbers of one point, without any detour.
#pragma once

#include "bind/numpy_api.hpp"
#include "drivers/tape.hpp"

namespace mmlfast::bind {

// Adds the class TapeProgram.
void add_tape_program_type(PyObject* module);

// The program behind an object, or nullptr if it is none.
const drivers::TapeProgram* tape_program_of(PyObject* object) noexcept;

// What its Python functions are called by. The program keeps them alive.
drivers::TapeCallback tape_callback_of(PyObject* program) noexcept;
// The same of a tuple of functions, which the caller keeps alive.
drivers::TapeCallback tape_callback_by(PyObject* functions) noexcept;

// result[0 .. n_outputs) of one point. False with a Python exception set.
bool call_tape_program(PyObject* program, const double* x, const double* const* parameters, double* result) noexcept;

}  // namespace mmlfast::bind
