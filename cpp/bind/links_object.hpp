// The prepared graph as Python holds it: made by register_links.cpp, used by register_pagerank.cpp.
#pragma once

#include <memory>

#include "drivers/common/link_components.hpp"
#include "runtime/locked_state.hpp"

namespace mmlfast::bind {

struct LinksObject {
  drivers::Links links;

  // The components, found at the first call; without the GIL. The search may run Python code (Ctrl-C), which may ask
  // for them too: it is outside of the lock, and who comes second throws his away.
  Outcome find_components() const {
    if (components() != nullptr) return {};
    auto found = std::make_unique<drivers::LinkComponents>();
    const Outcome outcome = found->build(links);
    const StateGuard lock(busy_);
    if (outcome.ok() && !components_) components_ = std::move(found);
    return outcome;
  }
  const drivers::LinkComponents* components() const {
    const StateGuard lock(busy_);
    return components_.get();
  }

 private:
  mutable StateLock busy_;
  mutable std::unique_ptr<drivers::LinkComponents> components_;
};

}  // namespace mmlfast::bind
