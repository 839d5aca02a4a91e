#include "drivers/svd_divide.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "drivers/common/diagonals.hpp"

namespace mmlfast::drivers {

template <class T>
void BidiagonalDivide<T>::lay_out(Divider& divider) noexcept {
  joints_.lay_out(divider, blocks_);
  left_ = divider.take<T>(n_ * n_);
  right_ = divider.take<T>(n_ * n_);
}

template <class T>
typename BidiagonalDivide<T>::Range BidiagonalDivide<T>::range(Size i, Size ranges) const noexcept {
  Range r{0, n_, i * (blocks_ / ranges), false};
  for (Size half = ranges / 2; half > 0; half /= 2) {
    if ((i & half) != 0)
      r.begin = r.middle() + 1;
    else
      r.end = r.middle(), r.wide = true;
  }
  return r;
}

template <class T>
Outcome BidiagonalDivide<T>::solve(Team& team, T* d, T* e, T* u, T* v) const noexcept {
  const T unit = divide_by_unit(d, e, n_);
  if (!std::isfinite(unit)) return {Outcome::Status::failed_items};
  if (unit == 0) {
    for (T* vectors : {u, v}) {
      std::fill_n(vectors, n_ * n_, T{0});
      for (Size i = 0; i < n_; ++i) vectors[i * (n_ + 1)] = 1;
    }
    return {};
  }
  JoinedOutcome outcome;
  team.run(blocks_, [&](Team::Block block) { outcome.join(solve_block(range(block, blocks_), d, e, u, v)); });
  for (Size ranges = blocks_ / 2; ranges > 0 && outcome.get().ok(); ranges /= 2)
    for_each_node(team, ranges, outcome, [&](Team& members, Size i) {
      const Range r = range(i, ranges);
      return join(members, r, d[r.middle()], e[r.middle()], u, v);
    });
  if (!outcome.get().ok()) return outcome.get();
  for (Size i = 0; i < n_; ++i) d[i] = static_cast<T>(*joints_.value(joints_.order(0)[i])) * unit;
  joints_.sort_rows(team, u);
  joints_.sort_rows(team, v);
  return {};
}

template <class T>
Outcome BidiagonalDivide<T>::solve_block(const Range& r, T* d, T* e, T* u, T* v) const noexcept {
  const Size n = r.end - r.begin, columns = n + (r.wide ? 1 : 0);
  for (T* rows : {u, v}) std::fill_n(rows + r.begin * n_, columns * n_, T{0});
  T *const by_columns = joints_.work(r.begin), *const sweeps = by_columns + columns * columns;
  assert(columns * columns + 4 * n <= columns * n_);  // what other blocks leave to this one
  std::fill_n(by_columns, columns * columns, T{0});
  for (Size i = 0; i < columns; ++i) by_columns[i * (columns + 1)] = 1;
  T* const own_u = u + r.begin * n_ + r.begin;
  for (Size i = 0; i < n; ++i) own_u[i * (n_ + 1)] = 1;
  if (routines_.lasdq(r.wide, n, d + r.begin, e + r.begin, by_columns, columns, own_u, n_, sweeps) != 0)
    return {Outcome::Status::failed_items};
  for (Size i = 0; i < columns; ++i)
    for (Size j = 0; j < columns; ++j) v[(r.begin + i) * n_ + r.begin + j] = by_columns[i + j * columns];
  for (Size i = 0; i < n; ++i) {
    *joints_.value(r.begin + i) = static_cast<double>(d[r.begin + i]);
  }
  std::int32_t* const order = joints_.order(r.begin);
  const double* const value = joints_.value(r.begin);
  std::iota(order, order + n, 0);
  std::sort(order, order + n, [&](std::int32_t i, std::int32_t j) { return value[i] < value[j]; });
  return {};
}

template <class T>
Outcome BidiagonalDivide<T>::join(Team& team, const Range& r, T alpha, T beta, T* u, T* v) const noexcept {
  const Size n = r.end - r.begin, columns = n + (r.wide ? 1 : 0), row = r.middle(), upper = row - r.begin;
  double *const value = joints_.value(r.begin), *const element = joints_.element(r.begin);
  typename Joints<T>::Side* const side = joints_.side(r.begin);
  std::int32_t* const order = joints_.order(r.begin);
  const auto in_row = [&](Size i) {
    const bool above = i <= row;
    return static_cast<double>(above ? alpha : beta) * static_cast<double>(v[i * n_ + (above ? row : row + 1)]);
  };
  double largest = static_cast<double>(std::max(std::fabs(alpha), std::fabs(beta)));
  value[upper] = 0;
  for (Size i = 0; i < n; ++i) {
    element[i] = in_row(r.begin + i);
    side[i] = i < upper ? Joints<T>::upper_only : Joints<T>::lower_only;
    largest = std::max(largest, value[i]);
  }
  // The first column: of both vectors that are taken to zero one has no element in the row after a turn.
  side[upper] = Joints<T>::both;
  u[row * n_ + row] = 1;
  if (r.wide) {
    const double other = in_row(r.end), length = length_of(element[upper], other);
    if (length > least_in_joint)
      joints_.turn_rows(v, row, r.end, r.begin, columns, element[upper] / length, other / length);
    element[upper] = length;
  }
  const double u_of_T = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  const double nothing = std::max(8 * u_of_T * largest, least_in_joint);
  if (std::fabs(element[upper]) <= nothing) element[upper] = nothing;
  for (Size i = upper; i < n - 1; ++i) order[i] = order[i + 1] + static_cast<std::int32_t>(upper + 1);
  std::inplace_merge(order, order + upper, order + n - 1,
                     [&](std::int32_t i, std::int32_t j) { return value[i] < value[j]; });
  const DividedNode node{r.begin, row + 1, r.end, Joints<T>::place(r.begin, r.first_block)};
  const Joint joint = joints_.deflate(
      node, n - 1, static_cast<std::int32_t>(upper), nothing,
      [&](Size i, Size j, double, double) { return value[j] - value[i] <= nothing; },
      [&](Size i, Size j, double c, double s) {
        joints_.turn_rows(u, r.begin + i, r.begin + j, r.begin, n, c, s);
        joints_.turn_rows(v, r.begin + i, r.begin + j, r.begin, columns, c, s);
      });
  T *const left = left_ + r.begin * n_, *const right = right_ + r.begin * n_;
  const Size k = joint.kept;
  const Outcome found = joints_.find(
      team, node, joint, Space::squares, 1,
      [&](Size j, const double* pole, const double* weight, double* difference, const std::int32_t* group) {
        kernel_of<Poles<T>>().two_vectors(k, pole, weight, difference, group, left + j * k, right + j * k);
      });
  if (!found.ok()) return found;
  Outcome outcome = joints_.multiply(team, node, n, joint, left, u);
  outcome.join(joints_.multiply(team, node, columns, joint, right, v));
  joints_.put_in_order(node, joint);
  return outcome;
}

template class BidiagonalDivide<double>;
template class BidiagonalDivide<float>;

}  // namespace mmlfast::drivers
