// The search through integers of 16 bits.
#pragma once

#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {

inline constexpr Size most_quantized_dimensions = 300'000;  // the rounding of a row stays below 300

// Queries too far out for the integers are left, in `left`, which has room for all.
template <class T>
Outcome search_quantized(const NeighborAnswer<T>& answer, Size* left, Size& n_left) noexcept;

}  // namespace mmlfast::drivers
