#include "drivers/neighbors_tree.hpp"

#include <bit>

#include "drivers/neighbors_point_tree.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size panels_per_leaf = BoxTree::leaf_points / direct_panel_points, panels_per_block = 4,
               queries_per_block = panels_per_block * direct_panel_points;

// The square of how far a point, or a box, is from a box at least, less what rounding can have added to it beside the
// measured squares.
double gap(double low, double high, double box_low, double box_high) noexcept {
  return std::max(0.0, std::max(low - box_high, box_low - high));
}
double bound(double sum, Size d) noexcept {
  return sum * (1 - 4 * static_cast<double>(d + 2) * std::numeric_limits<double>::epsilon());
}
// Component j of the first, a box or a point, at j * step of `low` and `high`; the second as kernels have boxes.
double between(const double* low, const double* high, Size step, const double* box, Size d) noexcept {
  double sum = 0;
  for (Size j = 0; j < d; ++j, low += step, high += step, box += 2 * BoxTree::children) {
    const double g = gap(*low, *high, box[0], box[BoxTree::children]);
    sum += g * g;
  }
  return bound(sum, d);
}
double just_beyond(double square) noexcept {
  return square * (1 + std::numeric_limits<double>::epsilon()) + std::numeric_limits<double>::denorm_min();
}

template <class T>
class TreeSearch {
 public:
  explicit TreeSearch(const NeighborAnswer<T>& answer) noexcept
      : answer_(answer),
        d_(answer.y.d),
        among_themselves_(answer.x.data == answer.y.data && answer.x.count == answer.y.count),
        tile_(kernel_.query_rows),
        block_(round_up(queries_per_block, tile_)),
        in_lanes_(answer.k <= tree_kernel_.most_in_lanes ? answer.k : 0),
        capacity_(std::min(2 * answer.k, answer.y.count) + 3 * panel_points),
        points_(answer.y.count, d_),
        queries_(among_themselves_ ? 0 : answer.x.count, d_) {}

  Outcome run() noexcept {
    Outcome outcome = points_.build(answer_.y);
    if (outcome.ok() && !among_themselves_) outcome = queries_.build(answer_.x);
    if (!outcome.ok()) return outcome;
    const double ns = static_cast<double>(queries_per_block) * static_cast<double>(30 * d_ + 20 * answer_.k);
    return parallel_with_scratch(ceil_div(queries().n_panels(), panels_per_block), ns,
                                 Workspace(Divider(), *this).bytes,
                                 [&](Size block, void* memory) { search(block, Workspace(Divider(memory), *this)); });
  }

 private:
  struct Workspace {
    double *rows, *limit, *box;
    Size *query, *count, *seen;
    Measured* candidates;
    double *list, *squares;
    std::uint32_t* places;
    Size bytes;
    Workspace(Divider divider, const TreeSearch& s) noexcept
        : rows(divider.take<double>(s.block_ * s.d_)),
          limit(divider.take<double>(s.block_)),
          box(divider.take<double>(2 * s.d_)),
          query(divider.take<Size>(s.block_)),
          count(divider.take<Size>(s.block_)),
          seen(divider.take<Size>(s.block_)),
          candidates(divider.take<Measured>(checked_product(s.block_, s.capacity_))),
          list(divider.take<double>(direct_panel_points * (s.in_lanes_ + 1))),
          squares(divider.take<double>(direct_panel_points * s.in_lanes_)),
          places(divider.take<std::uint32_t>(direct_panel_points * s.in_lanes_)),
          bytes(divider.used()) {}
  };
  struct Waiting {
    Size level, box;
    double square;
    std::uint32_t least;
  };

  const PointTree& queries() const noexcept { return among_themselves_ ? points_ : queries_; }

  // Some panels of queries: in lanes, and those whose last neighbour that leaves open by measuring, with ties in order.
  void search(Size block, const Workspace& w) const noexcept {
    Size n_left = 0;
    const Size end = std::min(queries().n_panels(), (block + 1) * panels_per_block);
    for (Size panel = block * panels_per_block; panel < end; ++panel) {
      const Size count = queries().points_of_panel(panel);
      std::uint32_t left = (1u << count) - 1;
      const bool in_lanes = in_lanes_ > 0;
      if (in_lanes) left = search_in_lanes(panel, count, w);
      for (; left != 0; left &= left - 1, ++n_left) {
        const Size l = std::countr_zero(left);
        w.query[n_left] = panel * direct_panel_points + l;
        w.limit[n_left] = in_lanes ? farthest_in_lanes(l, w) : std::numeric_limits<double>::infinity();
      }
    }
    if (n_left > 0) search_by_measuring(n_left, w);
  }

  // Writes the answers of those that are decided, returns the others as bits.
  std::uint32_t search_in_lanes(Size panel, Size count, const Workspace& w) const noexcept {
    const Size k = answer_.k;
    const std::uint32_t left =
        tree_kernel_.nearest(points_.boxes(), {queries().panel(panel), count, k, w.list, w.squares, w.places});
    for (Size l = 0; l < count; ++l) {
      if ((left >> l & 1) != 0) continue;
      for (Size i = 0; i < k; ++i) {
        const Size at = i * direct_panel_points + l;
        put_in_place(w.candidates, i, {w.squares[at], points_.order()[w.places[at]]});
      }
      answer_.write_in_order(queries().order()[panel * direct_panel_points + l], w.candidates);
    }
    return left;
  }
  double farthest_in_lanes(Size l, const Workspace& w) const noexcept {
    double square = 0;
    for (Size i = 0; i < answer_.k; ++i) square = std::max(square, w.squares[i * direct_panel_points + l]);
    return just_beyond(square);
  }

  // Down the tree of the points, nearer boxes first.
  void search_by_measuring(Size n, const Workspace& w) const noexcept {
    load(n, w);
    const BoxTree& tree = points_.boxes();
    Waiting waiting[BoxTree::most_levels * BoxTree::children];
    Size count = 0;
    put_children(tree.n_levels - 1, 0, w, waiting, count);
    Measured reach = farthest(w, n);
    while (count > 0) {
      const Waiting node = waiting[--count];
      if (!may_improve(node.square, node.least, reach)) continue;
      if (node.level > 0)
        put_children(node.level - 1, node.box, w, waiting, count);
      else if (scan(node, w))
        reach = farthest(w, n);
    }
    for (Size q = 0; q < n; ++q) {
      Measured* candidates = w.candidates + q * capacity_;
      if (w.count[q] == answer_.k && answer_.k <= most_in_order)
        answer_.write_in_order(queries().order()[w.query[q]], candidates);
      else
        answer_.write(queries().order()[w.query[q]], candidates, w.count[q]);
    }
  }
  // The boxes of a group, the nearest one last.
  void put_children(Size level, Size group, const Workspace& w, Waiting* waiting, Size& count) const noexcept {
    const double* boxes = points_.box(level, group * BoxTree::children);
    const Size first = count;
    for (Size child = 0; child < BoxTree::children; ++child) {
      const Size box = group * BoxTree::children + child;
      const Waiting node{level, box, between(w.box, w.box + 1, 2, boxes + child, d_), points_.least(level, box)};
      if (!(node.square < std::numeric_limits<double>::infinity())) continue;  // there is no such box
      Size at = count++;
      for (; at > first && nearer({waiting[at - 1].square, waiting[at - 1].least}, {node.square, node.least}); --at)
        waiting[at] = waiting[at - 1];
      waiting[at] = node;
    }
  }

  void load(Size n, const Workspace& w) const noexcept {
    constexpr double inf = std::numeric_limits<double>::infinity();
    for (Size j = 0; j < d_; ++j) w.box[2 * j] = inf, w.box[2 * j + 1] = -inf;
    for (Size q = 0; q < block_; ++q) {
      w.count[q] = w.seen[q] = 0;
      if (q >= n) w.limit[q] = -1;
      const Size place = w.query[std::min(q, n - 1)];
      const double* panel = queries().panel(place / direct_panel_points) + place % direct_panel_points;
      for (Size j = 0; j < d_; ++j) {
        const double value = panel[j * direct_panel_points];
        w.rows[q * d_ + j] = value;
        w.box[2 * j] = std::min(w.box[2 * j], value), w.box[2 * j + 1] = std::max(w.box[2 * j + 1], value);
      }
    }
  }

  // The last of the k neighbours that a query has so far, or how far it may be; of several queries, as far as any.
  Measured last_of(Size q, const Workspace& w) const noexcept {
    if (w.count[q] < answer_.k) return {w.limit[q], ~std::uint32_t{0}};
    return w.candidates[q * capacity_ + answer_.k - 1];
  }
  Measured farthest(const Workspace& w, Size n) const noexcept {
    Measured all{0, 0};
    for (Size q = 0; q < n; ++q) {
      const Measured last = last_of(q, w);
      all = {std::max(all.score, last.score), std::max(all.index, last.index)};
    }
    return all;
  }
  // Whether a box at that distance may hold a neighbour in place of the last one: a nearer point, or one as far whose
  // number is smaller. (Of many points in one place, most are ruled out by their numbers.)
  static bool may_improve(double square, std::uint32_t least, const Measured& last) noexcept {
    return square < last.score || (square == last.score && least < last.index);
  }

  // The points of a leaf, for the queries that may find some there; whether a limit has moved.
  bool scan(const Waiting& leaf, const Workspace& w) const noexcept {
    const double* box = points_.box(0, leaf.box);
    const Size first = leaf.box * panels_per_leaf, end = first + panels_per_leaf;
    bool moved = false;
    for (Size q = 0; q < block_; q += tile_) {
      bool any = false;
      for (Size r = q; r < q + tile_ && !any; ++r)
        any = w.limit[r] >= 0 &&
              may_improve(between(w.rows + r * d_, w.rows + r * d_, 1, box, d_), leaf.least, last_of(r, w));
      if (!any) continue;
      const NeighborScan<double> operands{
          w.rows + q * d_, tile_,       d_, points_.panel(0), nullptr, end, w.limit + q, w.candidates + q * capacity_,
          capacity_,       w.count + q, 0,  nullptr,          nullptr};
      for (NeighborCursor cursor{first, 0}; kernel_.scan_directly(operands, cursor);)
        for (Size r = q; r < q + tile_; ++r) keep_nearest(r, w);
      for (Size r = q; r < q + tile_; ++r) moved |= keep_nearest(r, w);
    }
    return moved;
  }

  // The k nearest so far, and the limit that they set: others as far away may have a smaller index, so it is just
  // beyond them. Few are kept in order, each new one put in its place.
  bool keep_nearest(Size q, const Workspace& w) const noexcept {
    const Size old = w.seen[q], all = w.count[q], k = answer_.k;
    if (all == old) return false;
    Measured* candidates = w.candidates + q * capacity_;
    for (Size i = old; i < all; ++i) candidates[i].index = points_.order()[candidates[i].index];
    if (k > most_in_order) {
      if (all >= k) std::nth_element(candidates, candidates + k - 1, candidates + all, nearer);
    } else {
      for (Size i = old; i < all; ++i) put_in_place(candidates, std::min(i, k), candidates[i]);
    }
    w.count[q] = w.seen[q] = std::min(all, k);
    if (all < k) return false;
    w.limit[q] = just_beyond(candidates[k - 1].score);
    return true;
  }

  // Into the first `count` <= k, which are in order; there is room for one more unless they are k.
  void put_in_place(Measured* candidates, Size count, const Measured found) const noexcept {
    if (count == answer_.k) {
      if (!nearer(found, candidates[count - 1])) return;
      --count;
    }
    for (; count > 0 && nearer(found, candidates[count - 1]); --count) candidates[count] = candidates[count - 1];
    candidates[count] = found;
  }

  static constexpr Size most_in_order = 32;
  const Neighbors<T>& kernel_ = kernel_of<Neighbors<T>>();
  const NeighborsTree& tree_kernel_ = kernel_of<NeighborsTree>();
  NeighborAnswer<T> answer_;
  Size d_;
  bool among_themselves_;
  Size tile_, block_, in_lanes_, capacity_;
  PointTree points_, queries_;
};

}  // namespace

// Nanoseconds, as measured: of all distances (those of three dimensions and fewer are not sought by integers), beside
// those of making the tree and of going down it, which every dimension more makes 1.7 times as long.
bool suits_tree(Size n_queries, Size n_points, Size d, Size k) noexcept {
  if (d > 10 || n_points < 1024 || k > n_points / 16) return false;
  const double queries = static_cast<double>(n_queries), points = static_cast<double>(n_points);
  const double ranking = static_cast<double>(k) * queries;
  const double all = (d <= 3 ? 0.18 : 0.08) * queries * points + 300 * queries + 120 * ranking;
  const double down = (50 * std::pow(1.72, d) * queries + 25 * ranking) * std::log2(points) / 14;
  return all > 1.2 * (100 * points + down);
}

template <class T>
Outcome search_tree(const NeighborAnswer<T>& answer) noexcept {
  return TreeSearch<T>(answer).run();
}

template Outcome search_tree(const NeighborAnswer<double>&) noexcept;
template Outcome search_tree(const NeighborAnswer<float>&) noexcept;

}  // namespace mmlfast::drivers
