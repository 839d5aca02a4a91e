// Newton's method from many starts.
#pragma once

#include "drivers/tape_program.hpp"
#include "kernels/newton_many.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Of each start, in memory of the caller. x IN, OUT: rows of `width` numbers, the first n of them unknowns and the
// others constants of the start. checkpoint (rows of n) and moved are work. n_iter, status OUT.
struct NewtonStarts {
  Size count, n, width;
  double *x, *checkpoint, *moved;
  std::int32_t* n_iter;
  std::int8_t* status;  // NewtonStatus; `running` after max_iter steps
};

// The program gives n values, n n derivatives, and the second derivative if it gives one number more (n = 1). It must
// not call Python. parameters: as evaluate_tape takes them.
Outcome newton_many(const TapeProgram& program, const double* const* parameters, const NewtonStarts& starts, double tol,
                    Size max_iter) noexcept;

}  // namespace mmlfast::drivers
