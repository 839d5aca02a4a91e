#include "runtime/interrupt.hpp"

#include <atomic>

namespace mmlfast {
namespace {

constexpr std::chrono::milliseconds interval{40};
std::atomic<InterruptCheck> installed{nullptr};

}  // namespace

void set_interrupt_check(InterruptCheck check) noexcept { installed.store(check, std::memory_order_release); }

bool InterruptTimer::interrupted() noexcept {
  if (stop_) return true;
  const Clock::time_point now = Clock::now();
  if (now - last_ < interval) return false;
  last_ = now;
  const InterruptCheck check = installed.load(std::memory_order_acquire);
  stop_ = check != nullptr && check();
  return stop_;
}

}  // namespace mmlfast
