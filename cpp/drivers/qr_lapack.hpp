// QR of matrices that do not fit the lanes, by SciPy's LAPACK: many small ones side by side, a large one with all
// threads. Part of qr.cpp.
#pragma once

#include "drivers/batch.hpp"
#include "drivers/column_major.hpp"
#include "drivers/matrix_batch.hpp"
#include "runtime/lapack_table.hpp"

namespace mmlfast::drivers {

// The factors of geqrf for one item after another, in one piece of memory: columns (m x max(n, p)), tau, work.
template <class T>
struct LapackQr {
  const LapackRoutines<T>& routines;
  Size m, n, p;
  Size k = std::min(m, n), columns = std::max(n, p);
  Size lwork =
      std::max<Size>(workspace<T>([&](T* work) { routines.geqrf(m, n, nullptr, nullptr, work, -1); }),
                     p == 0 ? 0 : workspace<T>([&](T* work) { routines.orgqr(m, p, k, nullptr, nullptr, work, -1); }));

  Size bytes() const {
    const Size elements = checked_product(m, columns);
    if (elements < 0) return -1;
    return checked_product(elements + k + lwork, static_cast<Size>(sizeof(T)));
  }

  // Factors the item; its elements were multiplied by 2^exponent before. False: it holds NaN or infinity.
  bool factor(const T* item, const Layout& layout, T* x, int& exponent) const {
    to_columns(item, layout, x, m);
    const T largest = largest_finite(x, m * n);
    if (!std::isfinite(largest)) return false;
    exponent = safe_exponent(largest);
    multiply_by_power(x, m * n, exponent);
    routines.geqrf(m, n, x, tau(x), work(x), lwork);
    return true;
  }
  // The factors become the first p columns of Q.
  void form(T* x) const { routines.orgqr(m, p, k, x, tau(x), work(x), lwork); }

  T* tau(T* x) const { return x + m * columns; }

 private:
  T* work(T* x) const { return tau(x) + k; }
};

template <class T>
double lapack_ns(Size m, Size n, Size p) {
  const double k = static_cast<double>(std::min(m, n));
  return 2e3 + static_cast<double>(m) * k * static_cast<double>(n + p) * 2 * (sizeof(T) == 8 ? 0.08 : 0.04);
}

// Runs call(i, f, x) on f, the routines for m x n matrices with p columns of Q.
template <class T, class Call>
Outcome with_lapack_qr(Size n_items, Size m, Size n, Size p, Call&& call) noexcept {
  if (!fits_blas_int(m) || !fits_blas_int(n)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const LapackQr<T> f{*routines, m, n, p};
  return run_matrices(n_items, lapack_ns<T>(m, n, p), f.bytes(), Uses::lapack, [&](Size i, void* scratch) -> Outcome {
    call(i, f, static_cast<T*>(scratch));
    return {};
  });
}

template <class T>
void write_r(const T* x, Size ld, int exponent, T* r, const Layout& l) {
  by_tiles(l.rows, l.cols, [&](Size i, Size j) {
    const T e = i > j ? T{0} : x[i + j * ld];
    r[i * l.row_stride + j * l.col_stride] = exponent == 0 || i > j ? e : std::ldexp(e, -exponent);
  });
}

template <class T>
Outcome qr_by_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& q, const Batch<T>& r) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols, p = q.data == nullptr ? 0 : q.layout.cols;
  return with_lapack_qr<T>(n_items, m, n, p, [&](Size i, const LapackQr<T>& f, T* x) {
    constexpr T nan = std::numeric_limits<T>::quiet_NaN();
    int exponent = 0;
    if (!f.factor(a.item(i), a.layout, x, exponent)) {
      std::fill_n(x, m * n, nan);
      write_r(x, m, 0, r.item(i), r.layout);
      if (p > 0) set_all(q.item(i), q.layout, nan);
      return;
    }
    write_r(x, m, exponent, r.item(i), r.layout);
    if (p == 0) return;
    f.form(x);
    from_columns(x, m, q.item(i), q.layout);
  });
}

template <class T>
Outcome raw_by_lapack(Size n_items, const Batch<const T>& a, const Batch<T>& h, const Batch<T>& tau) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols;
  return with_lapack_qr<T>(n_items, m, n, 0, [&](Size i, const LapackQr<T>& f, T* x) {
    int exponent = 0;
    if (!f.factor(a.item(i), a.layout, x, exponent)) {
      std::fill_n(x, m * n + f.k, std::numeric_limits<T>::quiet_NaN());
    } else if (exponent != 0) {
      for (Size j = 0; j < n; ++j) multiply_by_power(x + j * m, std::min(j + 1, m), -exponent);
    }
    from_columns(x, m, h.item(i), h.layout);
    from_columns(f.tau(x), f.k, tau.item(i), tau.layout);
  });
}

}  // namespace mmlfast::drivers
