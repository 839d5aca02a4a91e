// The step of one iteration: the least |R s + z|^2 + damping |D s|^2, where R is the n x n triangle that is left of the
// Jacobian. Parameters may be held where they are, and steps may end at bounds.
//
// Everything is in the units of columns that were scaled to a length near 1.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/aligned_buffer.hpp"
#include "runtime/non_copyable.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

class LeastSquaresStep : NonCopyable {
 public:
  // Memory for n parameters, or what it takes. Columns of which no more than `singular` of the longest is left make R
  // singular.
  LeastSquaresStep(Size n, double singular, Divider& memory) noexcept;

  // r, z, pivots as kernels/least_squares.hpp has them; weights: D, by parameter. Parameters of weight 0 and those that
  // are held do not move.
  void take(const double* r, const double* z, const std::int32_t* pivots, const double* weights,
            const std::int8_t* held) noexcept;
  void expect(double singular) noexcept { singular_ = singular; }
  Size n_free() const noexcept { return n_free_; }

  // What of z the parameters that are free can take away: the length of that part, and of its largest component along a
  // column.
  double reachable() const noexcept;
  Size rank() const noexcept { return rank_; }
  // sqrt(sum of squares) of the rows of inverse(R D^-1): how much z's errors are worth in each parameter times its D.
  // False if R is singular.
  bool amplification(double* rows) const noexcept;

  // s (by parameter) for this damping. By another right-hand side if `z` is given (as long as the triangle).
  void solve(double damping, double* s, const double* z = nullptr) noexcept;
  // The damping by which |D s| is `radius`, to a tenth; 0 if s is shorter anyway. `damping`: a guess.
  double solve_within(double radius, double damping, double* s) noexcept;
  // s again, for bounds lower <= s <= upper (0 among them).
  void solve_between(double damping, const double* lower, const double* upper, double* s) noexcept;

  // |D s|.
  double length(const double* s) const noexcept;
  // |z|^2 - |R s + z|^2.
  double decrease(const double* s) noexcept;

 private:
  void drop_roundings() noexcept;
  void rotate(double damping, const double* z) noexcept;
  void back_substitute(double* s) const noexcept;
  void solve_subset(const std::int8_t* fixed, const double* at, double* s) noexcept;

  Size n_, n_free_ = 0, rank_ = 0;
  double singular_;
  const double *r_ = nullptr, *z_of_all_ = nullptr, *weights_ = nullptr;
  const std::int32_t* pivots_ = nullptr;
  double *t_, *z_;  // the triangle of the free columns, n_free x n_free, column-major, and its right-hand side
  double *s_, *y_;  // and those with damping
  double *row_, *small_, *work_, *at_, *solution_;
  std::int32_t* free_;  // which parameter each column of t is
  std::int8_t* fixed_;
};

}  // namespace mmlfast::drivers
