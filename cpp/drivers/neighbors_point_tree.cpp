#include "drivers/neighbors_point_tree.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "drivers/common/parallel.hpp"
#include "drivers/neighbors_answer.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size few_points = 512;                              // parts of fewer are not worth being counted by bins
constexpr Size points_of_block = 8192;                        // for threads
constexpr double ns_per_point = 4, ns_per_point_in_all = 40;  // of a pass over a part, and of all passes
constexpr double most_ways_log = 4;

// Of a number that is not negative, to 0.09.
double log2_of(double x) noexcept {
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);
  return x > 0 ? exponent + 2 * mantissa - 2 : -5000;
}

}  // namespace

PointTree::PointTree(Size count, Size d) noexcept
    : count_(count),
      d_(d),
      n_leaves_(std::max<Size>(1, ceil_div(count, BoxTree::leaf_points))),
      order_(round_up(count, BoxTree::leaf_points)),
      panels_(checked_product(n_leaves_ * BoxTree::leaf_points, d)),
      rows_(checked_product(count, d)),
      moved_(checked_product(count, d)),
      moved_order_(count),
      keyed_(count) {
  lay_out();
}

void PointTree::lay_out() noexcept {
  Size groups = 0;
  for (Size n = n_leaves_; tree_.n_levels == 0 || n > 1; n = n_groups_[tree_.n_levels - 1]) {
    const Size level = tree_.n_levels++;
    of_level_[level] = groups * BoxTree::children;
    n_groups_[level] = ceil_div(n, BoxTree::children);
    groups += n_groups_[level];
  }
  const Size numbers = 2 * BoxTree::children * d_;
  least_ = AlignedBuffer<std::uint32_t>(groups * BoxTree::children);
  boxes_ = AlignedBuffer<double>(checked_product(groups, numbers));
  if (!boxes_) return;  // build() says so
  for (Size level = 0; level < tree_.n_levels; ++level)
    tree_.boxes[level] = boxes_.data() + of_level_[level] / BoxTree::children * numbers;
  tree_.panels = panels_.data();
  tree_.d = d_;
  tree_.place_mask =
      static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n_leaves_ * BoxTree::leaf_points))) - 1;
}

template <class T>
Outcome PointTree::build(const RowTable<T>& points) noexcept {
  if (!order_ || !panels_ || !least_ || !boxes_ || !rows_ || !moved_ || !moved_order_ || !keyed_)
    return {Outcome::Status::no_memory};
  const Outcome outcome =
      parallel_with_scratch(ceil_div(count_, points_of_block), points_of_block, 0, [&](Size i, void*) {
        const Size from = i * points_of_block, to = std::min(count_, from + points_of_block);
        std::copy(points.row(from), points.row(to), row(from));
        std::iota(order_.data() + from, order_.data() + to, static_cast<std::uint32_t>(from));
      });
  return outcome.ok() ? sort_and_pack() : outcome;
}

Outcome PointTree::sort_and_pack() noexcept {
  std::fill(order_.data() + count_, order_.data() + order_.size(), std::uint32_t{0});
  Part parts[2 * n_parts] = {{0, n_leaves_}};
  Size count = 1;
  Outcome outcome = divide_upper(parts, count);
  if (outcome.ok())
    outcome = parallel_with_scratch(count, ns_per_point_in_all * static_cast<double>(count_ / count), 0,
                                    [&](Size i, void*) { divide_all(parts[i]); });
  if (outcome.ok())
    outcome = parallel_with_scratch(n_groups_[0], ns_per_point * BoxTree::leaf_points * BoxTree::children, 0,
                                    [&](Size group, void*) { pack(group); });
  if (outcome.ok())
    for (Size level = 1; level < tree_.n_levels; ++level) join_boxes(level);
  rows_ = AlignedBuffer<double>();
  moved_ = AlignedBuffer<double>();
  moved_order_ = AlignedBuffer<std::uint32_t>();
  keyed_ = AlignedBuffer<Keyed>();
  return outcome;
}

// The largest part, again and again, until there are enough for all threads.
Outcome PointTree::divide_upper(Part* parts, Size& count) noexcept {
  const Size n_blocks = ceil_div(count_, points_of_block);
  const AlignedBuffer<Block> blocks(n_blocks);
  if (!blocks) return {Outcome::Status::no_memory};
  while (count < n_parts) {
    Part* largest =
        std::max_element(parts, parts + count, [](const Part& a, const Part& b) { return a.n_leaves < b.n_leaves; });
    const Part whole = *largest;
    if (end(whole) - begin(whole.first_leaf) <= points_of_block) break;
    Size step = 0;
    const Outcome outcome = divide(whole, blocks.data(), n_blocks, step);
    if (!outcome.ok()) return outcome;
    *largest = {whole.first_leaf, step};
    for (Size first = step; first < whole.n_leaves; first += step)
      parts[count++] = {whole.first_leaf + first, std::min(step, whole.n_leaves - first)};
  }
  return {};
}

void PointTree::divide_all(const Part& p) noexcept {
  if (p.n_leaves == 1) return;
  Block block;
  Size step = 0;
  divide(p, &block, 1, step);
  for (Size first = 0; first < p.n_leaves; first += step)
    divide_all({p.first_leaf + first, std::min(step, p.n_leaves - first)});
}

PointTree::Box PointTree::around(Size from, Size to) const noexcept {
  const Size d = d_;
  Box box;
  for (Size j = 0; j < d; ++j) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (Size i = from; i < to; ++i) {
      const double x = row(i)[j];
      low = std::min(low, x), high = std::max(high, x);
    }
    box.low[j] = low, box.high[j] = high;
  }
  return box;
}

// Boxes of n leaves that are as long as they are wide have a side s with s^m n = the product of the m sides of the part
// that are longer than s. Where it is widest, it is divided into parts about as long.
PointTree::Cut PointTree::cut(const Box& box, Size n_leaves) const noexcept {
  double logs[most] = {};  // of the sides, in descending order
  Size widest = 0;
  double width = -1;
  for (Size j = 0; j < d_; ++j) {
    const double side = box.high[j] - box.low[j], own = log2_of(side);
    Size at = j;
    for (; at > 0 && logs[at - 1] < own; --at) logs[at] = logs[at - 1];
    logs[at] = own;
    if (side > width) widest = j, width = side;
  }
  double all = -log2_of(static_cast<double>(n_leaves));
  double side = all;
  for (Size m = 1; m <= d_; ++m) {
    const double next = logs[m - 1];
    if (m > 1 && !(next > side)) break;
    all += next;
    side = all / static_cast<double>(m);
  }
  const double room = std::floor(logs[0] - side);
  const int ways_log = room > 1 ? static_cast<int>(std::min(room, most_ways_log)) : 1;
  const Size whole = static_cast<Size>(std::bit_ceil(static_cast<std::uint64_t>(n_leaves)));
  return {widest, std::max<Size>(1, whole >> ways_log), box.low[widest], static_cast<double>(n_bins) / width};
}

void PointTree::move_row(Size from, Size to) noexcept {
  const double* source = row(from);
  double* target = moved_.data() + to * d_;
  if (d_ == 3)  // a call of memmove takes longer
    target[0] = source[0], target[1] = source[1], target[2] = source[2];
  else
    std::copy_n(source, d_, target);
}
void PointTree::move_back(Size from, Size to) noexcept {
  std::copy(moved_.data() + from * d_, moved_.data() + to * d_, row(from));
}

// The nth point from the start is then where it belongs, those before are not above it, those behind not below.
void PointTree::select(Size from, Size nth, Size to, Size component_of) noexcept {
  Keyed* keyed = keyed_.data();
  for (Size i = from; i < to; ++i) keyed[i] = {ordered(row(i)[component_of]), static_cast<std::uint32_t>(i), order_[i]};
  std::nth_element(keyed + from, keyed + nth, keyed + to, [](const Keyed& a, const Keyed& b) { return a.key < b.key; });
  for (Size i = from; i < to; ++i) {
    order_[i] = keyed[i].index;
    move_row(keyed[i].place, i);
  }
  move_back(from, to);
}

// Points are in order of their bins, of which `ends` has the ends: what is left are the bins in which a part ends.
void PointTree::select_ends(const Part& p, const Cut& cut, const Counts& ends) noexcept {
  std::size_t bin = 0;
  Size done = begin(p.first_leaf);
  for (Size leaf = p.first_leaf + cut.n_leaves; leaf < p.first_leaf + p.n_leaves; leaf += cut.n_leaves) {
    const Size place = begin(leaf);
    while (static_cast<Size>(ends[bin]) <= place) done = std::max<Size>(done, ends[bin++]);
    if (done < place) select(done, place, ends[bin], cut.component);
    done = place;
  }
}

// Into parts of `step` leaves. By threads, in blocks, if there is room for several.
Outcome PointTree::divide(const Part& p, Block* blocks, Size most_blocks, Size& step) noexcept {
  const Size first = begin(p.first_leaf), length = end(p) - first;
  const Size n_blocks = std::min(most_blocks, ceil_div(length, points_of_block));
  Outcome outcome;
  const auto each_block = [&](auto&& body) {
    if (!outcome.ok()) return;
    outcome = parallel_with_scratch(n_blocks, ns_per_point * points_of_block / 3, 0, [&](Size b, void*) {
      body(blocks[b], first + b * length / n_blocks, first + (b + 1) * length / n_blocks);
    });
  };
  each_block([&](Block& own, Size from, Size to) { own.box = around(from, to); });
  for (Size b = 1; b < n_blocks; ++b) blocks[0].box.join(blocks[b].box, d_);
  const Cut way = cut(blocks[0].box, p.n_leaves);
  step = way.n_leaves;
  Counts ends;
  if (length <= few_points) {
    ends.fill(static_cast<std::uint32_t>(first + length));
  } else {
    each_block([&](Block& own, Size from, Size to) {
      own.next.fill(0);
      for (Size i = from; i < to; ++i) ++own.next[way.bin(row(i)[way.component])];
    });
    std::uint32_t place = static_cast<std::uint32_t>(first);
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      for (Size b = 0; b < n_blocks; ++b) place += std::exchange(blocks[b].next[bin], place);
      ends[bin] = place;
    }
    each_block([&](Block& own, Size from, Size to) {
      for (Size i = from; i < to; ++i) {
        const Size target = own.next[way.bin(row(i)[way.component])]++;
        moved_order_[target] = order_[i];
        move_row(i, target);
      }
    });
    each_block([&](Block&, Size from, Size to) {
      std::copy(moved_order_.data() + from, moved_order_.data() + to, order_.data() + from);
      move_back(from, to);
    });
  }
  if (outcome.ok()) select_ends(p, way, ends);
  return outcome;
}

PointTree::Box PointTree::read_box(Size level, Size number) const noexcept {
  Box box;
  const double* from = this->box(level, number);
  for (Size j = 0; j < d_; ++j, from += 2 * BoxTree::children)
    box.low[j] = from[0], box.high[j] = from[BoxTree::children];
  return box;
}
void PointTree::set_box(Size level, Size number, const Box& box) noexcept {
  double* to = this->box(level, number);
  for (Size j = 0; j < d_; ++j, to += 2 * BoxTree::children) to[0] = box.low[j], to[BoxTree::children] = box.high[j];
}

// The panels, boxes and smallest numbers of eight leaves.
void PointTree::pack(Size group) noexcept {
  const Size d = d_;
  for (Size child = 0; child < BoxTree::children; ++child) {
    const Size leaf = group * BoxTree::children + child, from = begin(leaf), to = begin(leaf + 1);
    set_box(0, leaf, around(from, to));
    least_[leaf] = ~std::uint32_t{0};
    for (Size i = from; i < to; ++i) least_[leaf] = std::min(least_[leaf], order_[i]);
    if (leaf >= n_leaves_) continue;
    for (Size i = leaf * BoxTree::leaf_points; i < (leaf + 1) * BoxTree::leaf_points; i += direct_panel_points)
      kernel_.pack(row(std::min(i, to)), std::clamp<Size>(to - i, 0, direct_panel_points), d, panels_.data() + i * d);
  }
}

// Boxes of a level around those of the one below.
void PointTree::join_boxes(Size level) noexcept {
  for (Size node = 0; node < n_groups_[level] * BoxTree::children; ++node) {
    Box all = around(0, 0);
    std::uint32_t least = ~std::uint32_t{0};
    for (Size child = node * BoxTree::children; child < (node + 1) * BoxTree::children; ++child) {
      if (node >= n_groups_[level - 1]) break;
      all.join(read_box(level - 1, child), d_);
      least = std::min(least, this->least(level - 1, child));
    }
    set_box(level, node, all);
    least_[of_level_[level] + node] = least;
  }
}

template Outcome PointTree::build(const RowTable<double>&) noexcept;
template Outcome PointTree::build(const RowTable<float>&) noexcept;

}  // namespace mmlfast::drivers
