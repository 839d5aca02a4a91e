// States are saved as doubles, counts among them: what comes back may be anything.
#pragma once

#include <cmath>

namespace mmlfast::drivers {

// Is it a whole number, 0 <= x < below?
inline bool is_whole(double x, double below) noexcept { return x >= 0 && x < below && x == std::floor(x); }

}  // namespace mmlfast::drivers
