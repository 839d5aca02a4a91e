#include "drivers/svd.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>

#include "drivers/common/function_ref.hpp"
#include "drivers/common/lane_batch.hpp"
#include "drivers/rfactor.hpp"
#include "drivers/svd_lapack.hpp"
#include "kernels/svd.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

// Where the lanes win, by measurement: min(m, n) for one item, for filled lanes with and without vectors; the longer
// side; and without vectors, where more columns are many numbers, the size of an item whose lanes keep in cache.
constexpr Size always_in_lanes = 12, filled_lanes = 64, filled_lanes_values = 128, longest_in_lanes = 1024,
               most_in_lanes = 32 * longest_in_lanes;

template <class T>
bool use_lanes(const Layout& a, Size n_items, bool vectors) {
  const LaneOrders orders{always_in_lanes, vectors ? filled_lanes : filled_lanes_values};
  return std::max(a.rows, a.cols) <= longest_in_lanes && (vectors || a.rows * a.cols <= most_in_lanes) &&
         orders.suit<T>(std::min(a.rows, a.cols), n_items);
}

// One thread's share of the cost, good to a factor of two; decides only about threads.
template <class T>
double lane_ns(const Layout& a, bool vectors) {
  const double k = static_cast<double>(std::min(a.rows, a.cols)),
               longer = static_cast<double>(std::max(a.rows, a.cols));
  const bool reduced = !vectors && std::min(a.rows, a.cols) > most_turned_values;
  const double work = reduced ? 6 + 0.1 * k + 0.5 * (longer - k) : k * (vectors ? 1.2 : 0.7) + longer * 0.5;
  return (20 + k * k * work) * (static_cast<double>(sizeof(T)) / 8);
}

template <class T, class Call>
Outcome run_lanes(Size n_items, const Layout& a, bool vectors, bool whole, Call&& call) noexcept {
  return run_in_lanes<T>(n_items, lane_ns<T>(a, vectors),
                         kernel_of<Svd<T>>().scratch_vectors(a.rows, a.cols, vectors, whole), call);
}

// A failed item has its NaN: no error.
Outcome without_failures(Outcome outcome) {
  return outcome.status == Outcome::Status::failed_items ? Outcome{} : outcome;
}

// Outcome of an item and its singular values.
template <class T>
using Take = FunctionRef<Outcome, Size, const T*>;

// take(i, s) for each item, with its k >= 1 singular values, of what is said.
template <class T>
Outcome for_each_values(Size n_items, const Batch<const T>& a, SingularValuesOf what, const Take<T>& take) noexcept {
  const Svd<T>& kernel = kernel_of<Svd<T>>();
  const Size k = std::min(a.layout.rows, a.layout.cols);
  if (!use_lanes<T>(a.layout, n_items, false)) {
    JoinedOutcome taken;
    const auto prepare = [&](T* item, bool by_columns) { prepare_for_values(what, item, a.layout, by_columns); };
    Outcome outcome = run_svd<T>('N', n_items, a, prepare, [&](Size i, const SingularFactors<T>& f) {
      if (!take(i, f.s).ok()) taken.join({Outcome::Status::failed_items, i});
    });
    outcome = without_failures(outcome);
    outcome.join(taken.get());
    return outcome;
  }
  return run_lanes<T>(n_items, a.layout, false, false, [&](Size first, Size count, void* scratch) {
    constexpr int group = items_per_group<T>;
    T values[group * filled_lanes_values];
    const Batch<T> s{values, k, {k, 1, 1, 1}};
    const LaneItems<const T> a_items(a, first, count);
    const LaneItems<T> s_items(s, 0, group);
    kernel.values(a_items.item, a.layout, what, s_items.item, s.layout, scratch);
    LaneBits failed = 0;
    for (Size l = 0; l < count; ++l)
      if (!take(first + l, static_cast<const T*>(values + l * k)).ok()) failed |= LaneBits{1} << l;
    return failed;
  });
}

// Of long tall items, the values of their R factors, in double: what is lost in sums over many rows is not taken for
// what tells columns apart.
template <class T, class Take>
Outcome rank_by_rows(Size n_items, const Batch<const T>& a, Take&& take) noexcept {
  const Size n = a.layout.cols;
  AlignedBuffer<double> r(checked_product(n, n));
  if (!r) return {Outcome::Status::no_memory};
  Outcome outcome;
  for (Size i = 0; i < n_items; ++i) {
    const Outcome rows = r_of_rows(a.item(i), a.layout, r.data());
    if (!rows.ok()) return rows;
    outcome.join(for_each_values<double>(1, {r.data(), 0, {n, n, n, 1}}, SingularValuesOf::columns_of_length_one,
                                         [&](Size, const double* s) { return take(i, s); }));
  }
  return outcome;
}

template <class T>
bool holds_nan(const T* item, const Layout& l) {
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < l.cols; ++j)
      if (std::isnan(item[i * l.row_stride + j * l.col_stride])) return true;
  return false;
}

template <class T>
void set_identity(T* x, const Layout& l) {
  set_all(x, l, T{0});
  for (Size i = 0; i < std::min(l.rows, l.cols); ++i) x[i * (l.row_stride + l.col_stride)] = 1;
}

}  // namespace

template <class T>
Outcome svd(Size n_items, const Batch<const T>& a, const Batch<T>& u, const Batch<T>& s, const Batch<T>& vh) noexcept {
  const Svd<T>& kernel = kernel_of<Svd<T>>();
  const Size m = a.layout.rows, n = a.layout.cols, k = std::min(m, n);
  if (n_items == 0) return {};
  const bool whole = u.layout.cols == m && vh.layout.rows == n;
  if (k == 0) {
    for (Size i = 0; i < n_items; ++i) set_identity(u.item(i), u.layout), set_identity(vh.item(i), vh.layout);
    return {};
  }
  if (!use_lanes<T>(a.layout, n_items, true)) {
    return without_failures(run_svd<T>(whole ? 'A' : 'S', n_items, a, [&](Size i, const SingularFactors<T>& f) {
      f.copy_u(u.item(i), u.layout);
      from_columns(f.s, s.layout.rows, s.item(i), s.layout);
      f.copy_vh(vh.item(i), vh.layout);
    }));
  }
  return without_failures(run_lanes<T>(n_items, a.layout, true, whole, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count);
    const LaneItems<T> u_items(u, first, count), s_items(s, first, count), vh_items(vh, first, count);
    return kernel.factors(a_items.item, a.layout, u_items.item, u.layout, s_items.item, s.layout, vh_items.item,
                          vh.layout, scratch);
  }));
}

template <class T>
Outcome singular_values(Size n_items, const Batch<const T>& a, const Batch<T>& s) noexcept {
  const Size k = s.layout.rows;
  if (n_items == 0 || k == 0) return {};
  return for_each_values<T>(n_items, a, SingularValuesOf::item, [&](Size i, const T* values) -> Outcome {
    T* own = s.item(i);
    for (Size r = 0; r < s.layout.rows; ++r) own[r * s.layout.row_stride] = values[r];
    return {};
  });
}

template <class T>
Outcome pseudo_inverse(Size n_items, const Batch<const T>& a, const Batch<const T>& rcond, const Batch<T>& x) noexcept {
  const Svd<T>& kernel = kernel_of<Svd<T>>();
  if (n_items == 0 || a.layout.rows == 0 || a.layout.cols == 0) return {};
  return run_lanes<T>(n_items, a.layout, true, false, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count), rcond_items(rcond, first, count);
    const LaneItems<T> x_items(x, first, count);
    return kernel.pseudo_inverse(a_items.item, a.layout, rcond_items.item, x_items.item, x.layout, scratch);
  });
}

bool pseudo_inverse_suits_one(const Layout& a) noexcept { return use_lanes<double>(a, 1, true); }

template <class T>
Outcome rank(Size n_items, const Batch<const T>& a, const Batch<const T>& tolerance, RankTolerance meaning,
             const Batch<std::int64_t>& rank) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols, k = std::min(m, n);
  if (n_items == 0) return {};
  if (k == 0) {
    for (Size i = 0; i < n_items; ++i) *rank.item(i) = 0;
    return {};
  }
  const auto count = [&](Size i, const auto* s) -> Outcome {
    using Value = std::remove_cvref_t<decltype(*s)>;
    const Value limit = static_cast<Value>(*tolerance.item(i)) * (meaning == RankTolerance::absolute ? 1 : s[0]);
    const bool none = std::isnan(s[0]);
    *rank.item(i) = none ? -1 : std::count_if(s, s + k, [&](Value value) { return value > limit; });
    return {none ? Outcome::Status::failed_items : Outcome::Status::ok};
  };
  if (meaning == RankTolerance::of_columns_of_length_one) {
    if (m > longest_in_lanes && m >= 4 * n) return rank_by_rows(n_items, a, count);
    return for_each_values<T>(n_items, a, SingularValuesOf::columns_of_length_one, count);
  }
  const bool relative = meaning == RankTolerance::relative;
  return for_each_values<T>(n_items, a, relative ? SingularValuesOf::item_times_power : SingularValuesOf::item, count);
}

template <class T>
Outcome condition(Size n_items, const Batch<const T>& a, bool inverse, const Batch<T>& condition) noexcept {
  const Size k = std::min(a.layout.rows, a.layout.cols);
  if (n_items == 0 || k == 0) return {};
  return for_each_values<T>(n_items, a, SingularValuesOf::item_times_power, [&](Size i, const T* s) -> Outcome {
    T ratio = inverse ? s[k - 1] / s[0] : s[0] / s[k - 1];
    if (std::isnan(ratio) && !holds_nan(a.item(i), a.layout)) ratio = std::numeric_limits<T>::infinity();
    *condition.item(i) = ratio;
    return {};
  });
}

#define MMLFAST_INSTANTIATE(T)                                                                                      \
  template Outcome svd<T>(Size, const Batch<const T>&, const Batch<T>&, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome singular_values<T>(Size, const Batch<const T>&, const Batch<T>&) noexcept;                       \
  template Outcome pseudo_inverse<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept; \
  template Outcome rank<T>(Size, const Batch<const T>&, const Batch<const T>&, RankTolerance,                       \
                           const Batch<std::int64_t>&) noexcept;                                                    \
  template Outcome condition<T>(Size, const Batch<const T>&, bool, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
