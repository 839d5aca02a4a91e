// Steps that converge slowly, made longer by what the last ones did: where residuals are large, those of Gauss and
// Newton leave the same part of the way each time.
//
// Source: Anderson, Iterative procedures for nonlinear integral equations, J. ACM 12 (1965); Walker and Ni, SIAM J.
// Numer. Anal. 49 (2011).
#pragma once

#include "runtime/aligned_buffer.hpp"
#include "runtime/non_copyable.hpp"

namespace mmlfast::drivers {

class LeastSquaresSecants : NonCopyable {
 public:
  LeastSquaresSecants(Size n, Divider& memory) noexcept;

  void forget() noexcept { n_known_ = n_steps_ = 0; }
  // At p the step would be s: what to take instead, in `better`. All in units of one kind. False: nothing is known yet,
  // or too little.
  bool improve(const double* p, const double* s, double* better) noexcept;

 private:
  static constexpr Size most = 8;

  const Size n_;
  double *p_, *s_, *column_;       // n: the last ones
  double *moved_, *changed_, *q_;  // n x most: differences of points and of their steps, and their QR
  double *r_, *weights_;           // most x most, most
  Size n_known_ = 0, n_steps_ = 0;
};

}  // namespace mmlfast::drivers
