#include "drivers/eigh_divide.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/matmul.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size most_block = 48;  // rows that are left to QL

Size blocks_of(Size n) noexcept {
  Size blocks = 1;
  while (ceil_div(n, blocks) > most_block) blocks *= 2;
  return blocks;
}

enum Side : std::int8_t { upper_only, both, lower_only };

}  // namespace

template <class T>
TridiagonalDivide<T>::TridiagonalDivide(Size n) noexcept : n_(n), blocks_(blocks_of(n)), stride_(round_up(n, margin)) {}

template <class T>
void TridiagonalDivide<T>::lay_out(Divider& divider) noexcept {
  coupling_ = divider.take<double>(blocks_);
  for (double** list : {&value_, &element_}) *list = divider.take<double>(n_);
  side_ = divider.take<std::int8_t>(n_);
  for (std::int32_t** list : {&order_, &row_, &group_}) *list = divider.take<std::int32_t>(n_);
  for (double** list : {&pole_, &size_, &weight_}) *list = divider.take<double>(n_ + 2 * margin * blocks_);
  difference_ = divider.take<double>(n_ * stride_);
  factor_ = divider.take<T>(n_ * n_);
}

template <class T>
Outcome TridiagonalDivide<T>::solve(Team& team, T* d, T* e, T* z, T* work) const noexcept {
  T size = 0;
  for (Size i = 0; i < n_; ++i) size = std::max({size, std::fabs(d[i]), i < n_ - 1 ? std::fabs(e[i]) : T{0}});
  if (!std::isfinite(size)) return {Outcome::Status::failed_items};
  const T unit = size > 0 ? std::ldexp(T{1}, std::ilogb(size)) : T{1};
  for (Size i = 0; i < n_; ++i) d[i] /= unit, e[i] /= unit;
  const auto bound = [&](Size block, Size blocks) { return n_ * block / blocks; };
  for (Size block = 1; block < blocks_; ++block) {
    const Size row = bound(block, blocks_);
    coupling_[block] = static_cast<double>(e[row - 1]);
    d[row - 1] -= std::fabs(e[row - 1]);
    d[row] -= std::fabs(e[row - 1]);
  }
  JoinedOutcome outcome;
  team.run(blocks_, [&](Team::Block block) {
    outcome.join(solve_block(bound(block, blocks_), bound(block + 1, blocks_), d, e, z, work));
  });
  if (!outcome.get().ok()) return outcome.get();
  for (Size nodes = blocks_ / 2; nodes > 0; nodes /= 2) {
    const Size each = blocks_ / nodes;
    const auto join_one = [&](Team& members, Size i) {
      const Size first = i * each, middle = first + each / 2;
      outcome.join(join(members,
                        {bound(i, nodes), bound(middle, blocks_), bound(i + 1, nodes),
                         bound(i, nodes) + margin * (2 * first + 1), coupling_[middle]},
                        z, work));
    };
    if (nodes >= get_num_threads())
      team.run(nodes, [&](Team::Block i) { with_team(false, [&](Team& alone) { join_one(alone, i); }); });
    else
      for (Size i = 0; i < nodes; ++i) join_one(team, i);
    if (!outcome.get().ok()) return outcome.get();
  }
  for (Size i = 0; i < n_; ++i) d[i] = static_cast<T>(value_[order_[i]]) * unit;
  if (std::is_sorted(order_, order_ + n_)) return {};
  constexpr Size at_once = 16;
  const auto copy = [&](auto&& one) {
    team.run(ceil_div(n_, at_once), [&](Team::Block block) {
      for (Size i = block * at_once; i < std::min(n_, (block + 1) * at_once); ++i) one(i);
    });
  };
  copy([&](Size i) { std::copy_n(z + order_[i] * n_, n_, work + i * n_); });
  copy([&](Size i) { std::copy_n(work + i * n_, n_, z + i * n_); });
  return {};
}

template <class T>
Outcome TridiagonalDivide<T>::solve_block(Size begin, Size end, T* d, T* e, T* z, T* work) const noexcept {
  const Size n = end - begin;
  std::fill_n(z + begin * n_, n * n_, T{0});
  TridiagonalSweeps<T> sweeps(n);
  Divider divider(factor_ + begin * n_);
  sweeps.lay_out(divider);
  assert(divider.used() <= n * n_ * static_cast<Size>(sizeof(T)) || blocks_ == 1);
  bool good = false;
  with_team(false, [&](Team& alone) {
    good = sweeps.solve(alone, d + begin, e + begin, z + begin * n_ + begin, n_, work + begin * n_);
  });
  for (Size i = begin; i < end; ++i) value_[i] = static_cast<double>(d[i]);
  std::iota(order_ + begin, order_ + end, 0);
  return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
}

template <class T>
Outcome TridiagonalDivide<T>::join(Team& team, const Node& node, T* z, T* work) const noexcept {
  Joint joint = deflate(node, z);
  group_rows(node, joint);
  if (joint.kept > 0) find_vectors(team, node, joint);
  const Outcome outcome = multiply(team, node, joint, z, work);
  put_in_order(node, joint);
  return outcome;
}

// Rows that are joined, in the order of their values, and then the others. A pair of rows whose values are as good as
// equal is turned until the element of one of them is zero.
template <class T>
typename TridiagonalDivide<T>::Joint TridiagonalDivide<T>::deflate(const Node& node, T* z) const noexcept {
  const Size n = node.end - node.begin, upper = node.middle - node.begin;
  double *const value = value_ + node.begin, *const element = element_ + node.begin;
  std::int8_t* const side = side_ + node.begin;
  std::int32_t *const order = order_ + node.begin, *const row = row_ + node.begin;
  T* const vectors = z + node.begin * n_ + node.begin;
  double largest = 0, longest = 0;
  for (Size i = 0; i < n; ++i) {
    const bool above = i < upper;
    const double x =
        static_cast<double>(vectors[i * n_ + (above ? upper - 1 : upper)]) * 0.70710678118654752440;  // 2^-1/2
    element[i] = above || node.coupling > 0 ? x : -x;
    side[i] = above ? upper_only : lower_only;
    largest = std::max(largest, std::fabs(value[i]));
    longest = std::max(longest, std::fabs(element[i]));
  }
  for (Size i = upper; i < n; ++i) order[i] += static_cast<std::int32_t>(upper);
  std::inplace_merge(order, order + upper, order + n,
                     [&](std::int32_t i, std::int32_t j) { return value[i] < value[j]; });
  Joint joint;
  joint.rho = 2 * std::fabs(node.coupling);
  const double u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  const double nothing = 8 * u * std::max(largest, joint.rho * longest);
  Size others = n;
  std::int32_t last = -1;
  for (Size i = 0; i < n; ++i) {
    const std::int32_t here = order[i];
    if (joint.rho * std::fabs(element[here]) <= nothing) {
      row[--others] = here;
      continue;
    }
    if (last >= 0) {
      const double length = std::hypot(element[here], element[last]), gap = value[here] - value[last];
      const double c = element[here] / length, s = -element[last] / length;
      if (std::fabs(gap * c * s) > nothing) {
        row[joint.kept++] = last;
      } else {
        element[here] = length;
        if (side[here] != side[last]) side[here] = both;
        T *const x = vectors + last * n_, *const y = vectors + here * n_;
        const T cosine = static_cast<T>(c), sine = static_cast<T>(s);
        for (Size k = 0; k < n; ++k) {
          const T turned = cosine * x[k] + sine * y[k];
          y[k] = cosine * y[k] - sine * x[k];
          x[k] = turned;
        }
        const double low = value[last], high = value[here];
        value[last] = low * c * c + high * s * s;
        value[here] = low * s * s + high * c * c;
        row[--others] = last;
      }
    }
    last = here;
  }
  if (last >= 0) row[joint.kept++] = last;
  return joint;
}

template <class T>
void TridiagonalDivide<T>::group_rows(const Node& node, Joint& joint) const noexcept {
  const std::int32_t* row = row_ + node.begin;
  std::int32_t* to = group_ + node.begin;
  double *const pole = pole_ + node.place, *const size = size_ + node.place, *const weight = weight_ + node.place;
  const double infinity = std::numeric_limits<double>::infinity();
  for (Size i = 0; i < margin; ++i) {
    pole[i - margin] = -infinity;
    pole[joint.kept + i] = infinity;
    size[i - margin] = size[joint.kept + i] = weight[joint.kept + i] = 0;
  }
  for (Size i = 0; i < joint.kept; ++i) {
    pole[i] = value_[node.begin + row[i]];
    size[i] = element_[node.begin + row[i]];
  }
  // The values of the others wait until the new ones have taken their places.
  for (Size i = joint.kept; i < node.end - node.begin; ++i) element_[node.begin + i] = value_[node.begin + row[i]];
  for (const std::int8_t which : {upper_only, both, lower_only})
    for (Size i = 0; i < joint.kept; ++i) {
      if (side_[node.begin + row[i]] != which) continue;
      *to++ = static_cast<std::int32_t>(i);
      if (which != lower_only) ++joint.upper;
      if (which != upper_only) ++joint.lower;
    }
}

template <class T>
void TridiagonalDivide<T>::find_vectors(Team& team, const Node& node, const Joint& joint) const noexcept {
  const Eigh<T>& kernel = kernel_of<Eigh<T>>();
  const Size k = joint.kept;
  const double *const pole = pole_ + node.place, *const size = size_ + node.place;
  double *const weight = weight_ + node.place, *const difference = difference_ + node.begin * stride_;
  constexpr Size at_once = 8;
  const auto each = [&](auto&& one) {
    team.run(ceil_div(k, at_once), [&](Team::Block block) {
      for (Size j = block * at_once; j < std::min(k, (block + 1) * at_once); ++j) one(j);
    });
  };
  each([&](Size j) {
    value_[node.begin + j] = kernel.pole_root(k, j, pole, size, joint.rho, difference + j * stride_);
  });
  team.run(ceil_div(k, at_once), [&](Team::Block block) {
    kernel.joined_weights(k, block * at_once, pole, size, difference, stride_, weight);
  });
  each([&](Size j) {
    kernel.joined_vector(k, weight, difference + j * stride_, group_ + node.begin, factor_ + node.begin * n_ + j * k);
  });
}

// The new vectors: those that are joined first, then the others, as they were.
template <class T>
Outcome TridiagonalDivide<T>::multiply(Team& team, const Node& node, const Joint& joint, T* z, T* work) const noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size n = node.end - node.begin, k = joint.kept, left = node.middle - node.begin, right = n - left;
  const std::int32_t *const row = row_ + node.begin, *const group = group_ + node.begin;
  T* const vectors = z + node.begin * n_ + node.begin;
  T *const upper = work + node.begin * n_, *const lower = upper + joint.upper * left,
           *const others = lower + joint.lower * right;
  for (Size i = 0; i < k; ++i) {
    const T* const from = vectors + row[group[i]] * n_;
    if (i < joint.upper) std::copy_n(from, left, upper + i * left);
    if (i >= k - joint.lower) std::copy_n(from + left, right, lower + (i - (k - joint.lower)) * right);
  }
  for (Size i = k; i < n; ++i) std::copy_n(vectors + row[i] * n_, n, others + (i - k) * n);
  for (Size i = k; i < n; ++i) std::copy_n(others + (i - k) * n, n, vectors + i * n_);
  constexpr Size height = 48;
  const T* const factor = factor_ + node.begin * n_;
  JoinedOutcome outcome;
  const auto half = [&](Size first, Size rows, const T* a, Size depth, const T* b, Size cols, T* to) {
    if (depth == 0) {
      for (Size i = 0; i < rows; ++i) std::fill_n(to + (first + i) * n_, cols, T{0});
      return;
    }
    const ScratchLease scratch(kernel.scratch_elements(1, rows, depth, cols) * static_cast<Size>(sizeof(T)));
    if (!scratch) return outcome.join({Outcome::Status::no_memory});
    kernel.products(1, {a + first * k, 0, {rows, depth, k, 1}}, {b, 0, {depth, cols, cols, 1}},
                    {to + first * n_, 0, {rows, cols, n_, 1}}, static_cast<T*>(scratch.data()));
  };
  team.run(2 * ceil_div(k, height), [&](Team::Block block) {
    const Size first = block / 2 * height, rows = std::min(height, k - first);
    if (block % 2 == 0)
      half(first, rows, factor, joint.upper, upper, left, vectors);
    else
      half(first, rows, factor + k - joint.lower, joint.lower, lower, right, vectors + left);
  });
  return outcome.get();
}

template <class T>
void TridiagonalDivide<T>::put_in_order(const Node& node, const Joint& joint) const noexcept {
  const Size n = node.end - node.begin, k = joint.kept;
  double* const value = value_ + node.begin;
  std::int32_t* const order = order_ + node.begin;
  std::copy(element_ + node.begin + k, element_ + node.end, value + k);
  const auto less = [&](std::int32_t i, std::int32_t j) { return value[i] < value[j]; };
  std::iota(order, order + n, 0);
  std::sort(order + k, order + n, less);
  std::inplace_merge(order, order + k, order + n, less);
}

template class TridiagonalDivide<double>;
template class TridiagonalDivide<float>;

}  // namespace mmlfast::drivers
