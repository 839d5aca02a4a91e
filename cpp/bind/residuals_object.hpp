// Residuals as Python gives them: a traced model, or a function.
#pragma once

#include "bind/pybind.hpp"
#include "drivers/least_squares.hpp"

namespace mmlfast::bind {

// What minimize_squares takes.
class Residuals {
 public:
  virtual ~Residuals() = default;
  virtual drivers::ResidualFunction& function() noexcept = 0;
  virtual bool calls_python() const noexcept = 0;
  virtual Size n_difference_evaluations() const noexcept { return 0; }
  // Bounds of the search that begins, and what it tells of its steps.
  virtual void begin(const double* lower, const double* upper, py::object on_step) = 0;
};

// Adds the classes TapeResiduals and CallableResiduals.
void add_residuals(py::module_& m);

}  // namespace mmlfast::bind
