// Eight rankings of one graph at once, one per SIMD lane, so that one random access to memory serves all of them:
// rounds of a few sweeps of block Gauss-Seidel and a step of the power method, which tells the residual, and from round
// to round Anderson's acceleration: of what the last few rounds changed, that is added again which makes the residual
// least. A ranking that is good enough is put down at once: its bits do not depend on its neighbours.
#pragma once

#include "drivers/pagerank.hpp"

namespace mmlfast::drivers {

// Rankings which[0] .. which[count - 1] of the table.
Outcome rank_in_lanes(const Links& links, const Size* which, Size count, const RankTable& table);

}  // namespace mmlfast::drivers
