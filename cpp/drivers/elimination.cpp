#include "drivers/elimination.hpp"

#include <cmath>
#include <limits>

#include "drivers/elimination_condition.hpp"
#include "drivers/elimination_lanes.hpp"
#include "drivers/elimination_large.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {
namespace {

template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, Size m, Call&& call) noexcept {
  return run_in_lanes<T>(n_items, elimination_ns<T>(n, m), kernel_of<Elimination<T>>().scratch_vectors(n, m), call);
}

// One system of 2 to 32 rows, and its condition.
template <class T>
Outcome solve_one(const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows, m = b.layout.cols, vectors = kernel.scratch_vectors(n, m);
  const Size numbers = checked_product(LanesOfOne<T>::numbers(n, m), static_cast<Size>(sizeof(T)));
  alignas(64) char small[most_scratch_on_stack];
  const ScratchLease lease(numbers < 0 ? numbers : 64 * vectors + numbers, small);
  if (!lease) return {Outcome::Status::no_memory};
  void* scratch = lease.data();
  T* room = reinterpret_cast<T*>(static_cast<char*>(scratch) + 64 * vectors);
  const LanesOfOne<T> one(a, b, x, room);
  const LaneBits bits = kernel.solve(one.matrix, a.layout, one.rhs, one.layout(), one.to, one.layout(), scratch);
  one.finish();
  if (bits & 1) return {Outcome::Status::failed_items};
  return Outcome::with_condition(
      one.rcond([&] { return scaled_condition(a.item(0), a.layout, kernel.scratch_vectors(n, 1), kernel.solve); }));
}

}  // namespace

template <class T>
Outcome solve(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept {
  const Size n = a.layout.rows, m = b.layout.cols;
  if (n == 0 || m == 0 || n_items == 0) return {};
  // What is written over cannot be looked at again.
  const bool look = n_items == 1 && n > 1 && a.data != x.data;
  if (look && n <= largest_alone) return solve_one(a, b, x);
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  if (goes_in_lanes<T>(n, m, n_items)) {
    return run_lanes<T>(n_items, n, m, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count), b_items(b, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel.solve(a_items.item, a.layout, b_items.item, b.layout, x_items.item, x.layout, scratch);
    });
  }
  double rcond = 1;
  // The first columns of b, over which x may be written, and of x, and the solution for the probe.
  const AlignedBuffer<T> looked_at(look ? 3 * n : 0);
  if (!looked_at) return {Outcome::Status::no_memory};
  const auto column = [&](const T* item, Size step, T* to) {
    for (Size r = 0; r < n; ++r) to[r] = item[r * step];
  };
  const Outcome outcome = run_large<T>(n_items, a, static_cast<double>(m), [&](Size i, const LargeFactors<T>& f) {
    if (f.singular) return set_all(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN()), Outcome{};
    if (look) column(b.item(i), b.layout.row_stride, looked_at.data());
    T *of_x = looked_at.data() + n, *probe = looked_at.data() + 2 * n;
    const Outcome solved = f.solve(b.item(i), b.layout, x.item(i), x.layout, look ? probe : nullptr);
    if (look && solved.ok()) {
      column(x.item(i), x.layout.row_stride, of_x);
      rcond = f.reciprocal_condition(a.item(i), a.layout, probe, of_x, looked_at.data());
    }
    return solved;
  });
  return outcome.ok() ? Outcome::with_condition(rcond) : outcome;
}

template <class T>
Outcome inverse(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const bool look = n_items == 1 && n > 1 && a.data != x.data;  // as above
  if (goes_in_lanes<T>(n, n, n_items)) {
    const Outcome outcome = run_lanes<T>(n_items, n, n, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> x_items(x, first, count);
      return kernel.inverse(a_items.item, a.layout, x_items.item, x.layout, scratch);
    });
    if (look && n <= largest_alone && outcome.ok()) {
      T room[2 * largest_alone];
      return Outcome::with_condition(condition_of_inverse(a.item(0), a.layout, x.item(0), x.layout, room));
    }
    return outcome;
  }
  double rcond = 1;
  // Rows that lie in a row are columns of the transposed matrix, which are faster to write.
  const bool turned = n > max_lane_order;
  const Batch<const T> given{a.data, a.stride, turned ? transposed(a.layout) : a.layout};
  const Layout result = turned ? transposed(x.layout) : x.layout;
  const Outcome outcome =
      run_large<T>(n_items, given, static_cast<double>(n) * 2 / 3, [&](Size i, const LargeFactors<T>& f) {
        if (f.singular) return set_all(x.item(i), x.layout, std::numeric_limits<T>::quiet_NaN()), Outcome{};
        const Outcome inverted = f.invert(x.item(i), result);
        if (look && inverted.ok()) {
          const AlignedBuffer<T> room(2 * n);
          if (room) rcond = condition_of_inverse(a.item(i), a.layout, x.item(i), x.layout, room.data());
        }
        return inverted;
      });
  return outcome.ok() ? Outcome::with_condition(rcond) : outcome;
}

template <class T>
Outcome determinant(Size n_items, const Batch<const T>& a, const Batch<T>& det) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *det.item(i) = 1;
  } else if (goes_in_lanes<T>(n, 0, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> det_items(det, first, count);
      return kernel.determinant(a_items.item, a.layout, det_items.item, scratch);
    });
  } else {
    outcome = run_large<T>(n_items, a, 0, [&](Size i, const LargeFactors<T>& f) {
      *det.item(i) = Determinant<T>(f).value();
      return Outcome{};
    });
  }
  // A determinant of zero is an answer, not a failure.
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome log_determinant(Size n_items, const Batch<const T>& a, const Batch<T>& sign, const Batch<T>& logabs) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *sign.item(i) = 1, *logabs.item(i) = 0;
  } else if (goes_in_lanes<T>(n, 0, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      const LaneItems<const T> a_items(a, first, count);
      const LaneItems<T> sign_items(sign, first, count), log_items(logabs, first, count);
      return kernel.log_determinant(a_items.item, a.layout, sign_items.item, log_items.item, scratch);
    });
  } else {
    outcome = run_large<T>(n_items, a, 0, [&](Size i, const LargeFactors<T>& f) {
      const Determinant<T> d(f);
      *sign.item(i) = d.sign();
      *logabs.item(i) = d.logabs();
      return Outcome{};
    });
  }
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

template <class T>
Outcome is_exactly_singular(Size n_items, const Batch<const T>& a, const Batch<bool>& singular) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size n = a.layout.rows;
  Outcome outcome;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) *singular.item(i) = false;
  } else if (goes_in_lanes<T>(n, 0, n_items)) {
    outcome = run_lanes<T>(n_items, n, 0, [&](Size first, Size count, void* scratch) {
      if (count < 1) return LaneBits{0};  // never: GCC 12 asks for it
      T unused[items_per_group<T>];
      const LaneItems<T> det({unused, 1, {1, 1, 1, 1}}, 0, items_per_group<T>);
      const LaneItems<const T> a_items(a, first, count);
      const LaneBits bits = kernel.determinant(a_items.item, a.layout, det.item, scratch);
      for (Size l = 0; l < count; ++l) *singular.item(first + l) = (bits >> l) & 1;
      return LaneBits{0};
    });
  } else {
    outcome = run_large<T>(n_items, a, 0, [&](Size i, const LargeFactors<T>& f) {
      *singular.item(i) = f.singular;
      return Outcome{};
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
