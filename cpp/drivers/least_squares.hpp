// The least of 1/2 sum rho(r_i(p)^2) over lower <= p <= upper: Levenberg-Marquardt's method in More's form, with
// geodesic acceleration, and steps of Gauss and Newton at the end.
//
// Nothing here has a unit: what is small is small beside the residuals, the parameters or their influence. A problem
// whose parameters or residuals are multiplied by powers of two takes the same steps, to the bit.
//
// Sources: More, The Levenberg-Marquardt algorithm: implementation and theory, Lecture Notes in Mathematics 630 (1978);
// Transtrum and Sethna, arXiv:1201.5885 (2012), geodesic acceleration; Triggs, McLauchlan, Hartley and Fitzgibbon,
// Bundle adjustment, LNCS 1883 (2000), the scaling of robust losses.
#pragma once

#include <cstdint>

#include "runtime/non_copyable.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// What is squared and summed. Called by one thread at a time; a function that fails (a callback raised an exception)
// says so, and the search stops there and then.
class ResidualFunction : NonCopyable {
 public:
  enum class Answer : std::uint8_t { yes, no, stop };  // no: there is no such thing

  ResidualFunction(Size n_residuals, Size n_parameters) noexcept
      : n_residuals_(n_residuals), n_parameters_(n_parameters) {}
  virtual ~ResidualFunction() = default;

  Size n_residuals() const noexcept { return n_residuals_; }
  Size n_parameters() const noexcept { return n_parameters_; }

  // NaN and infinities say that p is no place to go to.
  virtual bool residuals(const double* p, double* r) noexcept = 0;
  // Column j, the derivatives by p[j], at columns + j * ld. r: the residuals at p.
  virtual bool jacobian(const double* p, const double* r, double* columns, Size ld) noexcept = 0;
  // The second derivative of each residual along v.
  virtual Answer second_derivative(const double*, const double*, double*) noexcept { return Answer::no; }
  // Residuals without the roundings of float64 on the way.
  virtual Answer precise_residuals(const double*, double*) noexcept { return Answer::no; }
  // Are derivatives exact, but for roundings?
  virtual bool is_exact() const noexcept { return true; }
  // Errors of what residuals are made of, relative to that.
  virtual double precision() const noexcept { return 0x1p-52; }
  // The end is near: derivatives as good as they can be had, please.
  virtual void refine() noexcept {}
  // After each step that was taken: whether to go on.
  virtual bool go_on(const double*, double /* cost */, Size /* evaluations */) noexcept { return true; }

 private:
  Size n_residuals_, n_parameters_;
};

// rho(z) for z = (r / scale)^2, times scale^2, as scipy.optimize.least_squares has them.
enum class Loss : std::uint8_t { linear, soft_l1, huber, cauchy, arctan, other };

// One of the caller's own.
class OtherLoss : NonCopyable {
 public:
  virtual ~OtherLoss() = default;
  // rho, its first and its second derivative, m numbers each, one after the other. False: stop.
  virtual bool rho(const double* z, Size m, double* three) noexcept = 0;
};

struct LeastSquaresOptions {
  const double* lower = nullptr;  // n, or none
  const double* upper = nullptr;
  const double* scale = nullptr;  // n: a typical change of each parameter; none: by its influence
  Loss loss = Loss::linear;
  double loss_scale = 1;
  OtherLoss* other_loss = nullptr;  // of Loss::other
  // The search ends where cost, parameters or the cosine between residuals and derivatives change or are by less.
  double ftol = 1e-8, xtol = 1e-8, gtol = 1e-8;
  Size max_evaluations = 1000;
  bool acceleration = true;
  double first_step = 100;  // at most, in lengths of the scaled parameters
};

// As scipy.optimize.least_squares has them, and what it has no words for.
enum class LeastSquaresStatus : std::int8_t {
  stagnation = -3,  // no step leads down, and this is no minimum to any precision that there is
  stopped = -2,     // go_on said so
  not_finite = -1,  // the residuals are NaN or infinite at the start
  out_of_evaluations = 0,
  gradient = 1,  // residuals are orthogonal to their derivatives
  cost = 2,      // the cost does not change any more
  step = 3,      // the parameters do not change any more
};

// Whoever calls owns the arrays.
struct LeastSquaresAnswer {
  double* p = nullptr;          // n, IN: the start (inside of the bounds), OUT: the end
  double* residuals = nullptr;  // m: there, before any loss
  // n x n, column-major: the triangle of the pivoted QR of the Jacobian, whose rows are scaled by the loss
  double* r = nullptr;
  std::int32_t* pivots = nullptr;  // n
  double* jacobian = nullptr;      // m x n, column-major, rows scaled by the loss; or none, as is
  double* gradient = nullptr;      // n: of the cost
  std::int8_t* active = nullptr;   // n: -1 at the lower bound and pressed against it, 1 at the upper, else 0

  Outcome outcome;
  LeastSquaresStatus status = LeastSquaresStatus::stagnation;
  double cost = 0;        // half the sum
  double optimality = 0;  // the largest cosine between the residuals and the derivatives by a parameter that is free
  double condition = 0;   // of the Jacobian with columns of length 1, by Frobenius's norm; infinity if rank < n
  std::int32_t rank = 0, rank_at_start = 0;
  Size n_evaluations = 0, n_jacobians = 0;
  bool accelerated = false, used_precise = false;
  // Parameters that made a difference at the start make none at the end, and the cost does not say that they are right.
  bool lost = false;
  std::int32_t n_searches = 1;  // 2: the first ended at no minimum, and another with shorter steps was tried
};

// No exception, no Python; from any thread.
void minimize_squares(ResidualFunction& function, const LeastSquaresOptions& options,
                      LeastSquaresAnswer& answer) noexcept;

}  // namespace mmlfast::drivers
