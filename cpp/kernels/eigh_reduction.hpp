// The reduction of one matrix to tridiagonal or bidiagonal form by reflections H = 1 - tau v v', column after column. A
// matrix waits for what the reflections of a panel add to it, so that the products with it, which are half of the work,
// are all that read it. For drivers/eigh_reduction and, with vectors that differ for rows and columns,
// drivers/svd_reduction.
//
// All rows are contiguous, start at multiples of 64 bytes from each other and are padded with zeros up to a multiple of
// reduction_tile. Ranges begin and end at such multiples.
//
//   reflect    x       IN, OUT  number j and what is behind it, with zeros before: becomes v, whose number j is 1
//              beta    OUT  what H makes of x[j]; the others become zero
//              returns tau; 0 where there is nothing to do
//   symmetric  a       IN   n x n, symmetric: of row i, the columns from the tile of i on
//              v       IN   zero before number `first`
//              y       OUT  the part of a v, from the tile of `first` on, that the rows of tiles part, part + parts, ..
//                           give: all parts together are a v
//   multiply   a       IN   rows x `end`; those from `first` on, again of every parts-th tile, are worked on
//              v       IN   zero before number `begin`
//              y       OUT  a v, in these rows
//   transposed u       IN   zero before number `first`
//              y       OUT  the part of a' u, from `begin` to `end`, that the rows of these tiles give
//   correct    left, right  IN  `count` vectors each, `step` apart
//              y       OUT  the sum of `parts` vectors, sums_step apart, and of the vectors times y_left, y_right
//              next    OUT  the sum of `row` and of the vectors times next_left, next_right
//              y may lie where one of the vectors is
//   dots       dot     OUT  products of n vectors, `step` apart, with v
//   finish     y       IN   A v, of the matrix so far
//                      OUT  -tau y, so that A H = A + y v'; where v is not nullptr, A is symmetric and y becomes
//                           -tau y + tau^2 / 2 (v'y) v, so that H A H = A + v y' + y v'
//              next    IN, OUT  a row of A: what is added to it where v is 1, y; and y[j] v, if there is v
//   add        c       IN, OUT  rows x cols: c + a' b, of a and b `depth` rows each
//
// Flops: 2 for each number of the matrix in a product, 4 in a symmetric one. Bytes: the matrix once in each.
// Accumulation in T with fused multiply-add. Bits do not depend on how ranges and parts are shared out among threads.
//
// Source: J. J. Dongarra, D. C. Sorensen and S. J. Hammarling, Block reduction of matrices to condensed forms for
// eigenvalue computations, J. Comput. Appl. Math. 27, 1989.
//
//     d, e = (numpy.diag(scipy.linalg.hessenberg(a), k) for k in (0, -1))
#pragma once

#include <cstddef>

#include "simd/level.hpp"

namespace mmlfast {

inline constexpr std::ptrdiff_t reduction_tile = 16;
inline constexpr std::ptrdiff_t most_in_reduction = 32;  // reflections of a panel

// Two families of vectors, and what they are to be multiplied by for each of two sums.
template <class T>
struct Corrections {
  const T *left, *right;
  std::ptrdiff_t step, count;
  T y_left[most_in_reduction], y_right[most_in_reduction], next_left[most_in_reduction], next_right[most_in_reduction];
};

template <class T>
struct Reduction {
  T (*reflect)(T* x, std::ptrdiff_t j, std::ptrdiff_t end, T& beta);
  void (*symmetric)(const T* a, std::ptrdiff_t row, std::ptrdiff_t first, std::ptrdiff_t n, std::ptrdiff_t part,
                    std::ptrdiff_t parts, const T* v, T* y);
  void (*multiply)(const T* a, std::ptrdiff_t row, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t part,
                   std::ptrdiff_t parts, std::ptrdiff_t begin, std::ptrdiff_t end, const T* v, T* y);
  void (*transposed)(const T* a, std::ptrdiff_t row, std::ptrdiff_t first, std::ptrdiff_t rows, std::ptrdiff_t part,
                     std::ptrdiff_t parts, std::ptrdiff_t begin, std::ptrdiff_t end, const T* u, T* y);
  void (*dots)(const T* vectors, std::ptrdiff_t step, std::ptrdiff_t n, const T* v, std::ptrdiff_t end, T* dot);
  void (*correct)(std::ptrdiff_t begin, std::ptrdiff_t end, const Corrections<T>& c, std::ptrdiff_t parts,
                  const T* sums, std::ptrdiff_t sums_step, const T* row, T* y, T* next);
  void (*finish)(std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t j, T tau, const T* v, T* y, T* next);
  void (*add)(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t depth, const T* a, std::ptrdiff_t a_step,
              const T* b, std::ptrdiff_t b_step, T* c, std::ptrdiff_t row);
};

MMLFAST_KERNEL_TABLES(Reduction, eigh_reduction)

}  // namespace mmlfast
