// Arguments of functions that run a TapeProgram by themselves: the program, its parameters, and arrays of the caller
// that they work in.
#pragma once

#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/tape_program_object.hpp"

namespace mmlfast::bind {

// A program that does not call Python, and the numbers of its parameters.
struct TapeArguments {
  const drivers::TapeProgram& program;
  std::vector<py::array> arrays;
  std::vector<const double*> parameters;

  TapeArguments(py::handle object, const py::tuple& given) : program(program_of(object)) {
    const auto& sizes = program.layout().group_sizes;
    if (given.size() + 1 != sizes.size()) throw py::type_error("parameters: an array for each group, please");
    for (std::size_t g = 0; g < given.size(); ++g) {
      auto array = py::reinterpret_steal<py::array>(
          PyArray_FROMANY(py::object(given[g]).ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
      if (!array) throw py::error_already_set();
      if (array.size() != sizes[g + 1]) throw py::value_error("parameters: wrong size");
      parameters.push_back(static_cast<const double*>(array.data()));
      arrays.push_back(std::move(array));
    }
  }

 private:
  static const drivers::TapeProgram& program_of(py::handle object) {
    const drivers::TapeProgram* program = tape_program_of(object.ptr());
    if (program == nullptr) throw py::type_error("program: not a TapeProgram");
    if (program->layout().calls_python) throw py::type_error("program: it calls Python");
    return *program;
  }
};

// The memory of an array that must have this type and size, to be written into.
template <class T>
T* work_of(const py::array& a, Size size, const char* name) {
  if (!py::isinstance<py::array_t<T>>(a) || a.size() != size || !PyArray_ISCARRAY(as_array(a.ptr())))
    throw py::type_error(std::string(name) + ": not a writable C-contiguous array of this type and size");
  return static_cast<T*>(PyArray_DATA(as_array(a.ptr())));
}

// The same, to be read.
inline const double* doubles_of(const py::array& a, Size size, const char* name) {
  if (!py::isinstance<py::array_t<double>>(a) || a.size() != size || !PyArray_ISCARRAY_RO(as_array(a.ptr())))
    throw py::type_error(std::string(name) + ": not a C-contiguous array of float64 of this size");
  return static_cast<const double*>(PyArray_DATA(as_array(a.ptr())));
}

}  // namespace mmlfast::bind
