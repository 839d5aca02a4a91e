// A function that is passed down without its type: what calls it is compiled once for all of them.
#pragma once

namespace mmlfast::drivers {

// Refers to a function, which has to outlive it; as std::function_ref of C++26.
template <class Result, class... Arguments>
class FunctionRef {
 public:
  template <class F>
  FunctionRef(const F& f) noexcept
      : f_(&f), call_([](const void* known, Arguments... arguments) noexcept -> Result {
          return (*static_cast<const F*>(known))(arguments...);
        }) {}
  Result operator()(Arguments... arguments) const noexcept { return call_(f_, arguments...); }

 private:
  const void* f_;
  Result (*call_)(const void*, Arguments...) noexcept;
};

}  // namespace mmlfast::drivers
