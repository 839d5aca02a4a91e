// The part of the elimination driver that hands large matrices to SciPy's LAPACK, one after another. It has threads of
// its own, and cannot be interrupted within one matrix.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/common/batch.hpp"
#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

// Brings numbers that are all tiny to the size of 1, by a power of two, which it returns (0: nothing to do).
template <class T>
int lift_tiny(T* x, Size count);

// The factors of 2^power times the transpose of the matrix: a matrix in C order lies in memory as its transpose does in
// the order that LAPACK reads, and matrices in other orders are factored in the same way to get the same bits.
template <class T>
struct LapackFactors {
  const LapackRoutines<T>& routines;
  Size n;
  T* lu;
  void* ipiv;
  bool singular = false;
  int power = 0;

  void factor(const T* item, const Layout& layout);

  // The inverse in place of the factors, in C order. `work` has room for `columns` times n numbers.
  void invert(T* work, Size columns) const {
    routines.getri(n, lu, ipiv, work, n * columns);
    multiply_by_power(lu, n * n, power);
  }

  // 1, or the reciprocal condition number to warn of; `item` is the matrix itself, and x the solution for b, whose
  // numbers are `step` apart. The first look costs a hundredth of the factors.
  double reciprocal_condition(const T* item, const Layout& layout, const T* x, const T* b, Size step) const;

  // b := a^-1 b, or a'^-1 b, for `columns` columns, column-major.
  void substitute(bool transpose, T* b, Size columns) const;

 private:
  bool all_pivots_normal() const;
};

// What a driver asks of run_lapack, besides the factors.
template <class T>
struct LapackPlan {
  Size columns;              // of working memory after the factors
  double solutions;          // so many right-hand sides' worth of work
  const Batch<T>* in_place;  // where to factor the matrices if rows of n numbers lie there; nullptr: in working memory
};

// Matrix by matrix. call(item, factors, work).
template <class T, class Call>
Outcome run_lapack(Size n_items, const Batch<const T>& a, const LapackPlan<T>& plan, Call&& call) noexcept {
  const Size n = a.layout.rows;
  if (!fits_blas_int(n) || !fits_blas_int(plan.columns)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const bool in_place =
      plan.in_place != nullptr && plan.in_place->layout.col_stride == 1 && plan.in_place->layout.row_stride == n;
  const Size columns = plan.columns + (in_place ? 0 : n);
  const Size elements = checked_product(n, columns + 1);  // one column more: ipiv starts at a whole 8 bytes
  const Size bytes = checked_product(elements, static_cast<Size>(sizeof(T)));
  const double order = static_cast<double>(n), flop_ns = sizeof(T) == 8 ? 0.05 : 0.025;
  const double item_ns = (order / 3 + plan.solutions) * order * order * 2 * flop_ns;
  const auto one = [&](Size i, void* scratch) -> Outcome {
    T* room = static_cast<T*>(scratch);
    T* lu = in_place ? plan.in_place->item(i) : room;
    LapackFactors<T> factors{*routines, n, lu, room + (n * columns + 1) / 2 * 2};
    factors.factor(a.item(i), a.layout);
    call(i, factors, in_place ? room : room + n * n);
    return {factors.singular ? Outcome::Status::failed_items : Outcome::Status::ok};
  };
  return run_matrices(n_items, item_ns, bytes < 0 ? bytes : bytes + 8 * n, Uses::lapack, one);
}

// Sign, mantissa and exponent of a determinant from LAPACK's factors.
template <class T>
struct Determinant {
  double mantissa = 1;
  Size exponent = 0;

  explicit Determinant(const LapackFactors<T>& f);
  T value() const {
    const Size limit = 100'000;
    return static_cast<T>(std::ldexp(mantissa, static_cast<int>(std::clamp(exponent, -limit, limit))));
  }
  T sign() const {
    if (std::isnan(mantissa)) return static_cast<T>(mantissa);
    return static_cast<T>(mantissa > 0 ? 1 : mantissa < 0 ? -1 : 0);
  }
  T logabs() const {
    return static_cast<T>(std::log(std::fabs(mantissa)) + static_cast<double>(exponent) * 0.6931471805599453);
  }
};

}  // namespace mmlfast::drivers
