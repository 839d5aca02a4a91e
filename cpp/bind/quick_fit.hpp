// Fits of a traced model without a detour through Python: for calls that ask for nothing out of the ordinary.
#pragma once

#include "bind/pybind.hpp"

namespace mmlfast::bind {

// Adds the class QuickFit.
void add_quick_fit(py::module_& m);

}  // namespace mmlfast::bind
