// Eigenvalues and eigenvectors of one tridiagonal matrix, of 97 rows or more, by divide and conquer: it is divided into
// blocks for QL (drivers/eigh_sweeps.hpp), whose answers are joined two by two, over the threads of a team.
#pragma once

#include "drivers/common/joints.hpp"
#include "drivers/eigh_sweeps.hpp"

namespace mmlfast::drivers {

// A matrix is two blocks and rho u u': u is 1 in the last row of the upper one and 1 or -1 in the first row of the
// lower one, rho the size of their coupling, by which both elements of the diagonal are less. In terms of the
// eigenvectors of the blocks that is a diagonal matrix plus rho z z'.
//
// Source: J. J. M. Cuppen, A divide and conquer method for the symmetric tridiagonal eigenproblem, Numer. Math. 36,
// 1981; see also kernels/eigh_poles.hpp.
template <class T>
class TridiagonalDivide {
 public:
  explicit TridiagonalDivide(Size n) noexcept : n_(n), blocks_(blocks_of(n)), joints_(n) {}

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept;

  // The eigenvalues, ascending, in place of d, and the eigenvectors in the columns of z (n x n); e (n numbers) is
  // overwritten. failed_items if there is no answer.
  Outcome solve(Team& team, T* d, T* e, T* z) const noexcept;

 private:
  Outcome solve_block(Size begin, Size end, T* d, T* e, T* z) const noexcept;
  Outcome join(Team& team, const DividedNode& node, double coupling, T* z) const noexcept;

  Size n_, blocks_;
  Joints<T> joints_;
  double* coupling_ = nullptr;
  T* factor_ = nullptr;  // n x n
};

}  // namespace mmlfast::drivers
