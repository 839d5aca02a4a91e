// Gradient descent of many runs: of starts, of rates, of momenta.
#pragma once

#include "drivers/tape_program.hpp"
#include "kernels/gradient_descent.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

enum class DescentForm : int { momentum, nesterov, backtracking };

// Of each run, in memory of the caller. x, velocity, start: rows of n. x, velocity, rate, n_iter, status IN, OUT: a run
// whose status is `running` goes on from there. path: nullptr, or for each run max_iter + 1 rows of n, of which the
// ones that are reached are set.
struct DescentRuns {
  Size count, n;
  double *x, *velocity, *rate;
  const double *start, *momentum, *tol;
  std::int32_t* n_iter;
  std::int8_t* status;
  double* path;
  Size* n_evaluations;  // of each run
};

// The program gives the n derivatives, for backtracking the value before them. It must not call Python.
Outcome gradient_descent(const TapeProgram& program, const double* const* parameters, const DescentRuns& runs,
                         DescentForm form, Size max_iter) noexcept;

}  // namespace mmlfast::drivers
