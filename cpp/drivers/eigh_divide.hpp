// Eigenvalues and eigenvectors of one tridiagonal matrix, of 97 rows or more, by divide and conquer: it is divided into
// blocks for QL (drivers/eigh_sweeps.hpp), whose answers are joined two by two, over the threads of a team.
#pragma once

#include <cstdint>

#include "drivers/eigh_sweeps.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// A matrix is two blocks and rho u u': u is 1 in the last row of the upper one and 1 or -1 in the first row of the
// lower one, rho the size of their coupling, by which both elements of the diagonal are less. In terms of the
// eigenvectors of the blocks that is a diagonal matrix plus rho z z', whose eigenvalues are the roots of a sum of
// poles. Poles that are as good as equal, or whose z is as good as zero, are eigenvalues already (deflation). The z of
// which the computed roots are the exact ones gives eigenvectors that are orthogonal however close two roots are.
//
// Sources: J. J. M. Cuppen, A divide and conquer method for the symmetric tridiagonal eigenproblem, Numer. Math. 36,
// 1981; M. Gu and S. C. Eisenstat, A stable and efficient algorithm for the rank-one modification of the symmetric
// eigenproblem, SIAM J. Matrix Anal. Appl. 15, 1994; R.-C. Li, Solving secular equations stably and efficiently, LAPACK
// working note 89, 1993.
template <class T>
class TridiagonalDivide {
 public:
  explicit TridiagonalDivide(Size n) noexcept;

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept;

  // The eigenvalues, ascending, in place of d, and the eigenvectors in the columns of z (n x n); e (n numbers) is
  // overwritten. `work`: n round_up(n, lanes) numbers of scratch. failed_items if there is no answer.
  Outcome solve(Team& team, T* d, T* e, T* z, T* work) const noexcept;

 private:
  // Rows begin .. end of z are the eigenvectors of one block of the matrix, and before they are joined those of two.
  struct Node {
    Size begin, middle, end, place;  // place: of its numbers in arrays with margins
    double coupling;
  };
  // What of a node is joined: `kept` of its rows, at first those that are zero behind the middle, at last those that
  // are zero before it.
  struct Joint {
    Size kept = 0, upper = 0, lower = 0;
    double rho = 0;
  };

  Outcome solve_block(Size begin, Size end, T* d, T* e, T* z, T* work) const noexcept;
  Outcome join(Team& team, const Node& node, T* z, T* work) const noexcept;
  Joint deflate(const Node& node, T* z) const noexcept;
  void group_rows(const Node& node, Joint& joint) const noexcept;
  void find_vectors(Team& team, const Node& node, const Joint& joint) const noexcept;
  Outcome multiply(Team& team, const Node& node, const Joint& joint, T* z, T* work) const noexcept;
  void put_in_order(const Node& node, const Joint& joint) const noexcept;

  static constexpr Size margin = 8;  // the kernel reads so many numbers before and behind those of a node

  Size n_, blocks_, stride_;
  double* coupling_ = nullptr;
  // For each row of z: its eigenvalue, its element of z z', whether it is zero on one side of the middle.
  double *value_ = nullptr, *element_ = nullptr;
  std::int8_t* side_ = nullptr;
  // The rows of a node by their values; those that are joined, and then those that are not; the former by groups.
  std::int32_t *order_ = nullptr, *row_ = nullptr, *group_ = nullptr;
  // Of those that are joined, with margins.
  double *pole_ = nullptr, *size_ = nullptr, *weight_ = nullptr;
  double* difference_ = nullptr;  // n x stride
  T* factor_ = nullptr;           // n x n
};

}  // namespace mmlfast::drivers
