// The last step of gram_schmidt_tall.hpp: each chunk of rows orthonormalised by itself, and then the stack of their R
// factors (TSQR).
#pragma once

#include "drivers/gram_schmidt_large.hpp"

namespace mmlfast::drivers {

// cgs2; `done` is left as it is if the matrix holds NaN or infinity: nothing is promised of q then.
template <class T>
Outcome gram_schmidt_by_chunks(const LargeGramSchmidt<T>& item, bool& done) noexcept;

}  // namespace mmlfast::drivers
