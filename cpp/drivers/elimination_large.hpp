// Elimination of matrices that do not go through the lanes, by our own blocks. One matrix takes all threads, and a
// large one asks for Ctrl-C between blocks of columns.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/common/batch.hpp"
#include "drivers/common/column_major.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/elimination_blocks.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {

// Brings numbers that are all tiny to the size of 1, by a power of two, which it returns (0: nothing to do).
template <class T>
int lift_tiny(T* x, Size count);

// The factors of 2^power times the matrix.
template <class T>
struct LargeFactors {
  BlockMatrix<T> lu;
  std::int32_t* pivot;
  bool singular = false, divides = false;
  int power = 0;

  Outcome factor(const T* item, const Layout& layout);

  // x := a^-1 b. `probe`: null, or n numbers for the solution whose right-hand side is probes<T>, again and again.
  Outcome solve(const T* b, const Layout& b_layout, T* x, const Layout& x_layout, T* probe) const;
  Outcome invert(T* x, const Layout& layout) const;

  // 1, or the reciprocal condition number to warn of; `item` is the matrix itself, y the solution for the probe and x
  // the one for b. The first look reads the matrix once.
  double reciprocal_condition(const T* item, const Layout& layout, const T* y, const T* x, const T* b) const;

 private:
  // Columns [first, first + x.cols) of b, whose rows are exchanged.
  void solve_band(const T* b, const Layout& layout, Size first, const BlockMatrix<T>& x) const;
  // x := a^-1 x, for columns whose numbers lie one after another.
  void solve_columns(const BlockMatrix<T>& x) const;
  // The first columns of b and, in the column of x after them, the probe.
  void solve_with_probe(const T* b, const Layout& layout, const BlockMatrix<T>& x, T* answer) const;
  bool looks_good(const Solved<T>& s, const Layout& layout) const;
  bool all_pivots_normal() const;
};

// Matrix by matrix: call(item, factors) -> Outcome. `solutions`: so many right-hand sides' worth of work.
template <class T, class Call>
Outcome run_large(Size n_items, const Batch<const T>& a, double solutions, Call&& call) noexcept {
  const Size n = a.layout.rows;
  if (n > most_rows<T>) return {Outcome::Status::too_large};
  const Size matrix = BlockMatrix<T>::elements(n, n), numbers = checked_product(matrix, static_cast<Size>(sizeof(T)));
  const double order = static_cast<double>(n);
  const double item_ns = (order / 3 + solutions) * order * order * multiply_add_ns<T>;
  return run_matrices(n_items, item_ns, numbers < 0 ? numbers : numbers + 4 * n, Uses::own_code,
                      [&](Size i, void* scratch) -> Outcome {
                        T* room = static_cast<T*>(scratch);
                        LargeFactors<T> factors{{n, n, room}, reinterpret_cast<std::int32_t*>(room + matrix)};
                        Outcome outcome = factors.factor(a.item(i), a.layout);
                        if (!outcome.stopped()) outcome.join(call(i, factors));
                        if (factors.singular) outcome.join({Outcome::Status::failed_items});
                        return outcome;
                      });
}
// Sign, mantissa and exponent of a determinant from the factors.
template <class T>
struct Determinant {
  T mantissa = 1;
  Size exponent = 0;

  explicit Determinant(const LargeFactors<T>& f);
  T value() const {
    const Size limit = 100'000;
    return static_cast<T>(std::ldexp(mantissa, static_cast<int>(std::clamp(exponent, -limit, limit))));
  }
  T sign() const {
    if (std::isnan(mantissa)) return static_cast<T>(mantissa);
    return static_cast<T>(mantissa > 0 ? 1 : mantissa < 0 ? -1 : 0);
  }
  T logabs() const { return kernel_of<EliminationBlocks<T>>().log_of_product(mantissa, static_cast<T>(exponent)); }
};

}  // namespace mmlfast::drivers
