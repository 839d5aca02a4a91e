#include "drivers/eigh.hpp"

#include "drivers/common/lane_batch.hpp"
#include "drivers/eigh_large.hpp"
#include "kernels/eigh.hpp"

namespace mmlfast::drivers {
namespace {

constexpr LaneOrders lane_orders{20, max_eigh_order};

// One thread's share of the measured costs of the lane kernel, good to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size n, bool vectors) {
  const double d = static_cast<double>(n);
  return (4 + d * d * (vectors ? 3 : 2.5) + d * d * d * (vectors ? 0.2 : 0.03)) * (static_cast<double>(sizeof(T)) / 8);
}

// The kernel reads the lower triangle: the upper one of a matrix is the lower one of its transpose.
Layout oriented(const Layout& l, Triangle triangle) { return triangle == Triangle::lower ? l : transposed(l); }

template <class T, class Call>
Outcome run_lanes(Size n_items, Size n, bool vectors, Call&& call) noexcept {
  constexpr int most = max_eigh_groups;
  const int at_once = static_cast<int>(std::min<Size>(most, ceil_div(n_items, items_per_group<T>)));
  return run_in_lanes<T, most>(n_items, lane_ns<T>(n, vectors),
                               kernel_of<Eigh<T>>().scratch_vectors(n, at_once, vectors),
                               [&](Size first, Size count, void* scratch) {
                                 const int groups = static_cast<int>((count - 1) / items_per_group<T>) + 1;
                                 return call(groups, first, count, scratch);
                               });
}

}  // namespace

template <class T>
Outcome eigh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values,
             const Batch<T>& vectors) noexcept {
  const Eigh<T>& kernel = kernel_of<Eigh<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const Batch<const T> lower{a.data, a.stride, oriented(a.layout, triangle)};
  if (!lane_orders.suit<T>(n, n_items)) return large_eigh<T>(n_items, lower, values, &vectors);
  return run_lanes<T>(n_items, n, true, [&](int groups, Size first, Size count, void* scratch) {
    const LaneItems<const T, max_eigh_groups> a_items(lower, first, count);
    const LaneItems<T, max_eigh_groups> values_items(values, first, count), vectors_items(vectors, first, count);
    return kernel.eigh(groups, a_items.item, lower.layout, values_items.item, values.layout.row_stride,
                       vectors_items.item, vectors.layout, scratch);
  });
}

template <class T>
Outcome eigvalsh(Size n_items, const Batch<const T>& a, Triangle triangle, const Batch<T>& values) noexcept {
  const Eigh<T>& kernel = kernel_of<Eigh<T>>();
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  const Batch<const T> lower{a.data, a.stride, oriented(a.layout, triangle)};
  if (!lane_orders.suit<T>(n, n_items)) return large_eigh<T>(n_items, lower, values, nullptr);
  return run_lanes<T>(n_items, n, false, [&](int groups, Size first, Size count, void* scratch) {
    const LaneItems<const T, max_eigh_groups> a_items(lower, first, count);
    const LaneItems<T, max_eigh_groups> values_items(values, first, count);
    return kernel.eigvalsh(groups, a_items.item, lower.layout, values_items.item, values.layout.row_stride, scratch);
  });
}

#define MMLFAST_INSTANTIATE(T)                                                                                \
  template Outcome eigh<T>(Size, const Batch<const T>&, Triangle, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome eigvalsh<T>(Size, const Batch<const T>&, Triangle, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
