// Newton's method from many starts.
#pragma once

#include "drivers/tape_program.hpp"
#include "kernels/newton_many.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Of each start, in memory of the caller. begin IN: rows of `width` numbers, the first n of them unknowns and the
// others constants of the start. x OUT: rows of n, where the unknowns end. checkpoint (rows of n) and moved are work.
// n_iter OUT. status IN, OUT: zero at first.
struct NewtonStarts {
  Size count, n, width;
  const double* begin;
  double *x, *checkpoint, *moved;
  std::int32_t* n_iter;
  std::int8_t* status;  // NewtonStatus; `running` after max_iter steps
};

// The program gives n values, n n derivatives, and the second derivative if it gives one number more (n = 1). It must
// not call Python. parameters: as evaluate_tape takes them.
// n_converged: how many have come to rest; doubtful: some in so few steps, or by rounding, that it may be beside a
// pole.
Outcome newton_many(const TapeProgram& program, const double* const* parameters, const NewtonStarts& starts, double tol,
                    Size max_iter, Size& n_converged, bool& doubtful) noexcept;

}  // namespace mmlfast::drivers
