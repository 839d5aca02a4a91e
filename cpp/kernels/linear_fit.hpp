// Weighted linear regression of 8 sets of rows at once, one per SIMD lane, each with as many rows as it has: straight
// lines, polynomials, any columns. What it gives is that of the rows in float64 to the last digits, however far from
// the origin they are and however near to each other the columns.
//
// The columns are centred, without an error (as pairs of float64), and scaled by powers of two; powers of a polynomial
// are pairs as well. A = Q R by modified Gram-Schmidt of columns and right-hand side, then steps of iterative
// refinement of (residual, coefficients) with residuals summed as pairs, until the steps are below 2^-36 of the
// coefficients.
//
//   rows         IN       one FitRows per lane; lanes that are not used repeat another
//   shape        IN       what all lanes have in common; at most `rows` rows in any lane
//   record       OUT      record_length(shape) numbers per lane, k being the number of coefficients and p = k - 1 with
//   an
//                         intercept, else k:
//                           k        coefficients of ones (with an intercept), x_1, ... or x, x^2, ...
//                           k        the same of ones, x_1 - c_1, ... or (x - c), (x - c)^2, ...
//                           p        c, where the columns are centred; of a polynomial only the first counts
//                           k x k    V, upper triangular, of the latter: V V' times the variance is their covariance
//                           7        chi^2 (the weighted sum of squares of the residuals) and its root; 1 - chi^2 over
//                                    the same about the weighted mean of y (about 0 without an intercept); rows that
//                                    count; rank; status; the length of the last step of refinement over that of the
//                                    coefficients
//                         status: 0, or 1 if there are just as many rows as coefficients (chi^2 is 0), 2 if the columns
//                         depend on each other to rounding or rows are fewer than coefficients, 3 if a row holds NaN or
//                         infinity, 4 if there is no row. With 2, 3 and 4 all numbers but the last seven and c are NaN.
//   scratch      SCRATCH  scratch_vectors(rows, shape) vectors of 64 bytes, 64-byte aligned
//
// Flops per row: 2 k^2 + 30 k for the least, and 25 k for each further step of refinement; bytes: each row is read
// once. Accumulation in float64, of the residuals in pairs of it. Accuracy: coefficients within a few units in the last
// place of the exact ones as long as the condition of the centred, scaled columns is below about 1e14, V to u times
// that condition. A row that does not count, and a neighbour, change no bit. Rank: column j depends on the others if
// its distance from their span is at most 4 times what rounding each column at its own size, before it was centred, may
// do.
//
// For one fit of very many rows, 8 parts of which are in lanes: gram() gives A'W A, A'W y and y'W y, from which there
// is a first solution c; gradient() gives A'W (y - A c), summed in pairs, and the sum of squares, from which there is a
// better one, as long as the square of the condition is below 1 / u.
//
//   known        IN       centre of each of p columns (of a polynomial: of x), the exponents of their units, centre and
//                         exponent of y, exponent of the weights; gradient(): high parts of k coefficients, low parts
//   totals       OUT      gram(): k x k, k, the sums of weighted squares of y and of weights, the number of rows that
//                         count, not 0 if one is not finite. gradient(): k high parts, k low parts, the sum of squares
//
// Sources: A. Bjorck, Iterative refinement of linear least squares solutions, BIT 7 (1967) and 8 (1968), and Solving
// linear least squares problems by Gram-Schmidt orthogonalization, BIT 7 (1967); Demmel, Hida, Riedy and Li,
// Extra-precise iterative refinement for overdetermined least squares problems, ACM TOMS 35 (2009).
//
//     numpy.linalg.lstsq(numpy.sqrt(w)[:, None] * numpy.column_stack([numpy.ones(n), x]), numpy.sqrt(w) * y)
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Where the rows of one fit are.
template <class T>
struct FitRows {
  const T *x, *y;           // of row 0
  const double* weight;     // of row 0; null: every row counts once. A row of weight 0 is not there.
  const std::int64_t* row;  // the numbers of the rows; null: 0 .. count - 1
  std::ptrdiff_t count;
};

struct FitShape {
  std::ptrdiff_t columns;  // of x
  std::ptrdiff_t terms;    // columns of A besides the ones: those of x, or the powers 1 .. terms of its only column
  bool powers, intercept;
  bool omit_nan;          // rows with NaN are not there
  double least_distance;  // instead of the rounding of the columns: relative to their lengths. 0: by rounding.
  std::ptrdiff_t x_row, x_col, y_row, weight_row;  // strides

  constexpr std::ptrdiff_t coefficients() const { return terms + (intercept ? 1 : 0); }
};

inline constexpr std::ptrdiff_t fit_sums = 7;  // at the end of a record

constexpr std::ptrdiff_t fit_record_length(const FitShape& s) {
  const std::ptrdiff_t k = s.coefficients();
  return 2 * k + s.terms + k * k + fit_sums;
}

constexpr std::ptrdiff_t fit_totals_length(const FitShape& s, bool gradient) {
  const std::ptrdiff_t k = s.coefficients();
  return gradient ? 2 * k + 1 : k * k + k + 4;
}

template <class T>
struct LinearFit {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t rows, const FitShape& shape);
  void (*fit)(const FitRows<T>* rows, const FitShape& shape, double* const* record, void* scratch);
  void (*gram)(const FitRows<T>* rows, const FitShape& shape, const double* known, double* totals, void* scratch);
  void (*gradient)(const FitRows<T>* rows, const FitShape& shape, const double* known, double* totals, void* scratch);
};

MMLFAST_KERNEL_TABLES(LinearFit, linear_fit)

}  // namespace mmlfast
