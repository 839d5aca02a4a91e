// Residuals of a traced model of one point, at many points.
#pragma once

#include "bind/pybind.hpp"

namespace mmlfast::bind {

// Adds the class RowResiduals, after its base.
void add_row_residuals(py::module_& m);

}  // namespace mmlfast::bind
