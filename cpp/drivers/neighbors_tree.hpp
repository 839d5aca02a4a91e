// The search in few dimensions: a tree of boxes rules out most points without looking at them.
#pragma once

#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {

// Whether a tree pays for being made, by the sizes alone.
bool suits_tree(Size n_queries, Size n_points, Size d, Size k) noexcept;

template <class T>
Outcome search_tree(const NeighborAnswer<T>& answer) noexcept;

}  // namespace mmlfast::drivers
