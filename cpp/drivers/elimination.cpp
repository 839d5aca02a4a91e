#include "drivers/elimination.hpp"

#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/elimination.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/lapack_table.hpp"
#include "runtime/scratch.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
const Elimination<T>& kernel() {
  if constexpr (sizeof(T) == 8)
    return elimination_f64();
  else
    return elimination_f32();
}

// Up to here the lanes win even when only one of them has work; beyond it, as long as they are
// filled (bench/run.py --only elimination_crossover).
constexpr Size always_in_lanes = 32, filled_lanes = max_lane_order;

template <class T>
bool use_lanes(Size n, Size n_items) {
  return n <= always_in_lanes || (n <= filled_lanes && n_items >= items_per_group<T>);
}

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides
// only about threads.
template <class T>
double lane_ns(Size n, Size m) {
  const double d = static_cast<double>(n), flops = d * d * d * 2 / 3 + 2 * d * d * static_cast<double>(m);
  return (3 + flops * 0.06) * (static_cast<double>(sizeof(T)) / 8);
}

// Runs `call(first, count, scratch) -> LaneBits of failed lanes` over all groups.
template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, Size m, Call&& call) noexcept {
  const Size scratch_bytes = 64 * kernel<T>().scratch_vectors(n, m);
  std::atomic<bool> no_memory{false}, failed{false};
  const bool finished = for_each_group<T>(n_items, lane_ns<T>(n, m), [&](Size first, Size count) {
    void* scratch = Scratch::request(scratch_bytes);
    if (scratch == nullptr) {
      no_memory.store(true, std::memory_order_relaxed);
      return;
    }
    if (call(first, count, scratch) & occupied(count)) failed.store(true, std::memory_order_relaxed);
  });
  if (no_memory) return {Outcome::Status::no_memory};
  if (!finished) return {Outcome::Status::interrupted};
  return {failed ? Outcome::Status::failed_items : Outcome::Status::ok};
}

template <class T>
void copy_in(const T* from, const Layout& l, T* column_major) {
  for (Size j = 0; j < l.cols; ++j)
    for (Size i = 0; i < l.rows; ++i) column_major[j * l.rows + i] = from[i * l.row_stride + j * l.col_stride];
}

template <class T>
void copy_out(const T* column_major, T* to, const Layout& l) {
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < l.cols; ++j) to[i * l.row_stride + j * l.col_stride] = column_major[j * l.rows + i];
}

template <class T>
void fill(T* to, const Layout& l, T value) {
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < l.cols; ++j) to[i * l.row_stride + j * l.col_stride] = value;
}

// Brings numbers so small that the reciprocal of one may overflow (LAPACK multiplies by reciprocals of pivots) to the
// size of 1, all by the same power of two, which is exact. Returns the power: 0, except for numbers all tiny.
template <class T>
int lift_tiny(T* x, Size count) {
  T largest = 0;
  for (Size i = 0; i < count; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  if (!(largest > 0) || std::ilogb(largest) > std::numeric_limits<T>::min_exponent / 2) return 0;
  const int power = -std::ilogb(largest);
  for (Size i = 0; i < count; ++i) x[i] = std::ldexp(x[i], power);
  return power;
}

template <class T>
void scale(T* x, Size count, int power) {
  if (power == 0) return;
  for (Size i = 0; i < count; ++i) x[i] = std::ldexp(x[i], power);
}

template <class T>
struct LapackFactors {
  T* lu;
  void* ipiv;
  bool singular;
  int power;  // they are the factors of 2^power times the matrix
};

// One item after another through LAPACK, which has threads of its own.
// call(routines, item, factors, rhs) finds the factors of the item, and room for the right-hand sides.
template <class T, class Call>
Outcome run_lapack(Size n_items, const Batch<const T>& a, Size rhs_cols, Call&& call) noexcept {
  const Size n = a.layout.rows;
  if (!fits_blas_int(n) || !fits_blas_int(rhs_cols)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* routines = lapack_routines<T>();
  if (routines == nullptr) return {Outcome::Status::no_lapack};
  const Size elements = checked_product(n, n + rhs_cols + 1);  // one column more: ipiv starts at a whole 8 bytes
  const Size bytes = checked_product(elements, static_cast<Size>(sizeof(T)));
  T* lu = bytes < 0 ? nullptr : static_cast<T*>(Scratch::request(bytes + 8 * n));
  if (lu == nullptr) return {Outcome::Status::no_memory};
  T* rhs = lu + n * n;
  void* ipiv = lu + (n * (n + rhs_cols) + 1) / 2 * 2;
  Outcome outcome;
  InterruptTimer timer;
  for (Size i = 0; i < n_items; ++i) {
    copy_in(a.item(i), a.layout, lu);
    const int power = lift_tiny(lu, n * n);
    const bool singular = routines->getrf(n, lu, ipiv) != 0;
    if (singular) outcome.join({Outcome::Status::failed_items});
    call(*routines, i, LapackFactors<T>{lu, ipiv, singular, power}, rhs);
    if (timer.interrupted()) {
      outcome.join({Outcome::Status::interrupted});
      break;
    }
  }
  Scratch::trim();
  return outcome;
}

// Sign, mantissa and exponent of a determinant from LAPACK's factors.
template <class T>
struct Determinant {
  double mantissa = 1;
  Size exponent = 0;

  Determinant(const LapackRoutines<T>& routines, const LapackFactors<T>& f, Size n) {
    if (f.singular) mantissa = 0;
    for (Size k = 0; k < n && !f.singular; ++k) {
      int e;
      mantissa = std::frexp(mantissa * static_cast<double>(f.lu[k * n + k]), &e);
      if (mantissa == 0 || !std::isfinite(mantissa)) e = 0;
      exponent += e - f.power;
      if (routines.exchanged(f.ipiv, k)) mantissa = -mantissa;
    }
  }
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

}  // namespace

template <class T>
Outcome solve(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept {
  const Size n = a.layout.rows, m = b.layout.cols;
  if (n == 0 || m == 0 || n_items == 0) return {};
  if (use_lanes<T>(n, n_items)) {
    return run_lanes<T>(n_items, n, m, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count), b_items(b, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel<T>().solve(a_items.item, a.layout, b_items.item, b.layout, x_items.item, x.layout, scratch);
    });
  }
  return run_lapack<T>(n_items, a, m, [&](const LapackRoutines<T>& r, Size i, const LapackFactors<T>& f, T* rhs) {
    if (f.singular) return fill(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    copy_in(b.item(i), b.layout, rhs);
    const int power = lift_tiny(rhs, n * m);
    r.getrs(n, m, f.lu, f.ipiv, rhs);
    scale(rhs, n * m, f.power - power);
    copy_out(rhs, x.item(i), x.layout);
  });
}

template <class T>
Outcome inverse(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept {
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  if (use_lanes<T>(n, n_items)) {
    return run_lanes<T>(n_items, n, n, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel<T>().inverse(a_items.item, a.layout, x_items.item, x.layout, scratch);
    });
  }
  return run_lapack<T>(n_items, a, n, [&](const LapackRoutines<T>& r, Size i, const LapackFactors<T>& f, T* rhs) {
    if (f.singular) return fill(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    const Layout square{n, n, 1, n};
    fill(rhs, square, T{0});
    for (Size k = 0; k < n; ++k) rhs[k * n + k] = 1;
    r.getrs(n, n, f.lu, f.ipiv, rhs);
    scale(rhs, n * n, f.power);
    copy_out(rhs, x.item(i), x.layout);
  });
}

template <class T>
Outcome determinant(Size n_items, const Batch<const T>& a, const Batch<T>& det) noexcept {
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *det.item(i) = 1;
  } else if (use_lanes<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> det_items(det, first, count);
      return kernel<T>().determinant(a_items.item, a.layout, det_items.item, scratch);
    });
  } else {
    outcome = run_lapack<T>(n_items, a, 0, [&](const LapackRoutines<T>& r, Size i, const LapackFactors<T>& f, T*) {
      *det.item(i) = Determinant<T>(r, f, n).value();
    });
  }
  // A determinant of zero is an answer, not a failure.
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome log_determinant(Size n_items, const Batch<const T>& a, const Batch<T>& sign, const Batch<T>& logabs) noexcept {
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *sign.item(i) = 1, *logabs.item(i) = 0;
  } else if (use_lanes<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> sign_items(sign, first, count), log_items(logabs, first, count);
      return kernel<T>().log_determinant(a_items.item, a.layout, sign_items.item, log_items.item, scratch);
    });
  } else {
    outcome = run_lapack<T>(n_items, a, 0, [&](const LapackRoutines<T>& r, Size i, const LapackFactors<T>& f, T*) {
      const Determinant<T> d(r, f, n);
      *sign.item(i) = d.sign();
      *logabs.item(i) = d.logabs();
    });
  }
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome is_exactly_singular(Size n_items, const Batch<const T>& a, const Batch<bool>& singular) noexcept {
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *singular.item(i) = false;
  } else if (use_lanes<T>(n, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      T unused[items_per_group<T>];
      T* det[items_per_group<T>];
      for (int l = 0; l < items_per_group<T>; ++l) det[l] = unused + l;
      const LaneBits bits = kernel<T>().determinant(a_items.item, a.layout, det, scratch);
      for (Size l = 0; l < count; ++l) *singular.item(first + l) = (bits >> l) & 1;
      return LaneBits{0};
    });
  } else {
    outcome = run_lapack<T>(n_items, a, 0, [&](const LapackRoutines<T>&, Size i, const LapackFactors<T>& f, T*) {
      *singular.item(i) = f.singular;
    });
  }
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

#define MMLFAST_INSTANTIATE(T)                                                                                 \
  template Outcome solve<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept;     \
  template Outcome inverse<T>(Size, const Batch<const T>&, const Batch<T>&) noexcept;                          \
  template Outcome determinant<T>(Size, const Batch<const T>&, const Batch<T>&) noexcept;                      \
  template Outcome log_determinant<T>(Size, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome is_exactly_singular<T>(Size, const Batch<const T>&, const Batch<bool>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
