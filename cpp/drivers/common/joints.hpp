// What divide and conquer of one matrix (eigh_divide, svd_divide) does where two halves are joined: deflation, the
// roots and vectors of what is left (kernels/eigh_poles.hpp), and the products with the vectors of the halves.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "drivers/common/stops.hpp"
#include "kernels/eigh_poles.hpp"
#include "kernels/matmul.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// Rows of a block that is left to other methods.
inline constexpr Size most_undivided = 48;

// In a matrix whose largest number is between 1 and 2 this is nothing, however small everything else in a part of it
// may be: squares of what is divided by it, and its own, are normal numbers.
inline constexpr double least_in_joint = 0x1p-250;

// Blocks, a power of two, of at most so many rows.
inline Size blocks_of(Size n) noexcept {
  Size blocks = 1;
  while (ceil_div(n, blocks) > most_undivided) blocks *= 2;
  return blocks;
}

// hypot's last bits are the system's.
inline double length_of(double x, double y) noexcept {
  const double longer = std::max(std::fabs(x), std::fabs(y)), shorter = std::min(std::fabs(x), std::fabs(y));
  return longer == 0 ? 0 : longer * std::sqrt(1 + (shorter / longer) * (shorter / longer));
}

// Rows begin .. end of an n x n matrix, and the columns of as many: vectors that are zero from column `middle` on, or
// before it, and after the joint all of the node's.
struct DividedNode {
  Size begin, middle, end;
  Size place;  // of the node in arrays with margins

  Size size() const noexcept { return end - begin; }
};

// join_one(team, i) -> Outcome for all nodes of a level: one after the other by all threads, or each by one where there
// are enough.
template <class JoinOne>
void for_each_node(Team& team, Size nodes, JoinedOutcome& outcome, JoinOne&& join_one) noexcept {
  if (nodes < get_num_threads()) {
    for (Size i = 0; i < nodes && !outcome.stopped(); ++i) outcome.join(join_one(team, i));
    return;
  }
  team.run(nodes, [&](Team::Block i) {
    if (!outcome.stopped()) outcome.join(run_in_team(false, [&](Team& alone) { return join_one(alone, i); }));
  });
}

// Of the rows of a node, those that are joined (`kept`), of which the first `upper` are not zero before `middle`, and
// the last `lower` not from there on.
struct Joint {
  Size kept = 0, upper = 0, lower = 0;
};

template <class T>
class Joints {
 public:
  explicit Joints(Size n) noexcept : n_(n), stride_(round_up(n, pole_margin)) {}

  void lay_out(Divider& divider, Size blocks) noexcept {
    for (double** list : {&value_, &element_}) *list = divider.take<double>(n_);
    side_ = divider.take<Side>(n_);
    for (std::int32_t** list : {&order_, &row_, &group_}) *list = divider.take<std::int32_t>(n_);
    for (double** list : {&pole_, &size_, &weight_}) *list = divider.take<double>(n_ + 2 * pole_margin * blocks);
    difference_ = divider.take<double>(n_ * stride_);
  }
  static Size place(Size begin, Size first_block) noexcept { return begin + pole_margin * (2 * first_block + 1); }

  // For the rows of a node, from its first on: their values, what they are joined by, where they are not zero.
  enum Side : std::int8_t { upper_only, both, lower_only };
  double* value(Size row) const noexcept { return value_ + row; }
  double* element(Size row) const noexcept { return element_ + row; }
  Side* side(Size row) const noexcept { return side_ + row; }
  // Rows of a node by ascending values.
  std::int32_t* order(Size row) const noexcept { return order_ + row; }

  // The `count` rows in order, one after the other: those with an element of `nothing` are done with, and of two whose
  // values are as good as equal one is, after a turn. are_near(i, j, c, s): may row i become c i + s j without an
  // element, and row j c j - s i? turn() does so. A row `first`, which is not in order, comes before all others.
  template <class AreNear, class Turn>
  Joint deflate(const DividedNode& node, Size count, std::int32_t first, double nothing, AreNear&& are_near,
                Turn&& turn) const noexcept {
    double* const elements = element_ + node.begin;
    Side* const sides = side_ + node.begin;
    const std::int32_t* const in_turn = order_ + node.begin;
    std::int32_t* const row = row_ + node.begin;
    Joint joint;
    Size others = node.size();
    if (first >= 0) row[joint.kept++] = first;
    std::int32_t last = -1;
    for (Size i = 0; i < count; ++i) {
      const std::int32_t here = in_turn[i];
      if (std::fabs(elements[here]) <= nothing) {
        row[--others] = here;
        continue;
      }
      if (last >= 0) {
        const double length = length_of(elements[here], elements[last]);
        const double c = elements[here] / length, s = -elements[last] / length;
        if (are_near(last, here, c, s)) {
          elements[here] = length;
          if (sides[here] != sides[last]) sides[here] = both;
          turn(last, here, c, s);
          row[--others] = last;
        } else {
          row[joint.kept++] = last;
        }
      }
      last = here;
    }
    if (last >= 0) row[joint.kept++] = last;
    group_rows(node, joint);
    // The row that comes first has the value zero: no other has it.
    if (first >= 0 && joint.kept > 1) pole_[node.place + 1] = std::max(pole_[node.place + 1], nothing / 2);
    return joint;
  }

  // The new values, in the first rows of the node, and the vectors in terms of the old ones: to_vectors(j, k, pole,
  // weight, difference, group) is called for each.
  template <class ToVectors>
  Outcome find(Team& team, const DividedNode& node, const Joint& joint, Space space, double rho,
               ToVectors&& to_vectors) const noexcept {
    const Poles<T>& kernel = kernel_of<Poles<T>>();
    const Size k = joint.kept;
    const double *const pole = pole_ + node.place, *const size = size_ + node.place;
    double *const weight = weight_ + node.place, *const difference = difference_ + node.begin * stride_;
    JoinedOutcome outcome;
    for_each(team, k, [&](Size j) {
      if (stops(outcome)) return;
      value_[node.begin + j] = kernel.root(space, k, j, pole, size, rho, difference + j * stride_);
    });
    if (outcome.stopped()) return outcome.get();
    team.run(ceil_div(k, pole_margin), [&](Team::Block block) {
      kernel.weights(space, k, block * pole_margin, pole, size, difference, stride_, weight);
    });
    for_each(team, k, [&](Size j) { to_vectors(j, pole, weight, difference + j * stride_, group_ + node.begin); });
    return {};
  }

  // n numbers for each row of a node from this one on, until roots are looked for and once their vectors are there.
  T* work(Size row) const noexcept { return reinterpret_cast<T*>(difference_ + row * stride_); }

  // The vectors of a node in the rows of z (n x n): those that are joined by `factor` (kept x kept), then the others,
  // as they were. `columns` from the first row's number on are not zero.
  Outcome multiply(Team& team, const DividedNode& node, Size columns, const Joint& joint, const T* factor,
                   T* z) const noexcept {
    const Size k = joint.kept, left = node.middle - node.begin, right = columns - left;
    const std::int32_t *const row = row_ + node.begin, *const group = group_ + node.begin;
    T* const vectors = z + node.begin * n_ + node.begin;
    T *const upper = work(node.begin), *const lower = upper + joint.upper * left,
             *const others = lower + joint.lower * right;
    for_each(team, node.size(), [&](Size i) {
      const T* const from = vectors + row[i < k ? group[i] : i] * n_;
      if (i >= k) std::copy_n(from, columns, others + (i - k) * columns);
      if (i < joint.upper) std::copy_n(from, left, upper + i * left);
      if (i < k && i >= k - joint.lower) std::copy_n(from + left, right, lower + (i - (k - joint.lower)) * right);
    });
    for_each(team, node.size() - k,
             [&](Size i) { std::copy_n(others + i * columns, columns, vectors + (k + i) * n_); });
    JoinedOutcome outcome;
    constexpr Size height = 48;
    team.run(2 * ceil_div(k, height), [&](Team::Block block) {
      if (stops(outcome)) return;
      const Size first = block / 2 * height, rows = std::min(height, k - first);
      T* const to = vectors + first * n_;
      const T* const from = factor + first * k;
      if (block % 2 == 0)
        outcome.join(product(rows, from, k, joint.upper, upper, left, to));
      else
        outcome.join(product(rows, from + k - joint.lower, k, joint.lower, lower, right, to + left));
    });
    return outcome.get();
  }

  // After all vectors: the values of the others behind the new ones, and `order`.
  void put_in_order(const DividedNode& node, const Joint& joint) const noexcept {
    const Size n = node.size(), k = joint.kept;
    double* const values = value_ + node.begin;
    std::int32_t* const to = order_ + node.begin;
    std::copy(element_ + node.begin + k, element_ + node.end, values + k);
    const auto less = [&](std::int32_t i, std::int32_t j) { return values[i] < values[j]; };
    std::iota(to, to + n, 0);
    std::sort(to + k, to + n, less);
    std::inplace_merge(to, to + k, to + n, less);
  }

  // Rows of z in the order of the values of the whole matrix.
  void sort_rows(Team& team, T* z) const noexcept {
    if (std::is_sorted(order_, order_ + n_)) return;
    for_each(team, n_, [&](Size i) { std::copy_n(z + order_[i] * n_, n_, work(i)); });
    for_each(team, n_, [&](Size i) { std::copy_n(work(i), n_, z + i * n_); });
  }

  // Rows i and j of z, `columns` of them.
  void turn_rows(T* z, Size i, Size j, Size from, Size columns, double c, double s) const noexcept {
    T *const x = z + i * n_ + from, *const y = z + j * n_ + from;
    const T cosine = static_cast<T>(c), sine = static_cast<T>(s);
    for (Size k = 0; k < columns; ++k) {
      const T turned = cosine * x[k] + sine * y[k];
      y[k] = cosine * y[k] - sine * x[k];
      x[k] = turned;
    }
  }

 private:
  // one(i) for all i < count, some by each thread.
  template <class One>
  static void for_each(Team& team, Size count, One&& one) noexcept {
    constexpr Size at_once = 8;
    team.run(ceil_div(count, at_once), [&](Team::Block block) {
      for (Size i = block * at_once; i < std::min(count, (block + 1) * at_once); ++i) one(i);
    });
  }

  void group_rows(const DividedNode& node, Joint& joint) const noexcept {
    const std::int32_t* const row = row_ + node.begin;
    std::int32_t* to = group_ + node.begin;
    double *const pole = pole_ + node.place, *const size = size_ + node.place, *const weight = weight_ + node.place;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (Size i = 0; i < pole_margin; ++i) {
      pole[i - pole_margin] = -infinity;
      pole[joint.kept + i] = infinity;
      size[i - pole_margin] = size[joint.kept + i] = weight[joint.kept + i] = 0;
    }
    for (Size i = 0; i < joint.kept; ++i) {
      pole[i] = value_[node.begin + row[i]];
      size[i] = element_[node.begin + row[i]];
    }
    // The values of the others wait there until the new ones have taken their places.
    for (Size i = joint.kept; i < node.size(); ++i) element_[node.begin + i] = value_[node.begin + row[i]];
    for (const Side which : {upper_only, both, lower_only})
      for (Size i = 0; i < joint.kept; ++i) {
        if (side_[node.begin + row[i]] != which) continue;
        *to++ = static_cast<std::int32_t>(i);
        if (which != lower_only) ++joint.upper;
        if (which != upper_only) ++joint.lower;
      }
  }

  // to := a b for rows of a, a_row apart; columns of `to`, n apart.
  Outcome product(Size rows, const T* a, Size a_row, Size depth, const T* b, Size columns, T* to) const noexcept {
    const Matmul<T>& kernel = kernel_of<Matmul<T>>();
    if (depth == 0) {
      for (Size i = 0; i < rows; ++i) std::fill_n(to + i * n_, columns, T{0});
      return {};
    }
    if (columns == 0) return {};
    const ScratchLease scratch(kernel.scratch_elements(1, rows, depth, columns) * static_cast<Size>(sizeof(T)));
    if (!scratch) return {Outcome::Status::no_memory};
    kernel.products(1, {a, 0, {rows, depth, a_row, 1}}, {b, 0, {depth, columns, columns, 1}},
                    {to, 0, {rows, columns, n_, 1}}, static_cast<T*>(scratch.data()));
    return {};
  }

  Size n_, stride_;
  double *value_ = nullptr, *element_ = nullptr;
  Side* side_ = nullptr;
  std::int32_t* order_ = nullptr;
  // Rows that are joined, by ascending values, and then the others; those that are joined by sides.
  std::int32_t *row_ = nullptr, *group_ = nullptr;
  double *pole_ = nullptr, *size_ = nullptr, *weight_ = nullptr;  // of those that are joined, with margins
  double* difference_ = nullptr;                                  // n x stride, or other work
};

}  // namespace mmlfast::drivers
