// Sixteen rankings of one graph at once, one strongly connected component after the other
// (kernels/pagerank_components.hpp): solutions in float64, refined by corrections in float32. A component is swept
// until what changes in it is as small as its part of what the correction may leave; one ranking that is there stays as
// it is while its neighbours go on, and a ranking that is good enough is put down at once: its bits do not depend on
// its neighbours.
#pragma once

#include "drivers/common/link_components.hpp"
#include "drivers/pagerank.hpp"

namespace mmlfast::drivers {

// Larger components do not stay in cache, and many sweeps are for an accelerated iteration.
inline constexpr Size most_component_rows = Size{1} << 18;

// Whether the plain iteration may have the sweeps that it can need.
bool suits_components(const RankStop& stop);

// Rankings which[0] .. which[count - 1] of the table, some of which may be left undone.
Outcome rank_components(const LinkComponents& components, const Size* which, Size count, const RankTable& table);

}  // namespace mmlfast::drivers
