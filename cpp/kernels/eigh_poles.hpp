// What joins the two halves of a matrix that was divided: roots of a sum of poles, and the vectors that belong to them.
// For drivers/eigh_divide and drivers/svd_divide.
//
// Space::values: eigenvalues of a diagonal matrix d plus rho z z', the roots y of 1 / rho + sum z[i]^2 / (d[i] - y) =
// 0. Space::squares: singular values of a matrix with z in its first row, d behind the first place of its diagonal,
// d[0] = 0, and zeros elsewhere: the roots of 1 + sum z[i]^2 / (d[i]^2 - y^2) = 0; rho is 1.
//
// k poles d ascend, no two are equal, and z has no zeros. Before and behind the k there are pole_margin more, zeros for
// z and weights, -infinity and infinity for d.
//
//   root         difference   OUT  d[i] - y, or d[i]^2 - y^2, to rounding, for 0 <= i < round_up(k, pole_margin)
//                returns y, root j, which is between d[j] and d[j + 1]
//   weights      differences  IN   those of all roots, `stride` numbers from one to the next
//                weight       OUT  weight[i] for first <= i < first + pole_margin, < k: of the z, up to a factor, that
//                                  has exactly these roots (Gu and Eisenstat): vectors from it are orthogonal
//                                  however close two roots are
//   vector       difference   IN, OUT  those of one root; overwritten
//                vector       OUT  its eigenvector, of length one: element i is that of order[i]
//   two_vectors  difference   IN, OUT  those of one root; overwritten
//                left, right  OUT  its singular vectors, likewise
//
// Flops: some 5 for each pole and step of a root, of which there are 3 to 5, a division among them; k for each weight.
// Bytes: from the first two caches. Accumulation in float64, whatever T. Accuracy: sums at the roots are zero to
// rounding.
//
// Sources: M. Gu and S. C. Eisenstat, A stable and efficient algorithm for the rank-one modification of the symmetric
// eigenproblem, SIAM J. Matrix Anal. Appl. 15, 1994, and A divide-and-conquer algorithm for the bidiagonal SVD, 16,
// 1995; R.-C. Li, Solving secular equations stably and efficiently, LAPACK working note 89, 1993.
//
//     y = numpy.linalg.eigvalsh(numpy.diag(d) + rho * numpy.outer(z, z))
#pragma once

#include <cstdint>

#include "simd/level.hpp"

namespace mmlfast {

enum class Space { values, squares };

inline constexpr std::ptrdiff_t pole_margin = 8;

template <class T>
struct Poles {
  double (*root)(Space space, std::ptrdiff_t k, std::ptrdiff_t j, const double* d, const double* z, double rho,
                 double* difference);
  void (*weights)(Space space, std::ptrdiff_t k, std::ptrdiff_t first, const double* d, const double* z,
                  const double* differences, std::ptrdiff_t stride, double* weight);
  void (*vector)(std::ptrdiff_t k, const double* weight, double* difference, const std::int32_t* order, T* vector);
  void (*two_vectors)(std::ptrdiff_t k, const double* d, const double* weight, double* difference,
                      const std::int32_t* order, T* left, T* right);
};

MMLFAST_KERNEL_TABLES(Poles, eigh_poles)

}  // namespace mmlfast
