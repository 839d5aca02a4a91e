// The search by differences in float64 alone: for few queries, few dimensions, few points, and queries far from all
// points.
#pragma once

#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {

// `which` are the rows of answer.x that are asked for; nullptr: the first n_queries.
template <class T>
Outcome search_directly(const NeighborAnswer<T>& answer, const Size* which, Size n_queries) noexcept;

}  // namespace mmlfast::drivers
