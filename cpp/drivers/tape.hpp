// Evaluation of traced functions. One point: the instructions one after the other, in the program's own memory. Many:
// in blocks of some rows of eight points whose slots stay in the first cache, the blocks shared among threads; an
// instruction then takes all points of a block.
#pragma once

#include "drivers/tape_program.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// parameters[g - 1]: the numbers of input group g. result: layout().n_outputs numbers. Interrupted: a callback failed,
// and its exception is set.
Outcome evaluate_tape(const TapeProgram& program, const double* x, const double* const* parameters, double* result,
                      const TapeCallback& callback) noexcept;

// x: n_points rows of numbers without gaps, result likewise. With the bits of n_points single evaluations. Programs
// that call Python run in the calling thread, which then needs the GIL.
Outcome evaluate_tape_batch(const TapeProgram& program, Size n_points, const double* x, const double* const* parameters,
                            double* result, const TapeCallback& callback) noexcept;

// One point after the other with the same parameters, whose part of the work is done once.
class TapeEvaluator : NonCopyable {
 public:
  // The parameters are read here and not again.
  TapeEvaluator(const TapeProgram& program, const double* const* parameters, const TapeCallback& callback) noexcept;

  // Not ok: there was no memory, or a callback failed.
  const Outcome& outcome() const noexcept { return outcome_; }
  Outcome operator()(const double* x, double* result) const noexcept;

 private:
  const TapeProgram& program_;
  TapeCallback callback_;
  TapeProgram::Numbers numbers_;
  Outcome outcome_;
};

}  // namespace mmlfast::drivers
