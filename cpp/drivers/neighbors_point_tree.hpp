// A balanced tree of boxes over points of few dimensions (a k-d tree).
#pragma once

#include "drivers/neighbors.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Points in an order in which neighbours stand close to each other, `leaf` of them to a box; the last box may have
// fewer. A box of m leaves is divided where its points spread most, so that the first half of the leaves is below and
// the rest above. Nodes are numbered from the root, 0, downwards: the first child of node i is i + 1, the second one
// i + 2 m, where m is the number of leaves of the first.
// Time: n log2(n / leaf), by several threads. Source: J. H. Friedman, J. L. Bentley and R. A. Finkel, An algorithm for
// finding best matches in logarithmic expected time, ACM TOMS 3 (1977).
template <class T>
class PointTree {
 public:
  PointTree(const RowTable<T>& points, Size leaf) noexcept;

  // no_memory, or interrupted.
  Outcome build() noexcept;

  Size n_leaves() const noexcept { return n_leaves_; }
  // The numbers of the points in the order, and their rows.
  const std::uint32_t* order() const noexcept { return order_.data(); }
  const T* row(Size place) const noexcept { return rows_.data() + place * points_.d; }
  // The places of a leaf.
  Size begin(Size leaf) const noexcept { return leaf * leaf_; }
  Size end(Size leaf) const noexcept { return leaf + 1 == n_leaves_ ? points_.count : (leaf + 1) * leaf_; }
  // d pairs of numbers: the least and the largest coordinate.
  const double* box(Size node) const noexcept { return boxes_.data() + node * 2 * points_.d; }
  // The smallest number of a point of a node.
  std::uint32_t least(Size node) const noexcept { return least_[node]; }

 private:
  struct Keyed {
    double key;
    std::uint32_t place, index;
  };
  struct Part {
    Size node, first_leaf, n_leaves;
  };
  Part left(const Part& p) const noexcept { return {p.node + 1, p.first_leaf, p.n_leaves / 2}; }
  Part right(const Part& p) const noexcept {
    const Size below = p.n_leaves / 2;
    return {p.node + 2 * below, p.first_leaf + below, p.n_leaves - below};
  }
  Size measure(const Part& p) noexcept;
  void divide(const Part& p) noexcept;
  void divide_all(const Part& p) noexcept;

  RowTable<T> points_;
  Size leaf_, n_leaves_;
  AlignedBuffer<std::uint32_t> order_;
  AlignedBuffer<double> boxes_;
  AlignedBuffer<std::uint32_t> least_;
  // Rows move with their numbers, so that a part is read from one end to the other.
  AlignedBuffer<T> rows_, moved_;
  AlignedBuffer<Keyed> keyed_;
};

}  // namespace mmlfast::drivers
