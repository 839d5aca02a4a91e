// Gaussian elimination of integer matrices modulo eight primes, or of eight integer matrices, at once: one residue
// class per SIMD lane. A driver puts the residues together to exact integers (Chinese remainder theorem).
//
// Residues are doubles in [-p/2, p/2] of primes p < 2^25, so every product is below 2^48 and sixteen of them add up
// without rounding: products are summed with fma() and reduced once per sixteen. All arithmetic is on integers that
// double holds exactly, so that results depend neither on the SIMD level nor on whether fma() rounds once or twice.
//
// echelon: one m x n matrix modulo eight primes, one per lane, with the same pivots in all of them.
//   a.low   IN       m x n, row by row; |low| <= 2^52
//   a.high  IN       null, or the same shape: the matrix is high * 2^32 + low
//   prime   IN       8 different primes in (2^24, 2^25)
//   order   IN, OUT  m: the order of the rows to begin with, and the one that pivoting led to
//   pivot   OUT      the columns of the pivots; room for min(m, n)
//   rank    OUT      how many they are
//   value   OUT      8 doubles: the product of the pivots, in [-p/2, p/2]: the determinant of the pivot columns of the
//                    first `rank` rows, taken in the order `order`
//   work    SCRATCH  echelon_vectors(m, n) vectors of 64 bytes, aligned; afterwards the factors for `reduced`
//   returns bit l for each lane whose prime divides a pivot that another lane has: its results mean nothing (`value`
//   and what follows from it), and another prime has to be taken
// The pivot of a column is in the first row where any lane has one.
//
// reduced: after echelon, the reduced row echelon form times the product of the pivots, at the free columns.
//   column  IN       n_free columns that are no pivots
//   form    OUT      rank x n_free x 8 doubles in [-p/2, p/2]
//
// upper: after echelon, the pivot rows of the echelon form, row t times the product of the t pivots above it, which
// makes its entries minors of the matrix.
//   form    OUT      rank x n x 8 doubles in [-p/2, p/2]
//
// small: eight m x n matrices modulo one prime each, one matrix per lane, each with pivots of its own. low and high
// have
//   8 doubles per element. value: the determinants (meaningful if m = n); rank: 8 numbers.
//   work    SCRATCH  small_vectors(m, n)
//
// Flops: 2/3 n^3 per prime for a square matrix and 5 more per element and sixteen pivots; reduced: rank^2 n_free. One
// modular inverse, a chain of some 13 divisions, per eight pivots.
// Bytes: 8 m n of scratch per prime. Accuracy: exact. Failure: only as said, an unlucky prime.
//
// Source: Dumas, Giorgi and Pernet, Dense linear algebra over word-size prime fields: the FFLAS and FFPACK packages,
// ACM TOMS 35(3), 2008 (delayed reduction of floating-point residues); von zur Gathen and Gerhard, Modern Computer
// Algebra, 3rd ed., section 5.5 (modular determinants).
//
//     round(numpy.linalg.det(a)) % p     (of small matrices: the determinant in floating point is not exact)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

struct IntegerMatrix {
  const double* low;
  const double* high;
};

struct ExactElimination {
  std::ptrdiff_t (*echelon_vectors)(std::ptrdiff_t m, std::ptrdiff_t n);
  LaneBits (*echelon)(const IntegerMatrix& a, std::ptrdiff_t m, std::ptrdiff_t n, const double* prime,
                      std::ptrdiff_t* order, std::ptrdiff_t* pivot, std::ptrdiff_t* rank, double* value, void* work);
  void (*reduced)(std::ptrdiff_t m, std::ptrdiff_t n, const double* prime, const std::ptrdiff_t* pivot,
                  std::ptrdiff_t rank, const std::ptrdiff_t* column, std::ptrdiff_t n_free, double* form, void* work);
  void (*upper)(std::ptrdiff_t m, std::ptrdiff_t n, const double* prime, const std::ptrdiff_t* pivot,
                std::ptrdiff_t rank, double* form, void* work);
  std::ptrdiff_t (*small_vectors)(std::ptrdiff_t m, std::ptrdiff_t n);
  void (*small)(const IntegerMatrix& a, std::ptrdiff_t m, std::ptrdiff_t n, const double* prime, double* value,
                double* rank, void* work);
};

MMLFAST_KERNEL_TABLE(ExactElimination, exact_elimination)

}  // namespace mmlfast
