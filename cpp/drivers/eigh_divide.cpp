#include "drivers/eigh_divide.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "drivers/common/diagonals.hpp"

namespace mmlfast::drivers {

template <class T>
void TridiagonalDivide<T>::lay_out(Divider& divider) noexcept {
  joints_.lay_out(divider, blocks_);
  coupling_ = divider.take<double>(blocks_);
  factor_ = divider.take<T>(n_ * n_);
}

template <class T>
Outcome TridiagonalDivide<T>::solve(Team& team, T* d, T* e, T* z) const noexcept {
  const T unit = divide_by_unit(d, e, n_);
  if (!std::isfinite(unit)) return {Outcome::Status::failed_items};
  const auto bound = [&](Size block, Size blocks) { return n_ * block / blocks; };
  for (Size block = 1; block < blocks_; ++block) {
    const Size row = bound(block, blocks_);
    coupling_[block] = static_cast<double>(e[row - 1]);
    d[row - 1] -= std::fabs(e[row - 1]);
    d[row] -= std::fabs(e[row - 1]);
  }
  JoinedOutcome outcome;
  team.run(blocks_, [&](Team::Block block) {
    outcome.join(solve_block(bound(block, blocks_), bound(block + 1, blocks_), d, e, z));
  });
  for (Size nodes = blocks_ / 2; nodes > 0 && outcome.get().ok(); nodes /= 2) {
    const Size each = blocks_ / nodes;
    for_each_node(team, nodes, outcome, [&](Team& members, Size i) {
      const Size first = i * each, middle = first + each / 2;
      const DividedNode node{bound(i, nodes), bound(middle, blocks_), bound(i + 1, nodes),
                             Joints<T>::place(bound(i, nodes), first)};
      return join(members, node, coupling_[middle], z);
    });
  }
  if (!outcome.get().ok()) return outcome.get();
  for (Size i = 0; i < n_; ++i) d[i] = static_cast<T>(*joints_.value(joints_.order(0)[i])) * unit;
  joints_.sort_rows(team, z);
  return {};
}

template <class T>
Outcome TridiagonalDivide<T>::solve_block(Size begin, Size end, T* d, T* e, T* z) const noexcept {
  const Size n = end - begin;
  std::fill_n(z + begin * n_, n * n_, T{0});
  TridiagonalSweeps<T> sweeps(n);
  Divider divider(factor_ + begin * n_);
  sweeps.lay_out(divider);
  assert(divider.used() <= n * n_ * static_cast<Size>(sizeof(T)));
  bool good = false;
  with_team(false, [&](Team& alone) {
    good = sweeps.solve(alone, d + begin, e + begin, z + begin * n_ + begin, n_, joints_.work(begin));
  });
  for (Size i = begin; i < end; ++i) *joints_.value(i) = static_cast<double>(d[i]);
  std::iota(joints_.order(begin), joints_.order(end), 0);
  return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
}

template <class T>
Outcome TridiagonalDivide<T>::join(Team& team, const DividedNode& node, double coupling, T* z) const noexcept {
  const Size n = node.size(), upper = node.middle - node.begin;
  double *const value = joints_.value(node.begin), *const element = joints_.element(node.begin);
  typename Joints<T>::Side* const side = joints_.side(node.begin);
  std::int32_t* const order = joints_.order(node.begin);
  double largest = 0, longest = 0;
  for (Size i = 0; i < n; ++i) {
    const bool above = i < upper;
    const T edge = z[(node.begin + i) * n_ + (above ? node.middle - 1 : node.middle)];
    const double x = static_cast<double>(edge) * 0.70710678118654752440;  // 2^-1/2: z has length one
    element[i] = above || coupling > 0 ? x : -x;
    side[i] = above ? Joints<T>::upper_only : Joints<T>::lower_only;
    largest = std::max(largest, std::fabs(value[i]));
    longest = std::max(longest, std::fabs(x));
  }
  for (Size i = upper; i < n; ++i) order[i] += static_cast<std::int32_t>(upper);
  std::inplace_merge(order, order + upper, order + n,
                     [&](std::int32_t i, std::int32_t j) { return value[i] < value[j]; });
  const double rho = 2 * std::fabs(coupling), u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  const double nothing = std::max(8 * u * std::max(largest, rho * longest), least_in_joint);
  // A turn of two rows leaves gap * c * s beside the diagonal.
  const Joint joint = joints_.deflate(
      node, n, -1, rho > 0 ? nothing / rho : std::numeric_limits<double>::infinity(),
      [&](Size i, Size j, double c, double s) { return std::fabs((value[j] - value[i]) * c * s) <= nothing; },
      [&](Size i, Size j, double c, double s) {
        joints_.turn_rows(z, node.begin + i, node.begin + j, node.begin, n, c, s);
        const double low = value[i], high = value[j];
        value[i] = low * c * c + high * s * s;
        value[j] = low * s * s + high * c * c;
      });
  T* const factor = factor_ + node.begin * n_;
  const Outcome found =
      joints_.find(team, node, joint, Space::values, rho,
                   [&](Size j, const double*, const double* weight, double* difference, const std::int32_t* group) {
                     kernel_of<Poles<T>>().vector(joint.kept, weight, difference, group, factor + j * joint.kept);
                   });
  if (!found.ok()) return found;
  const Outcome outcome = joints_.multiply(team, node, n, joint, factor, z);
  joints_.put_in_order(node, joint);
  return outcome;
}

template class TridiagonalDivide<double>;
template class TridiagonalDivide<float>;

}  // namespace mmlfast::drivers
