// A balanced tree of boxes over points of few dimensions (a k-d tree).
#pragma once

#include <array>

#include "drivers/neighbors.hpp"
#include "kernels/neighbors.hpp"
#include "kernels/neighbors_tree.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Points in an order in which neighbours stand close to each other, with a box around every 16 of them (a leaf), around
// every 8 leaves, and so on: kernels/neighbors_tree.hpp. A part of the points is divided where it is widest, into up to
// 16 parts of equal size at once: as many as keep its boxes from becoming flat. The sizes are powers of two of leaves,
// so that a box of any level is a part.
// Time: a pass over the points for every four levels of two parts each, by several threads, and a sort of the last few
// hundred. Source: J. H. Friedman, J. L. Bentley and R. A. Finkel, An algorithm for finding best matches in logarithmic
// expected time, ACM TOMS 3 (1977); S. T. Leutenegger, M. A. Lopez and J. Edgington, STR, ICDE (1997).
class PointTree {
 public:
  PointTree(Size count, Size d) noexcept;

  // no_memory, or interrupted.
  template <class T>
  Outcome build(const RowTable<T>& points) noexcept;

  const BoxTree& boxes() const noexcept { return tree_; }
  // The numbers of the points in the order; and that of the smallest of a box.
  const std::uint32_t* order() const noexcept { return order_.data(); }
  std::uint32_t least(Size level, Size box) const noexcept { return least_[of_level_[level] + box]; }
  // As in BoxTree: element 16 j is the least number of component j, 8 behind it the largest.
  double* box(Size level, Size number) const noexcept {
    constexpr Size n = BoxTree::children;
    return boxes_.data() + (of_level_[level] + number / n * n) * 2 * d_ + number % n;
  }
  // Panels of 8 points; the last one may have fewer.
  Size n_panels() const noexcept { return ceil_div(count_, direct_panel_points); }
  const double* panel(Size i) const noexcept { return panels_.data() + i * direct_panel_points * d_; }
  Size points_of_panel(Size i) const noexcept {
    return std::min<Size>(direct_panel_points, count_ - i * direct_panel_points);
  }

 private:
  static constexpr Size most = BoxTree::most_dimensions, n_bins = 256, n_parts = 16;
  struct Keyed {
    double key;
    std::uint32_t place, index;
  };
  struct Part {
    Size first_leaf, n_leaves;
  };
  struct Box {
    double low[most], high[most];
    void join(const Box& other, Size d) noexcept {
      for (Size j = 0; j < d; ++j) {
        low[j] = std::min(low[j], other.low[j]);
        high[j] = std::max(high[j], other.high[j]);
      }
    }
  };
  // How a part is divided: where it is widest, into parts of so many leaves.
  struct Cut {
    Size component, n_leaves;
    double low, bins_per_unit;
    std::size_t bin(double x) const noexcept {
      const double at = (x - low) * bins_per_unit;  // NaN if all points are in one place
      return at > 0 ? static_cast<std::size_t>(std::min(at, static_cast<double>(n_bins - 1))) : 0;
    }
  };
  using Counts = std::array<std::uint32_t, n_bins>;
  struct Block {  // of a part: for a thread
    Box box;
    Counts next;
  };

  Size begin(Size leaf) const noexcept { return std::min(count_, leaf * BoxTree::leaf_points); }
  Size end(const Part& p) const noexcept { return begin(p.first_leaf + p.n_leaves); }
  double* row(Size place) const noexcept { return rows_.data() + place * d_; }
  void lay_out() noexcept;
  Outcome sort_and_pack() noexcept;
  Outcome divide_upper(Part* parts, Size& count) noexcept;
  Outcome divide(const Part& p, Block* blocks, Size n_blocks, Size& step) noexcept;
  void divide_all(const Part& p) noexcept;
  Box around(Size from, Size to) const noexcept;
  Cut cut(const Box& box, Size n_leaves) const noexcept;
  void move_row(Size from, Size to) noexcept;
  void move_back(Size from, Size to) noexcept;
  void select(Size from, Size nth, Size to, Size component) noexcept;
  void select_ends(const Part& p, const Cut& cut, const Counts& ends) noexcept;
  Box read_box(Size level, Size number) const noexcept;
  void set_box(Size level, Size number, const Box& box) noexcept;
  void pack(Size group) noexcept;
  void join_boxes(Size level) noexcept;

  const Neighbors<double>& kernel_ = kernel_of<Neighbors<double>>();
  Size count_, d_, n_leaves_;
  BoxTree tree_{};
  Size of_level_[BoxTree::most_levels] = {}, n_groups_[BoxTree::most_levels] = {};  // first box; groups of 8
  AlignedBuffer<std::uint32_t> order_, least_;
  AlignedBuffer<double> panels_, boxes_;
  // Rows move with their numbers, so that a part is read from one end to the other.
  AlignedBuffer<double> rows_, moved_;
  AlignedBuffer<std::uint32_t> moved_order_;
  AlignedBuffer<Keyed> keyed_;
};

}  // namespace mmlfast::drivers
