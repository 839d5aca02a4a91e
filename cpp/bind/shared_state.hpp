// What bound objects with a state have in common: they work without the GIL, and are used by one thread at a time.
#pragma once

#include <memory>
#include <stdexcept>
#include <utility>

#include "bind/gil.hpp"
#include "runtime/locked_state.hpp"

namespace mmlfast::bind {

template <class State>
class SharedState {
 protected:
  using Owner = std::unique_ptr<State>;

  // f(const State&), without the GIL; not called if there is no state yet.
  template <class Look>
  void look(Look&& f) const {
    const ReleasedGil released;
    locked_.read([&](const State* state) {
      if (state != nullptr) f(*state);
    });
  }

  // f(Owner&), without the GIL. May throw.
  template <class Change>
  void change(Change&& f) {
    bool done;
    {
      const ReleasedGil released;
      done = locked_.write(f);
    }
    if (!done)
      throw std::runtime_error(
          "this object is being changed by the call that this signal handler interrupts: here it can be read, not "
          "changed");
  }

 private:
  LockedState<State> locked_;
};

}  // namespace mmlfast::bind
