// How the components of a graph are found, and its links put into their order.
#include <algorithm>
#include <numeric>

#include "drivers/common/link_components.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

// The stages of build(), in order.
class ComponentsBuilder {
 public:
  ComponentsBuilder(const Links& from, LinkComponents& to)
      : from_(from), to_(to), n_(from.n_nodes()), n_core_(from.n_core()) {}

  Outcome run() {
    using Stage = Outcome (ComponentsBuilder::*)();
    for (const Stage stage :
         {&ComponentsBuilder::search, &ComponentsBuilder::number_rows, &ComponentsBuilder::copy_rows,
          &ComponentsBuilder::copy_links, &ComponentsBuilder::divide}) {
      const Outcome outcome = (this->*stage)();
      if (!outcome.ok()) return outcome;
    }
    return {};
  }

 private:
  static constexpr Node none = ~Node{0};
  static Outcome finished(bool done) { return {done ? Outcome::Status::ok : Outcome::Status::interrupted}; }
  static Outcome no_memory() { return {Outcome::Status::no_memory}; }

  Node row_of(Node column) const {
    return static_cast<Size>(column) < n_core_ ? column : column - static_cast<Node>(n_core_);
  }

  // What the search is in the middle of: a path of rows, and rows whose component is not complete yet.
  struct Search {
    explicit Search(Size n) : met(n), low(n), path(n), open(n), next(n) {}
    bool ready() const { return met && low && path && open && next; }
    AlignedBuffer<Node> met, low, path, open;  // when a row was met first; the first row that it leads back to
    AlignedBuffer<std::int64_t> next;          // the link to look at
    Size n_path = 0, n_open = 0;
    Node time = 0;
  };

  void enter(Search& s, Node r) {
    s.met[r] = s.low[r] = s.time++;
    s.path[s.n_path++] = s.open[s.n_open++] = r;
  }
  // The last row of the path has no more links: its component is complete if it leads back to no row before it.
  void leave(Search& s) {
    const Node r = s.path[--s.n_path];
    if (s.n_path > 0) s.low[s.path[s.n_path - 1]] = std::min(s.low[s.path[s.n_path - 1]], s.low[r]);
    if (s.low[r] != s.met[r]) return;
    Node member;
    do {
      member = s.open[--s.n_open];
      component_[member] = static_cast<Node>(n_components_);
    } while (member != r);
    ++n_components_;
  }

  // From each row to those it reads: components are then complete in the order in which they can be solved.
  Outcome search() {
    component_ = AlignedBuffer<Node>(n_core_);
    Search s(n_core_);
    if (!component_ || !s.ready()) return no_memory();
    std::fill_n(component_.data(), n_core_, none);
    std::fill_n(s.met.data(), n_core_, none);
    std::copy_n(from_.starts(), n_core_, s.next.data());
    InterruptTimer timer;
    Size steps = 0;
    for (Size root = 0; root < n_core_; ++root) {
      if (s.met[root] == none) enter(s, static_cast<Node>(root));
      while (s.n_path > 0) {
        if (++steps % (1 << 20) == 0 && timer.interrupted()) return finished(false);
        const Node r = s.path[s.n_path - 1];
        if (s.next[r] == from_.starts()[r + 1]) {
          leave(s);
          continue;
        }
        const Node other = row_of(from_.columns()[s.next[r]++]);
        if (s.met[other] == none)
          enter(s, other);
        else if (component_[other] == none)
          s.low[r] = std::min(s.low[r], s.met[other]);
      }
    }
    return {};
  }

  // By component, and in the old order within one.
  Outcome number_rows() {
    first_ = AlignedBuffer<Size>(n_components_ + 1);
    place_ = AlignedBuffer<Node>(n_core_);
    row_ = AlignedBuffer<Node>(n_core_);
    AlignedBuffer<Size> cursor(n_components_ + 1);
    if (!first_ || !place_ || !row_ || !cursor) return no_memory();
    std::fill_n(first_.data(), n_components_ + 1, Size{0});
    for (Size r = 0; r < n_core_; ++r) ++first_[component_[r] + 1];
    std::partial_sum(first_.data(), first_.data() + n_components_ + 1, first_.data());
    std::copy_n(first_.data(), n_components_, cursor.data());
    for (Size r = 0; r < n_core_; ++r) {
      const Size k = cursor[component_[r]]++;
      place_[r] = static_cast<Node>(k);
      row_[k] = static_cast<Node>(r);
    }
    return {};
  }

  Size old_row(Size k) const { return k < n_core_ ? row_[k] : k; }

  Outcome copy_rows() {
    Links& to = to_.links_;
    to.n_ = n_;
    to.n_core_ = n_core_;
    to.n_links_ = from_.n_links();
    to.largest_row_ = from_.largest_row();
    to.has_zeros_ = from_.has_zeros();
    to.n_core_blocks_ = 1;
    to.n_blocks_ = n_ > n_core_ ? 2 : 1;
    to.starts_ = AlignedBuffer<std::int64_t>(n_ + 1);
    to.column_ = AlignedBuffer<Node>(to.n_links_ + Links::padding);
    to.label_ = AlignedBuffer<Node>(n_);
    to.inverse_strength_ = AlignedBuffer<double>(n_);
    to.blocks_ = AlignedBuffer<Size>(3);
    if (from_.weighted()) to.weight_ = AlignedBuffer<double>(to.n_links_);
    to_.outer_end_ = AlignedBuffer<std::int64_t>(n_core_);
    to_.repeats_ = AlignedBuffer<std::uint8_t>(n_core_);
    for (AlignedBuffer<float>* floats : {&to_.inverse_strength_, &to_.strength_, &to_.own_}) {
      *floats = AlignedBuffer<float>(n_core_);
      if (!*floats) return no_memory();
    }
    if (!to.starts_ || !to.column_ || !to.label_ || !to.inverse_strength_ || !to.blocks_ ||
        (from_.weighted() && !to.weight_) || !to_.outer_end_ || !to_.repeats_)
      return no_memory();
    to.blocks_[0] = 0;
    to.blocks_[1] = n_core_;
    to.blocks_[2] = n_;
    std::fill_n(to.column_.data() + to.n_links_, Links::padding, Node{0});
    to.starts_[0] = 0;
    for (Size k = 0; k < n_; ++k) {
      const Size r = old_row(k);
      to.starts_[k + 1] = to.starts_[k] + from_.starts()[r + 1] - from_.starts()[r];
      to.inverse_strength_[k] = from_.inverse_strength()[r];
    }
    for (Size i = 0; i < n_; ++i) {
      const Node r = from_.label()[i];
      to.label_[i] = static_cast<Size>(r) < n_core_ ? place_[r] : r;
    }
    return {};
  }

  Outcome copy_links() {
    constexpr Size piece = 1 << 14;
    return finished(parallel_blocks(ceil_div(n_, piece), 4 * static_cast<double>(from_.n_links()), [&](Size p) {
      for (Size k = p * piece; k < std::min(n_, (p + 1) * piece); ++k)
        k < n_core_ ? copy_core_row(k) : (void)copy_if(k, to_.links_.starts_[k], [](Node) { return true; });
    }));
  }
  // Links from other components first.
  void copy_core_row(Size k) {
    const Size r = row_[k], start = to_.links_.starts_[k], end = to_.links_.starts_[k + 1];
    const Node component = component_[r];
    const Size inner = copy_if(k, start, [&](Node other) { return component_[other] != component; });
    copy_if(k, inner, [&](Node other) { return component_[other] == component; });
    to_.outer_end_[k] = inner;
    const double inverse = to_.links_.inverse_strength_[k];
    double own = 0;
    for (Size e = inner; e < end; ++e)
      if (static_cast<Size>(to_.links_.column_[e]) == k)
        own += inverse * (from_.weighted() ? to_.links_.weight_[e] : 1);
    to_.own_[k] = static_cast<float>(std::min(own, 1.0));
    to_.inverse_strength_[k] = static_cast<float>(inverse);
    to_.strength_[k] = static_cast<float>(1 / inverse);
  }
  // Whether the links within the component are those of the row before, in the same component.
  bool repeats(Size k) const {
    const Size begin = to_.outer_end_[k], end = to_.links_.starts_[k + 1], other = to_.outer_end_[k - 1];
    const Node* column = to_.links_.columns();
    const double* weight = to_.links_.weights();
    return to_.links_.starts_[k] - other == end - begin && std::equal(column + begin, column + end, column + other) &&
           (weight == nullptr || std::equal(weight + begin, weight + end, weight + other));
  }
  template <class Wanted>
  Size copy_if(Size k, Size at, Wanted&& wanted) {
    const Size r = old_row(k);
    for (Size e = from_.starts()[r]; e < from_.starts()[r + 1]; ++e) {
      const Node other = row_of(from_.columns()[e]);
      if (!wanted(other)) continue;
      if (from_.weighted()) to_.links_.weight_[at] = from_.weights()[e];
      to_.links_.column_[at++] = place_[other];
    }
    return at;
  }

  Outcome divide() {
    to_.runs_ = AlignedBuffer<ComponentRun>(n_components_);
    if (!to_.runs_) return no_memory();
    for (Size c = 0; c < n_components_; ++c) {
      const Size first = first_[c], last = first_[c + 1];
      to_.largest_ = std::max(to_.largest_, last - first);
      const bool several = last - first > 1;
      if (several || to_.n_runs_ == 0 || to_.runs_[to_.n_runs_ - 1].several)
        to_.runs_[to_.n_runs_++] = {first, first, 0, 0, several};
      ComponentRun& run = to_.runs_[to_.n_runs_ - 1];
      run.last = last;
      for (Size k = first; k < last; ++k) {
        run.n_outer += to_.outer_end_[k] - to_.links_.starts_[k];
        to_.repeats_[k] = k > first && repeats(k);
        if (to_.repeats_[k] == 0) run.n_inner += to_.links_.starts_[k + 1] - to_.outer_end_[k];
      }
    }
    return {};
  }

  const Links& from_;
  LinkComponents& to_;
  const Size n_, n_core_;
  Size n_components_ = 0;
  AlignedBuffer<Node> component_, place_, row_;
  AlignedBuffer<Size> first_;
};

Outcome LinkComponents::build(const Links& links) noexcept { return ComponentsBuilder(links, *this).run(); }

}  // namespace mmlfast::drivers
