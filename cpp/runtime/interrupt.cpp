#include "runtime/interrupt.hpp"

#include <atomic>
#include <chrono>

namespace mmlfast {
namespace {

constexpr std::chrono::milliseconds interval{40};
std::atomic<InterruptCheck> installed{nullptr};

// When this thread last asked. Kept from one call to the next, so that many short calls in a row ask too.
thread_local std::chrono::steady_clock::time_point last_asked{};

thread_local int held = 0;

}  // namespace

HeldInterrupts::HeldInterrupts() noexcept { ++held; }
HeldInterrupts::~HeldInterrupts() { --held; }

void set_interrupt_check(InterruptCheck check) noexcept { installed.store(check, std::memory_order_release); }

bool InterruptTimer::interrupted() noexcept {
  if (stop_) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_asked < interval || held > 0) return false;
  last_asked = now;
  const InterruptCheck check = installed.load(std::memory_order_acquire);
  stop_ = check != nullptr && check();
  return stop_;
}

}  // namespace mmlfast
