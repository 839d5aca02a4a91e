#include "drivers/elimination.hpp"

#include <cmath>
#include <limits>

#include "drivers/elimination_lapack.hpp"
#include "drivers/lane_batch.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
const Elimination<T>& kernel() {
  return of_type<T>(elimination_f64, elimination_f32);
}

// Up to the first size lanes are taken even when only one of them has work, up to the second if they are filled.
// Estimated from the cost of the lane kernel at n = 32; no benchmark case sweeps across these borders yet.
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

template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, Size m, Call&& call) noexcept {
  return run_in_lanes<T>(n_items, lane_ns<T>(n, m), kernel<T>().scratch_vectors(n, m), call);
}

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
  return run_lapack<T>(n_items, a, m, [&](Size i, const LapackFactors<T>& f, T* rhs) {
    if (f.singular) return fill(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    copy_in(b.item(i), b.layout, rhs);
    f.substitute(false, rhs, m);
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
  return run_lapack<T>(n_items, a, n, [&](Size i, const LapackFactors<T>& f, T* rhs) {
    if (f.singular) return fill(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN());
    const Layout square{n, n, 1, n};
    fill(rhs, square, T{0});
    for (Size k = 0; k < n; ++k) rhs[k * n + k] = 1;
    f.substitute(true, rhs, n);  // the columns of the inverse of the transpose are the rows of the inverse
    copy_out(rhs, x.item(i), transposed(x.layout));
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
    outcome = run_lapack<T>(n_items, a, 0,
                            [&](Size i, const LapackFactors<T>& f, T*) { *det.item(i) = Determinant<T>(f).value(); });
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
    outcome = run_lapack<T>(n_items, a, 0, [&](Size i, const LapackFactors<T>& f, T*) {
      const Determinant<T> d(f);
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
    outcome =
        run_lapack<T>(n_items, a, 0, [&](Size i, const LapackFactors<T>& f, T*) { *singular.item(i) = f.singular; });
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
