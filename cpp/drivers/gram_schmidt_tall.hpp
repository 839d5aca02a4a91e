// Gram-Schmidt and QR of one tall matrix.
//
// R first, then Q = A R^-1 row by row: Q is as orthonormal as the columns of A are far from dependent. So a triangle R0
// that makes A R0^-1 well conditioned is enough to begin with, and the Gram matrix of A R0^-1, made on the fly in one
// reading of A, gives what is missing (CholeskyQR): Q = A R0^-1 R1^-1, R = R1 R0. Nothing but Q is ever written.
//
//   1. R0 = I if a sample of the rows says that the columns are far from dependent, else R of the sample (LAPACK's
//      way, rows evenly spread with a fixed seed): two readings of A and one writing of Q at any condition number. A
//      third triangle, and reading, if the Gram matrix of A R0^-1 asks for it.
//   2. If a Gram matrix is not safe to factor (the sample has missed something, or columns are dependent): R0 = R of
//      all rows by Householder on a tree (rfactor.hpp), without its dependent columns, and on as above.
//   3. If that fails, for columns at the very edge of dependence: TSQR, each chunk orthonormalised by itself, and then
//      the stack of their R factors, which is tall again.
//
// The Gram matrix of the Q that was written has the last word.
//
// Sources: Yamamoto et al., ETNA 44 (2015), CholeskyQR2; Balabanov, Randomized Cholesky QR factorizations,
// arXiv:2210.09953 (2022), and Higgins et al., arXiv:2309.05868: a randomly found triangle first.
#pragma once

#include "drivers/gram_schmidt_large.hpp"

namespace mmlfast::drivers {

// cgs2 of a tall matrix (m >= 4 n), whatever its condition and rank. `done` is left false if it holds NaN or infinity:
// nothing is promised of q then, and the caller takes another way.
template <class T>
Outcome tall_gram_schmidt(const LargeGramSchmidt<T>& item, bool& done) noexcept;

}  // namespace mmlfast::drivers
