// Fits of one model to many data sets by Levenberg and Marquardt's method, eight at once: one in each SIMD lane, each
// its own solver. The driver evaluates the model, and takes lanes that are finished out and puts other fits in.
//
//   add_rows   IN  outputs   of the model at some rows: value f and its derivatives by the n parameters; vectors of
//                            eight lanes, row after row, `strides` numbers apart (0: one for all rows)
//                  y         rows vectors
//                  weights   rows vectors, 1 / sigma, 0 where a row is left out whatever is computed there; or nullptr
//              IN, OUT gram  n_sums(n) vectors: the lower triangle, row by row, of M'M summed over rows, where M has
//              the
//                            columns w df/dp_1 ... w df/dp_n, w (f - y); 0 at the beginning
//              SCRATCH work  (n + 1) rows vectors if n is more than most_in_registers
//   advance    IN, OUT       the state of eight fits, whose `trial` parameters were evaluated into `sums`: takes or
//                            refuses each step, and sets out the next one
//              returns       bit l set if lane l is not running (any more)
//   covariance IN gram       IN, OUT held: 1 for what a bound holds; 2 is added, for what has no influence at all
//              OUT inverse   n (n + 1) / 2 vectors: lower triangle, row by row, of the inverse of the other rows and
//                            columns of J'J, 0 elsewhere; condition: of these columns of J, of length 1, an estimate
//                            not below the true one nor above n times it
//              SCRATCH work  3 n (n + 1) / 2 + n vectors
//              returns       bit l set if the matrix of lane l is singular to working accuracy; inverse is NaN there
//
// Flops: rows (n + 1) (n + 2) a fit and iteration, and n^3 / 3 for each matrix factored, of which an iteration has one
// to twelve. Bytes: 64 (n + 3) a row out of the first cache. Accumulation in float64: rows of a block one after the
// other, and then blocks. Accuracy: parameters are those of a stationary point to about condition^2 u in units of
// standard errors; the condition may be up to 1e7, beyond which a lane says so. Units do not matter: scaling of y, or
// of a parameter, by powers of two changes no bit of the steps. Failure: see CurveFitState. NaN and infinite residuals
// are steps that are too long.
//
// Source: More, The Levenberg-Marquardt algorithm: implementation and theory, 1977, as in MINPACK's lmder and lmpar
// (steps, radius, parameter), on normal equations with columns scaled. Bounds by projection: parameters that a step
// would take out are put there and the others solved for again.
//
//     step = -numpy.linalg.solve(j.T @ j + damping * numpy.diag(scale**2), j.T @ r)   # and so on, for one lane:
//     mmlfast._reference.curve_fit_many
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Each array has vectors of eight lanes. Numbers of a state are doubles too, so that they are chosen by lane like all
// others.
struct CurveFitLanes {
  std::ptrdiff_t n;             // parameters
  double *x, *trial;            // n vectors: the best so far; what is to be evaluated next
  const double *lower, *upper;  // n vectors, or nullptr: no bounds
  double* scale;                // n vectors: lengths of columns, the longest so far
  double *gram, *sums;          // of x, of trial
  double *radius, *damping, *predicted, *slope, *length;
  double* data2;  // sum of (w y)^2
  double *evaluations, *accepted;
  double* state;
  double* held;  // n vectors: 1 where a parameter is held by a bound
  double* work;  // work_vectors(n) vectors
};

enum class CurveFitState : int {
  fresh = 0,  // trial was not evaluated yet
  running,
  converged,
  undetermined,  // converged, but some combination of parameters does not matter
  too_many,      // evaluations
  not_finite,    // at the start
  stagnated,     // no step makes the sum of squares smaller
};

struct CurveFit {
  void (*add_rows)(std::ptrdiff_t n, std::ptrdiff_t rows, const double* const* outputs, const std::ptrdiff_t* strides,
                   const double* y, const double* weights, double* gram, double* work);
  LaneBits (*advance)(const CurveFitLanes& lanes, double most_evaluations);
  LaneBits (*covariance)(std::ptrdiff_t n, const double* gram, double* held, double* inverse, double* condition,
                         double* work);
};

namespace curve_fit {
constexpr std::ptrdiff_t most_in_registers = 5;
constexpr std::ptrdiff_t n_sums(std::ptrdiff_t n) { return (n + 1) * (n + 2) / 2; }
constexpr std::ptrdiff_t triangle(std::ptrdiff_t n) { return n * (n + 1) / 2; }
constexpr std::ptrdiff_t work_vectors(std::ptrdiff_t n) { return 2 * triangle(n) + 7 * n; }
}  // namespace curve_fit

MMLFAST_KERNEL_TABLE(CurveFit, curve_fit_many_f64)

}  // namespace mmlfast
