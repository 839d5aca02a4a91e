// The strongly connected components of a prepared graph, and its links once more in their order: a row then reads only
// rows of its own component and of those before, so that a ranking can finish one component after the other.
//
// Work: a depth-first search over the links (Tarjan's) and a copy of them. Memory: as much again as the links.
//
// Source: Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1 (1972).
//
//     count, component = scipy.sparse.csgraph.connected_components(links, connection="strong")
#pragma once

#include "drivers/links.hpp"
#include "kernels/common/arriving_links.hpp"

namespace mmlfast::drivers {

// Rows of the core: either one component of several, or a run of components of one row each.
struct ComponentRun {
  Size first, last;
  Size n_outer, n_inner;  // links from other components, and those within that a sweep reads
  bool several;
};

class LinkComponents {
 public:
  Outcome build(const Links& links) noexcept;

  // The same graph; rows of the core are in the order of the components, the others where they were, and columns are
  // rows. One block of the core, one of the rest.
  const Links& links() const noexcept { return links_; }
  Size n_runs() const noexcept { return n_runs_; }
  const ComponentRun& run(Size i) const noexcept { return runs_[i]; }
  Size largest() const noexcept { return largest_; }
  const float* strength() const noexcept { return strength_.data(); }
  ComponentRows rows() const noexcept {
    return {links_.starts(),  outer_end_.data(),        repeats_.data(),  links_.columns(),
            links_.weights(), inverse_strength_.data(), strength_.data(), own_.data()};
  }

 private:
  friend class ComponentsBuilder;

  Links links_;
  Size n_runs_ = 0, largest_ = 0;
  AlignedBuffer<ComponentRun> runs_;
  AlignedBuffer<std::int64_t> outer_end_;
  AlignedBuffer<std::uint8_t> repeats_;
  AlignedBuffer<float> inverse_strength_, strength_, own_;
};

}  // namespace mmlfast::drivers
