// Orthonormal bases by Gram-Schmidt: of 8 (float64) or 16 (float32) small matrices at once, one per SIMD lane; and
// the pieces from which the driver builds that of one larger matrix, block of rows by block of rows.
//
// Vectors are the columns of an m x n matrix. Column j of Q is what is left of column j after the columns of Q before
// it were projected out, at unit length and with the sign that makes the diagonal of R positive. A column of which no
// more than rtol of its length is left is dependent: it gives a column of zeros and takes no part in what follows.
// Each column is scaled by a power of two where its squares could leave the range of T: the answer for the same
// vectors at any other scale is the same.
//
//   cgs          one pass, all coefficients from the original column       |Q'Q - I| ~ u cond(A)^2
//   mgs          one pass, each coefficient from what is left              |Q'Q - I| ~ u cond(A)
//   cgs2         cgs twice; a column that loses nine tenths of its length  |Q'Q - I| ~ u
//                again in the second pass was rounding noise: dependent
//   householder  reflections; a dependent column uses up no row            |Q'Q - I| ~ u
//
// lanes():
//   a            IN       m x n item per lane, any strides
//   q            OUT      m x n item per lane, any strides; must not overlap a
//   rank         OUT      the number of independent columns
//   orthogonality OUT     the Frobenius norm of Q'Q - I over the columns that are not zero
//   scratch      SCRATCH  scratch_vectors(m, n) vectors of 64 bytes, 64-byte aligned
// Flops per item: 2 m n^2 for cgs and mgs, 4 m n^2 for cgs2 and householder, m n^2 for the orthogonality; bytes: each
// item is read and written once. Accumulation in T with fused multiply-add. NaN or infinity in a column makes this
// column and all later ones NaN. Lanes do not disturb each other.
//
// Columns<T>: primitives on `rows` rows of column-major columns (column k at k * ld, 64-byte aligned, ld and rows
// multiples of lanes<T>, rows past the end of the data zero). Sums run over the lanes and are added up in a fixed
// tree.
//
// Accuracy: as in the table above; tests hold 10 n u for cgs2 and householder at every condition up to 1e15.
//
// Sources: Giraud, Langou, Rozloznik and van den Eshof, Numer. Math. 101 (2005): twice is enough; Golub and Van Loan,
// Matrix Computations, 4th ed., algorithms 5.2.1 and 5.2.6; Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, ETNA 44
// (2015): CholeskyQR2; Demmel, Grigori, Hoemmen and Langou, SIAM J. Sci. Comput. 34 (2012): TSQR.
//
//     q, r = numpy.linalg.qr(a); q *= numpy.sign(numpy.diag(r))        # independent columns
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

enum class Orthogonalization : int { cgs, mgs, cgs2, householder };

template <class T>
struct GramSchmidt {
  std::ptrdiff_t (*scratch_vectors)(std::ptrdiff_t m, std::ptrdiff_t n);
  void (*lanes)(Orthogonalization method, const T* const* a, const Layout& a_layout, const T* const* rtol, T* const* q,
                const Layout& q_layout, std::int64_t* const* rank, T* const* orthogonality, void* scratch);
};

template <class T>
struct Columns {
  // to[k * ld + i] = a(i, k) for the rows and columns of the layout; the rows up to a multiple of lanes<T> are zero.
  // U is float or double: widened on the way in, rounded on the way out.
  void (*gather_f64)(const double* a, const Layout& layout, T* to, std::ptrdiff_t ld);
  void (*gather_f32)(const float* a, const Layout& layout, T* to, std::ptrdiff_t ld);
  void (*scatter_f64)(const T* from, std::ptrdiff_t ld, double* a, const Layout& layout);
  void (*scatter_f32)(const T* from, std::ptrdiff_t ld, float* a, const Layout& layout);
  // dot[k] = sum over the rows of columns[k] * v, for k < n.
  void (*dots)(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, const T* v, std::ptrdiff_t rows, T* dot);
  // v -= sum over k < n of coefficient[k] * columns[k]; returns the sum of squares of what is left.
  T (*subtract)(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, const T* coefficient, T* v, std::ptrdiff_t rows);
  void (*scale)(T* v, std::ptrdiff_t rows, T factor);
  // The largest absolute value; NaN counts as infinity.
  T (*largest)(const T* v, std::ptrdiff_t rows);
  // gram[j * n + k], k <= j: columns[j] . columns[k], added to what is there.
  void (*add_gram)(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, T* gram);
  // The same for many calls: sums (gram_sums(n) numbers, 64-byte aligned) has the lanes apart, in an order of its own,
  // and starts at zero; reduce_gram() adds them up. rows is a multiple of lanes<T>. Meanwhile the `ahead` bytes from
  // `next` on are fetched.
  std::ptrdiff_t (*gram_sums)(std::ptrdiff_t n);
  void (*add_gram_in_lanes)(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, T* sums,
                            const void* next, std::ptrdiff_t ahead);
  void (*reduce_gram)(const T* sums, std::ptrdiff_t n, T* gram);
  // columns := columns R^-1 in place; r[k * n + j] upper triangular, reciprocal[j] = 1 / r_jj. rows is a multiple of
  // 2 lanes<T>. Meanwhile memory is fetched, as in add_gram_in_lanes().
  void (*solve_upper)(T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* r,
                      const T* reciprocal, const void* next, std::ptrdiff_t ahead);
  // to[j] = sum over k < n of columns[k] * s[k * n + j], for j < n.
  void (*multiply)(const T* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, const T* s, T* to);
};

MMLFAST_KERNEL_TABLES(GramSchmidt, gram_schmidt)
MMLFAST_KERNEL_TABLES(Columns, columns)

}  // namespace mmlfast
