// The least-squares solution of least norm of one system whose columns have any units: for the systems that the other
// ways of lstsq leave over, one at a time.
#pragma once

#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: p x n (p <= n), row by row, columns of lengths near one, or zero; column j stands for 2^exponents[j] times itself.
// c: k right-hand sides, p x k, row by row. Singular values of a with columns of length one count up to `cut` times the
// largest as zero; `unit` is the unit roundoff of the data.
struct SmallSystem {
  Size p, n, k;
  const double* a;
  Size a_ld;
  const int* exponents;
  const double* c;
  Size c_ld;
  double cut, unit;
};

// Memory that is asked for once and given out in parts: the small systems are so small that asking takes longer than
// solving.
class DividedMemory {
 public:
  explicit DividedMemory(Size numbers) noexcept : all_(numbers) {}
  explicit operator bool() const noexcept { return static_cast<bool>(all_); }

  template <class T>
  T* take(Size count) noexcept {
    static_assert(alignof(T) <= sizeof(double));
    double* part = all_.data() + used_;
    used_ += (count * static_cast<Size>(sizeof(T)) + 7) / 8;
    return reinterpret_cast<T*>(part);
  }

 private:
  AlignedBuffer<double> all_;
  Size used_ = 0;
};

// rank: the number of singular values that count. If it is n, that is all: x is left to substitution. Else x (n x k,
// row by row): of all that minimise norm(a' x - c), a' being a of that rank, those of least norm in the units of the
// columns, so least sum of squares of 2^-exponents[j] x[j].
//
// Singular values by rotations up to 32 rows, else by LAPACK. Where what is left out is rounding noise, a' keeps `rank`
// columns of a (chosen by pivoting, those in large units first) and makes the others their combinations: columns that
// are equal stay equal, and coefficients of a combination that are noise are zero. (In units far apart they would
// matter: 1e-16 of a column in small units is a lot of one in large units.) Where more is left out, a' is the sum of
// the singular triples that count. With x1 and x2 the unknowns of the kept and of the other columns, all solutions are
// x1 = y - K x2, and the least is Q R^-T y with [I; K'] = Q R: by reflections with pivoting of columns and rows, which
// are stable row by row [Cox and Higham, Stability of Householder QR factorization for weighted least squares problems,
// 1998].
Outcome least_norm(const SmallSystem& system, double* x, Size& rank) noexcept;

}  // namespace mmlfast::drivers
