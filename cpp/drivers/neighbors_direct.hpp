// The search by differences in float64 alone: for few queries, few dimensions, few points, and queries far from all
// points.
#pragma once

#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {

// Whether so few queries go through the points as they lie, and find what is not finite on the way.
bool reads_rows_once(Size n_queries, Size d) noexcept;

// `which` are the rows of answer.x that are asked for; nullptr: the first n_queries.
template <class T>
Outcome search_directly(const NeighborAnswer<T>& answer, const Size* which, Size n_queries) noexcept;

}  // namespace mmlfast::drivers
