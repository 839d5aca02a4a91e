#include "drivers/neighbors_tree.hpp"

#include "drivers/neighbors_point_tree.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size points_per_leaf = 4 * direct_panel_points, most_levels = 40;

// The square of how far a point, or a box, is from a box at least, less what rounding can have added to it beside the
// measured squares.
double gap(double low, double high, double box_low, double box_high) noexcept {
  return std::max(0.0, std::max(low - box_high, box_low - high));
}
double bound(double sum, Size d) noexcept {
  return sum * (1 - 4 * static_cast<double>(d + 2) * std::numeric_limits<double>::epsilon());
}
double from_box(const double* row, const double* box, Size d) noexcept {
  double sum = 0;
  for (Size j = 0; j < d; ++j) {
    const double g = gap(row[j], row[j], box[2 * j], box[2 * j + 1]);
    sum += g * g;
  }
  return bound(sum, d);
}
double between(const double* a, const double* b, Size d) noexcept {
  double sum = 0;
  for (Size j = 0; j < d; ++j) {
    const double g = gap(a[2 * j], a[2 * j + 1], b[2 * j], b[2 * j + 1]);
    sum += g * g;
  }
  return bound(sum, d);
}

template <class T>
class TreeSearch {
 public:
  explicit TreeSearch(const NeighborAnswer<T>& answer) noexcept
      : answer_(answer),
        d_(answer.y.d),
        among_themselves_(answer.x.data == answer.y.data && answer.x.count == answer.y.count),
        tile_(kernel_.query_rows),
        block_(round_up(points_per_leaf, tile_)),
        capacity_(std::min(2 * answer.k, answer.y.count) + 3 * panel_points),
        points_(answer.y, points_per_leaf),
        queries_({answer.x.data, among_themselves_ ? 0 : answer.x.count, d_}, points_per_leaf) {}

  Outcome run() noexcept {
    Outcome outcome = points_.build();
    if (outcome.ok() && !among_themselves_) outcome = queries_.build();
    if (outcome.ok()) outcome = pack();
    if (!outcome.ok()) return outcome;
    const double ns = static_cast<double>(block_) * static_cast<double>(100 * d_ + 20 * answer_.k);
    return parallel_with_scratch(queries().n_leaves(), ns, Workspace(Divider(), *this).bytes,
                                 [&](Size leaf, void* memory) { search(leaf, Workspace(Divider(memory), *this)); });
  }

 private:
  struct Workspace {
    double *rows, *limit, *box;
    Size *count, *seen;
    Measured* candidates;
    Size bytes;
    Workspace(Divider divider, const TreeSearch& s) noexcept
        : rows(divider.take<double>(s.block_ * s.d_)),
          limit(divider.take<double>(s.block_)),
          box(divider.take<double>(2 * s.d_)),
          count(divider.take<Size>(s.block_)),
          seen(divider.take<Size>(s.block_)),
          candidates(divider.take<Measured>(checked_product(s.block_, s.capacity_))),
          bytes(divider.used()) {}
  };
  struct Waiting {
    Size node, first_leaf, n_leaves;
    double square;
  };

  const PointTree<T>& queries() const noexcept { return among_themselves_ ? points_ : queries_; }

  // The points in panels of 8, in the order of the tree.
  Outcome pack() noexcept {
    const Size count = answer_.y.count, n_panels = ceil_div(count, direct_panel_points);
    panels_ = AlignedBuffer<double>(checked_product(n_panels, direct_panel_points * d_));
    if (!panels_) return {Outcome::Status::no_memory};
    return parallel_with_scratch(n_panels, 8.0 * static_cast<double>(2 * d_), 0, [&](Size panel, void*) {
      const Size first = panel * direct_panel_points, n = std::min<Size>(direct_panel_points, count - first);
      kernel_.pack(points_.row(first), n, d_, panels_.data() + first * d_);
    });
  }

  // The queries of a leaf of theirs: down the tree of the points, nearer boxes first.
  void search(Size leaf, const Workspace& w) noexcept {
    const PointTree<T>& tree = queries();
    const Size first = tree.begin(leaf), n = tree.end(leaf) - first;
    load(tree, first, n, w);
    Waiting waiting[2 * most_levels];
    Size count = 0;
    waiting[count++] = {0, 0, points_.n_leaves(), 0};
    Measured reach = farthest(w, n);
    while (count > 0) {
      const Waiting node = waiting[--count];
      if (!may_improve(node.square, node.node, reach)) continue;
      if (node.n_leaves == 1) {
        if (scan(node, w)) reach = farthest(w, n);
        continue;
      }
      const Size below = node.n_leaves / 2;
      Waiting near{node.node + 1, node.first_leaf, below, 0},
          far{node.node + 2 * below, node.first_leaf + below, node.n_leaves - below, 0};
      near.square = between(w.box, points_.box(near.node), d_);
      far.square = between(w.box, points_.box(far.node), d_);
      if (nearer({far.square, points_.least(far.node)}, {near.square, points_.least(near.node)})) std::swap(near, far);
      waiting[count++] = far, waiting[count++] = near;
    }
    for (Size q = 0; q < n; ++q) {
      Measured* candidates = w.candidates + q * capacity_;
      if (w.count[q] == answer_.k && answer_.k <= most_in_order)
        answer_.write_in_order(tree.order()[first + q], candidates);
      else
        answer_.write(tree.order()[first + q], candidates, w.count[q]);
    }
  }

  void load(const PointTree<T>& tree, Size first, Size n, const Workspace& w) const noexcept {
    constexpr double inf = std::numeric_limits<double>::infinity();
    for (Size j = 0; j < d_; ++j) w.box[2 * j] = inf, w.box[2 * j + 1] = -inf;
    for (Size q = 0; q < block_; ++q) {
      w.count[q] = w.seen[q] = 0;
      w.limit[q] = q < n ? inf : -1;
      const T* row = tree.row(first + std::min(q, n - 1));
      for (Size j = 0; j < d_; ++j) {
        const double value = static_cast<double>(row[j]);
        w.rows[q * d_ + j] = value;
        w.box[2 * j] = std::min(w.box[2 * j], value), w.box[2 * j + 1] = std::max(w.box[2 * j + 1], value);
      }
    }
  }

  // The last of the k neighbours that a query has so far; of several queries, as far as any of them.
  Measured last_of(Size q, const Workspace& w) const noexcept {
    if (w.count[q] < answer_.k) return {std::numeric_limits<double>::infinity(), ~std::uint32_t{0}};
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
  bool may_improve(double square, Size node, const Measured& last) const noexcept {
    return square < last.score || (square == last.score && points_.least(node) < last.index);
  }

  // The points of a leaf, for the queries that may find some there; whether a limit has moved.
  bool scan(const Waiting& leaf, const Workspace& w) const noexcept {
    const double* box = points_.box(leaf.node);
    const Size first = points_.begin(leaf.first_leaf) / direct_panel_points,
               end = ceil_div(points_.end(leaf.first_leaf), direct_panel_points);
    bool moved = false;
    for (Size q = 0; q < block_; q += tile_) {
      bool any = false;
      for (Size r = q; r < q + tile_ && !any; ++r)
        any = w.limit[r] >= 0 && may_improve(from_box(w.rows + r * d_, box, d_), leaf.node, last_of(r, w));
      if (!any) continue;
      const NeighborScan<double> operands{
          w.rows + q * d_, tile_,       d_, panels_.data(), nullptr, end, w.limit + q, w.candidates + q * capacity_,
          capacity_,       w.count + q, 0,  nullptr,        nullptr};
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
      if (all > k) std::nth_element(candidates, candidates + k - 1, candidates + all, nearer);
    } else {
      for (Size i = old; i < all; ++i) put_in_place(candidates, std::min(i, k), candidates[i]);
    }
    w.count[q] = w.seen[q] = std::min(all, k);
    if (all < k) return false;
    w.limit[q] = candidates[k - 1].score * (1 + std::numeric_limits<double>::epsilon()) +
                 std::numeric_limits<double>::denorm_min();
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
  NeighborAnswer<T> answer_;
  Size d_;
  bool among_themselves_;
  Size tile_, block_, capacity_;
  PointTree<T> points_, queries_;
  AlignedBuffer<double> panels_;
};

}  // namespace

// Nanoseconds, as measured: of all distances (those of three dimensions and fewer are not sought by integers), beside
// those of making the tree and of going down it, which every dimension more makes half as long again.
bool suits_tree(Size n_queries, Size n_points, Size d, Size k) noexcept {
  if (d > 10 || n_points < 1024 || k > n_points / 16) return false;
  const double queries = static_cast<double>(n_queries), points = static_cast<double>(n_points);
  const double ranking = static_cast<double>(k) * queries;
  const double all = (d <= 3 ? 0.18 : 0.08) * queries * points + 300 * queries + 120 * ranking;
  const double down = (120 * std::pow(1.55, d) * queries + 60 * ranking) * std::log2(points) / 14;
  return all > 1.2 * (220 * points + down);
}

template <class T>
Outcome search_tree(const NeighborAnswer<T>& answer) noexcept {
  return TreeSearch<T>(answer).run();
}

template Outcome search_tree(const NeighborAnswer<double>&) noexcept;
template Outcome search_tree(const NeighborAnswer<float>&) noexcept;

}  // namespace mmlfast::drivers
