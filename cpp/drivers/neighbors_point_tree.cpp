#include "drivers/neighbors_point_tree.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "drivers/common/parallel.hpp"
#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size n_parts = 16;  // of the points, for threads
constexpr double ns_per_point_and_level = 12;

}  // namespace

template <class T>
PointTree<T>::PointTree(const RowTable<T>& points, Size leaf) noexcept
    : points_(points),
      leaf_(leaf),
      n_leaves_(std::max<Size>(1, ceil_div(points.count, leaf))),
      order_(points.count),
      boxes_(checked_product(2 * n_leaves_ - 1, 2 * points.d)),
      least_(2 * n_leaves_ - 1),
      rows_(checked_product(points.count, points.d)),
      moved_(checked_product(points.count, points.d)),
      keyed_(points.count) {}

template <class T>
Outcome PointTree<T>::build() noexcept {
  if (!order_ || !boxes_ || !least_ || !rows_ || !moved_ || !keyed_) return {Outcome::Status::no_memory};
  std::copy_n(points_.data, points_.count * points_.d, rows_.data());
  std::iota(order_.data(), order_.data() + points_.count, std::uint32_t{0});
  std::array<Part, n_parts> parts{Part{0, 0, n_leaves_}};
  Size count = 1;
  // The upper levels one after the other, all parts of a level at once.
  for (bool again = true; again;) {
    again = 2 * count <= n_parts;
    for (Size i = 0; i < count; ++i) again = again && parts[static_cast<std::size_t>(i)].n_leaves > 1;
    if (!again) break;
    const auto at = [&](Size i) -> Part& { return parts[static_cast<std::size_t>(i)]; };
    const double ns = ns_per_point_and_level * static_cast<double>(points_.count / count);
    const Outcome outcome = parallel_with_scratch(count, ns, 0, [&](Size i, void*) { divide(at(i)); });
    if (!outcome.ok()) return outcome;
    for (Size i = count; i-- > 0;) {
      const Part whole = at(i);
      at(2 * i) = left(whole), at(2 * i + 1) = right(whole);
    }
    count *= 2;
  }
  const double ns = 10 * ns_per_point_and_level * static_cast<double>(points_.count / count);
  const Outcome outcome =
      parallel_with_scratch(count, ns, 0, [&](Size i, void*) { divide_all(parts[static_cast<std::size_t>(i)]); });
  keyed_ = AlignedBuffer<Keyed>();
  moved_ = AlignedBuffer<T>();
  return outcome;
}

// The box of a part, and its smallest number; returns the component in which it is widest.
template <class T>
Size PointTree<T>::measure(const Part& p) noexcept {
  const Size d = points_.d, from = begin(p.first_leaf), to = end(p.first_leaf + p.n_leaves - 1);
  double* box = boxes_.data() + p.node * 2 * d;
  for (Size j = 0; j < d; ++j) {
    box[2 * j] = std::numeric_limits<double>::infinity();
    box[2 * j + 1] = -box[2 * j];
  }
  least_[p.node] = *std::min_element(order_.data() + from, order_.data() + to);
  for (Size i = from; i < to; ++i) {
    const T* at = row(i);
    for (Size j = 0; j < d; ++j) {
      const double value = static_cast<double>(at[j]);
      box[2 * j] = std::min(box[2 * j], value), box[2 * j + 1] = std::max(box[2 * j + 1], value);
    }
  }
  Size widest = 0;
  for (Size j = 1; j < d; ++j)
    if (box[2 * j + 1] - box[2 * j] > box[2 * widest + 1] - box[2 * widest]) widest = j;
  return widest;
}

template <class T>
void PointTree<T>::divide(const Part& p) noexcept {
  const Size widest = measure(p), from = begin(p.first_leaf), to = end(p.first_leaf + p.n_leaves - 1);
  Keyed* keyed = keyed_.data();
  for (Size i = from; i < to; ++i)
    keyed[i] = {ordered(static_cast<double>(row(i)[widest])), static_cast<std::uint32_t>(i), order_[i]};
  const Size middle = begin(right(p).first_leaf), d = points_.d;
  std::nth_element(keyed + from, keyed + middle, keyed + to,
                   [](const Keyed& a, const Keyed& b) { return a.key < b.key; });
  for (Size i = from; i < to; ++i) {
    order_[i] = keyed[i].index;
    std::copy_n(row(keyed[i].place), d, moved_.data() + i * d);
  }
  std::copy_n(moved_.data() + from * d, (to - from) * d, rows_.data() + from * d);
}

template <class T>
void PointTree<T>::divide_all(const Part& p) noexcept {
  if (p.n_leaves == 1) {
    measure(p);
    return;
  }
  divide(p);
  divide_all(left(p));
  divide_all(right(p));
}

template class PointTree<double>;
template class PointTree<float>;

}  // namespace mmlfast::drivers
