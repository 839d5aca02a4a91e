// Singular values and vectors of one square upper bidiagonal matrix, of more than most_undivided rows, by divide and
// conquer: it is divided into blocks for LAPACK's QR sweeps, whose answers are joined two by two, over the threads of a
// team.
#pragma once

#include "drivers/common/joints.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

// A matrix is two blocks and a row between them. The upper block has a column more than rows, and so has the lower one
// unless it ends the matrix: the vector that such a block takes to zero has the place of the row behind it. In terms of
// the vectors of both blocks the matrix is a diagonal one with that row as its first.
//
// Source: M. Gu and S. C. Eisenstat, A divide-and-conquer algorithm for the bidiagonal SVD, SIAM J. Matrix Anal. Appl.
// 16, 1995; see also kernels/eigh_poles.hpp.
template <class T>
class BidiagonalDivide {
 public:
  BidiagonalDivide(Size n, const LapackRoutines<T>& routines) noexcept
      : n_(n), blocks_(blocks_of(n)), joints_(n), routines_(routines) {}

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept;

  // The singular values, ascending, in place of the diagonal d, and their left and right vectors in the rows of u and v
  // (n x n); e, the n - 1 numbers beside the diagonal, is overwritten. failed_items if there is no answer.
  Outcome solve(Team& team, T* d, T* e, T* u, T* v) const noexcept;

 private:
  // Rows of the matrix, and their columns; one more if it is `wide`.
  struct Range {
    Size begin, end, first_block;
    bool wide;
    Size middle() const noexcept { return (begin + end) / 2; }
  };
  Range range(Size i, Size ranges) const noexcept;
  Outcome solve_block(const Range& r, T* d, T* e, T* u, T* v) const noexcept;
  Outcome join(Team& team, const Range& r, T alpha, T beta, T* u, T* v) const noexcept;

  Size n_, blocks_;
  Joints<T> joints_;
  const LapackRoutines<T>& routines_;
  T *left_ = nullptr, *right_ = nullptr;  // n x n
};

}  // namespace mmlfast::drivers
