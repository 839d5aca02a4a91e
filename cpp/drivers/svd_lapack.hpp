// The part of the SVD driver that hands matrices to SciPy's LAPACK (gesdd), after a look for NaN and infinity, on which
// it may never return.
#pragma once

#include <cmath>
#include <limits>

#include "drivers/common/batch.hpp"
#include "drivers/common/column_major.hpp"
#include "drivers/common/finite.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "kernels/svd.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

// Rows of n numbers to the scale of the singular values that are asked for.
template <class T>
void prepare_for_values(SingularValuesOf what, T* a, Size m, Size n) noexcept {
  if (what == SingularValuesOf::item_times_power) multiply_by_power(a, m * n, safe_exponent(largest_finite(a, m * n)));
  if (what != SingularValuesOf::columns_of_length_one) return;
  for (Size j = 0; j < n; ++j) {
    T largest = 0;
    for (Size i = 0; i < m; ++i) largest = std::max(largest, std::fabs(a[i * n + j]));
    if (!(largest > 0 && largest <= std::numeric_limits<T>::max())) continue;
    const int size = std::ilogb(largest);
    double square = 0;
    for (Size i = 0; i < m; ++i) {
      const double x = static_cast<double>(std::ldexp(a[i * n + j], -size));
      square += x * x;
    }
    if (!std::isfinite(square)) continue;  // NaN, which the largest does not tell
    const int shift = size + std::ilogb(std::sqrt(square));
    for (Size i = 0; i < m; ++i) a[i * n + j] = std::ldexp(a[i * n + j], -shift);
  }
}

// Of the transpose: a matrix in C order lies in memory as its transpose does in LAPACK's order, and its factors come
// back as rows. u: rows of U, s: the values, vh: rows of V'; all NaN if the outcome is a failure.
template <class T>
struct SingularFactors {
  T *u, *s, *vh;
  Outcome outcome;
};

// call(i, factors) for each item. job: 'A' whole factors, 'S' reduced ones, 'N' values only, of what is said.
template <class T, class Call>
Outcome run_gesdd(char job, SingularValuesOf what, Size n_items, const Batch<const T>& a, Call&& call) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols, k = std::min(m, n);
  if (!fits_blas_int(m) || !fits_blas_int(n)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const Size u_size = job == 'N' ? 1 : checked_product(m, job == 'A' ? m : k);
  const Size vh_size = job == 'N' ? 1 : checked_product(n, job == 'A' ? n : k);
  const Size a_size = checked_product(m, n);
  if (a_size < 0 || u_size < 0 || vh_size < 0) return {Outcome::Status::too_large};
  const Size lwork =
      workspace<T>([&](T* work) { routines->gesdd(job, n, m, nullptr, nullptr, nullptr, nullptr, work, -1, nullptr); });
  const auto padded = [](Size count) { return (count + 7) / 8 * 8; };
  const Size elements = padded(a_size) + padded(k) + padded(u_size) + padded(vh_size) + padded(lwork);
  const Size bytes = checked_product(elements, static_cast<Size>(sizeof(T)));
  const double order = static_cast<double>(k), longer = static_cast<double>(std::max(m, n));
  const double item_ns = order * order * longer * (job == 'N' ? 0.3 : 1.0) * (sizeof(T) == 8 ? 1.0 : 0.5) + 2000;
  const auto one = [&](Size i, void* scratch) -> Outcome {
    T* x = static_cast<T*>(scratch);
    const auto take = [&](Size count) { return (x += padded(count)) - padded(count); };
    T* copy = take(a_size);
    SingularFactors<T> f;
    f.s = take(k);
    f.u = take(u_size);
    f.vh = take(vh_size);
    T* work = take(lwork);
    to_columns(a.item(i), transposed(a.layout), copy, a.layout.cols);
    prepare_for_values(what, copy, m, n);
    const bool failed =
        !all_finite(copy, a_size) || routines->gesdd(job, n, m, copy, f.s, f.vh, f.u, work, lwork, x) != 0;
    if (failed) {
      for (T* to = f.s; to < work; ++to) *to = std::numeric_limits<T>::quiet_NaN();
      f.outcome = {Outcome::Status::failed_items};
    }
    call(i, static_cast<const SingularFactors<T>&>(f));
    return f.outcome;
  };
  constexpr double most_serial_ns = 5e6;  // measured: more BLAS threads gain nothing up to there
  const Uses uses = item_ns < most_serial_ns ? Uses::serial_lapack : Uses::lapack;
  return run_matrices(n_items, item_ns, bytes < 0 ? bytes : bytes + 64 * k + 64, uses, one);
}

template <class T, class Call>
Outcome run_gesdd(char job, Size n_items, const Batch<const T>& a, Call&& call) noexcept {
  return run_gesdd<T>(job, SingularValuesOf::item, n_items, a, call);
}

}  // namespace mmlfast::drivers
