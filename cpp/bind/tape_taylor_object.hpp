// Plans for Taylor series as Python holds them.
#pragma once

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// Adds the class TaylorPlan.
void add_taylor_plan_type(PyObject* module);

}  // namespace mmlfast::bind
