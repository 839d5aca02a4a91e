// A base of what must not be copied or moved: the destructor undoes what the constructor did, once.
#pragma once

namespace mmlfast {

class NonCopyable {
 public:
  NonCopyable() = default;
  NonCopyable(const NonCopyable&) = delete;
  NonCopyable& operator=(const NonCopyable&) = delete;
};

}  // namespace mmlfast
