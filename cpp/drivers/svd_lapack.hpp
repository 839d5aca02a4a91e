// The part of the SVD driver that hands matrices to SciPy's LAPACK (gesdd), or to divide and conquer of our own
// (svd_large), after a look for NaN and infinity, on which LAPACK may never return.
#pragma once

#include <cmath>
#include <limits>

#include "drivers/common/batch.hpp"
#include "drivers/common/column_major.hpp"
#include "drivers/common/finite.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/svd_large.hpp"
#include "kernels/svd.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

// The power of two that brings a column with this largest element and, after its division by the power of two in that
// one, this sum of squares to a length between 1/2 and 2. In two factors, since it need not be a number of type T; 1
// for a column without length: of zeros, with infinity or NaN.
template <class T>
struct LengthFactor {
  T first = 1, second = 1;

  static LengthFactor power(int exponent) noexcept {
    return {std::ldexp(T{1}, exponent / 2), std::ldexp(T{1}, exponent - exponent / 2)};
  }
  static int size(T largest) noexcept {
    return largest > 0 && largest <= std::numeric_limits<T>::max() ? std::ilogb(largest) : 0;
  }
  static LengthFactor of(T largest, double square) noexcept {
    if (!(square > 0 && std::isfinite(square))) return {};
    return power(-size(largest) - std::ilogb(std::sqrt(square)));
  }
};

// All columns of a (m x n) times that power. `Columns` of them at once, or of one `Rows` rows: chains of maxima and
// sums that do not wait for each other.
template <Size Columns, Size Rows, class T>
void columns_to_length_one(T* a, Size m, Size n, Size row_step, Size column_step) noexcept {
  constexpr Size chains = Columns * Rows;
  for (Size first = 0; first < n; first += Columns, a += Columns * column_step) {
    const Size count = std::min(Columns, n - first);
    LengthFactor<T> factor[Columns];
    T largest[chains] = {}, one[chains], two[chains];
    double square[chains] = {};
    const auto each = [&](auto&& body) {
      for (Size i = 0; i < m; i += Rows) {
        T* const x = a + i * row_step;
        if (count == Columns && i + Rows <= m)
          for (Size k = 0; k < chains; ++k) body(x[k], k);
        else
          for (Size k = 0; k < (Rows == 1 ? count : m - i); ++k) body(x[k], k);
      }
    };
    const auto spread = [&] {
      for (Size k = 0; k < chains; ++k) one[k] = factor[k / Rows].first, two[k] = factor[k / Rows].second;
    };
    each([&](const T& x, Size k) { largest[k] = std::max(largest[k], std::fabs(x)); });
    for (Size k = 0; k < chains; ++k) largest[k - k % Rows] = std::max(largest[k - k % Rows], largest[k]);
    for (Size j = 0; j < count; ++j) factor[j] = LengthFactor<T>::power(-LengthFactor<T>::size(largest[j * Rows]));
    spread();
    each([&](const T& x, Size k) {
      const double scaled = static_cast<double>(x * one[k] * two[k]);
      square[k] += scaled * scaled;
    });
    for (Size k = 0; k < chains; ++k) square[k - k % Rows] += k % Rows == 0 ? 0 : square[k];
    for (Size j = 0; j < count; ++j) factor[j] = LengthFactor<T>::of(largest[j * Rows], square[j * Rows]);
    spread();
    each([&](T& x, Size k) { x = x * one[k] * two[k]; });
  }
}

// An item in memory, as run_svd has it, to the scale of the singular values that are asked for.
template <class T>
void prepare_for_values(SingularValuesOf what, T* item, const Layout& l, bool by_columns) noexcept {
  const Size m = l.rows, n = l.cols;
  if (what == SingularValuesOf::item_times_power)
    multiply_by_power(item, m * n, safe_exponent(largest_finite(item, m * n)));
  if (what != SingularValuesOf::columns_of_length_one) return;
  if (by_columns)
    columns_to_length_one<1, 16>(item, m, n, 1, m);
  else
    columns_to_length_one<16, 1>(item, m, n, n, 1);
}

// Singular values and vectors; all NaN if the outcome is a failure. LAPACK is handed a tall matrix, which it does
// faster: for m > n the item, so that U and V' are by columns; else the transpose, as it lies in memory,
// so that they are by rows.
template <class T>
struct SingularFactors {
  T *u, *s, *vh;
  Outcome outcome;
  bool by_columns;

  void copy_u(T* to, const Layout& l) const { copy(u, to, l); }
  void copy_vh(T* to, const Layout& l) const { copy(vh, to, l); }

 private:
  void copy(const T* from, T* to, const Layout& l) const {
    if (by_columns)
      from_columns(from, l.rows, to, l);
    else
      from_columns(from, l.cols, to, transposed(l));
  }
};

// What one matrix needs: of `rows` rows and k <= rows columns, by columns. job: 'A' whole factors, 'S' reduced ones,
// 'N' values only.
template <class T>
class SvdRoom {
 public:
  SvdRoom(char job, Size rows, Size k, const LapackRoutines<T>& routines) noexcept
      : job_(job),
        rows_(rows),
        k_(k),
        routines_(routines),
        large_(rows, k,
               job == 'N'   ? 0
               : job == 'A' ? rows
                            : k,
               routines) {
    if (!is_divided())
      work_size_ = workspace<T>(
          [&](T* work) { routines_.gesdd(job, rows, k, nullptr, nullptr, nullptr, nullptr, work, -1, nullptr); });
  }

  // Faster by code of our own.
  bool is_divided() const noexcept { return LargeSvd<T>::suits(rows_, k_, job_ != 'N'); }

  void lay_out(Divider& divider) noexcept {
    copy = divider.take<T>(checked_product(rows_, k_));
    s = divider.take<T>(k_);
    left = divider.take<T>(left_size());
    right = divider.take<T>(right_size());
    if (is_divided()) return large_.lay_out(divider);
    work_ = divider.take<T>(work_size_);
    integers_ = divider.take<std::int64_t>(8 * k_);
  }

  // The factors of `copy`, which is overwritten; all NaN if the outcome is a failure; nothing if it was stopped.
  Outcome solve(bool threaded) const noexcept {
    Outcome outcome{Outcome::Status::failed_items};
    if (all_finite(copy, rows_ * k_)) {
      if (is_divided())
        outcome = large_.solve(copy, s, left, right, threaded);
      else if (routines_.gesdd(job_, rows_, k_, copy, s, left, right, work_, work_size_, integers_) == 0)
        outcome = {};
    }
    if (outcome.ok() || outcome.stopped()) return outcome;
    constexpr T nan = std::numeric_limits<T>::quiet_NaN();
    std::fill_n(s, k_, nan);
    std::fill_n(left, left_size(), nan);
    std::fill_n(right, right_size(), nan);
    return outcome;
  }

  T *copy = nullptr, *s = nullptr, *left = nullptr, *right = nullptr;

 private:
  Size left_size() const noexcept { return job_ == 'N' ? 1 : checked_product(rows_, job_ == 'A' ? rows_ : k_); }
  Size right_size() const noexcept { return job_ == 'N' ? 1 : checked_product(k_, k_); }

  char job_;
  Size rows_, k_, work_size_ = 0;
  const LapackRoutines<T>& routines_;
  LargeSvd<T> large_;
  T* work_ = nullptr;
  std::int64_t* integers_ = nullptr;
};

// prepare(copy, by_columns) and call(i, factors) for each item.
template <class T, class Prepare, class Call>
Outcome run_svd(char job, Size n_items, const Batch<const T>& a, Prepare&& prepare, Call&& call) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols, k = std::min(m, n), rows = std::max(m, n);
  if (!fits_blas_int(rows)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const bool by_columns = m > n;
  SvdRoom<T> shape(job, rows, k, *routines);
  Divider divider;
  shape.lay_out(divider);
  if (divider.used() < 0) return {Outcome::Status::too_large};
  const double order = static_cast<double>(k), longer = static_cast<double>(rows);
  const double per_number = shape.is_divided() ? 0.3 + 30 / longer : job == 'N' ? 0.3 : 1.0;  // one thread's
  const double item_ns = order * order * longer * per_number * (sizeof(T) == 8 ? 1.0 : 0.5) + 2000;
  const auto one = [&](Size i, void* scratch) -> Outcome {
    SvdRoom<T> room = shape;
    Divider pieces(scratch);
    room.lay_out(pieces);
    to_columns(a.item(i), by_columns ? a.layout : transposed(a.layout), room.copy, rows);
    prepare(room.copy, by_columns);
    SingularFactors<T> f{
        by_columns ? room.left : room.right, room.s, by_columns ? room.right : room.left, {}, by_columns};
    f.outcome = room.solve(item_ns > 4e6);
    if (!f.outcome.stopped()) call(i, static_cast<const SingularFactors<T>&>(f));
    return f.outcome;
  };
  // Measured: more BLAS threads gain nothing up to there. What is divided has LAPACK's sweeps for small blocks only.
  const Uses uses = shape.is_divided() || item_ns < 5e6 ? Uses::serial_lapack : Uses::lapack;
  return run_matrices(n_items, item_ns, divider.used(), uses, one);
}

template <class T, class Call>
Outcome run_svd(char job, Size n_items, const Batch<const T>& a, Call&& call) noexcept {
  return run_svd<T>(job, n_items, a, [](T*, bool) {}, call);
}

}  // namespace mmlfast::drivers
