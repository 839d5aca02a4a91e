// The state behind stats.Moments, and the moments of one table of any size.
#pragma once

#include <vector>

#include "drivers/common/merge_tree.hpp"
#include "drivers/covariance_blocks.hpp"

namespace mmlfast::drivers {

// Mean and second moments of the rows seen so far, in a MergeTree of blocks of CovarianceShape::rows rows
// (CovarianceShape::sequential: one node for all). What came by merge() and went by remove() is kept apart, and joined
// when the result is asked for. Not thread-safe.
class Moments {
 public:
  explicit Moments(Size d, Want want = Want::covariance) noexcept : nodes_(d, want) {}

  Size columns() const noexcept { return nodes_.shape.d; }
  bool weighted() const noexcept { return weighted_; }

  // After an interruption the rows up to some whole block have been taken in.
  template <class T>
  Outcome update(const Table<T>& table) noexcept;

  // The sum of the weights of the rows.
  double weight() const noexcept;
  Outcome merge(const Moments& other) noexcept;
  // Takes rows out again. They must be among those taken in: the weight must not become negative (the caller checks).
  Outcome remove(const Moments& other) noexcept;
  Outcome copy(const Moments& other) noexcept;

  // The node of all rows together; `node` gets CovarianceShape::node_size() doubles. Changes nothing.
  Outcome total(Numbers& node) const noexcept;

  // The whole state as numbers, and back; false if the numbers are no state.
  void save(std::vector<double>& to) const;
  bool restore(const std::vector<double>& from);

 private:
  bool consistent() const noexcept;
  bool empty() const noexcept;
  Size node_size() const noexcept { return nodes_.size(); }
  const CovarianceShape& shape() const noexcept { return nodes_.shape; }
  // Where a node has the sum of squares of column j.
  Size square_of_column(Size j) const noexcept { return shape().m2() + (nodes_.full() ? shape().entry(j, j) : j); }
  Outcome merge_node(double* into, const double* node) const noexcept;
  Outcome join(Numbers& into, const Numbers& node, double sign) const noexcept;
  Outcome add_open(double* node) const noexcept;
  template <class T>
  Outcome fill_open(const Table<T>& table) noexcept;
  Outcome close_open() noexcept;
  template <class T>
  Outcome whole_blocks(const Table<T>& table, Size n_blocks) noexcept;
  template <class PackStrips>
  Outcome add_to_sequential(Size rows, const double* weights, PackStrips&& pack_strips) noexcept;
  template <class T>
  Outcome sequential_block(const Table<T>& table) noexcept;

  CovarianceNodes nodes_;
  bool weighted_ = false;
  MergeTree<CovarianceNodes> tree_;
  Numbers sequential_;           // where there is no tree, the node of all whole blocks
  Numbers open_, open_weights_;  // the packed rows of the unfinished block
  Size open_rows_ = 0;
  double open_weight_ = 0, closed_weight_ = 0;
  Numbers merged_, removed_;
};

}  // namespace mmlfast::drivers
