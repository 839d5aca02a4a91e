// What a driver tells its caller. Plain data: no exception leaves cpp/drivers.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace mmlfast {

// Sixteen bytes, which a function returns in two registers: the call of one small item passes it through half a dozen.
class Outcome {
 public:
  // From mild to severe.
  enum class Status : std::uint8_t {
    ok,
    failed_items,  // some items of the batch have no answer (singular, not converged): they hold NaN
    interrupted,   // Ctrl-C: the pending Python exception is set by the interrupt check
    no_memory,
    no_lapack,  // SciPy's LAPACK could not be loaded: the pending Python exception says why
    too_large,  // a size does not fit the integers of BLAS/LAPACK, or a byte count does not fit 64 bits
  };
  Status status;

  // With failed_items: the lowest number of an item that has no answer, and how many have none.
  constexpr Outcome(Status what = Status::ok, std::int64_t first_failed = 0, std::int64_t n_failed = 1) noexcept
      : status(what), n_failed_(n_failed), first_failed_(first_failed) {
    if (what != Status::failed_items) rcond_ = 1;
  }
  // An answer, and the reciprocal condition number. It is less than the roundoff of the type only where a single large
  // matrix was found to be that close to singular: an answer that the caller should be warned of. Else it is 1.
  static constexpr Outcome with_condition(double rcond) noexcept {
    Outcome outcome;
    outcome.rcond_ = rcond;
    return outcome;
  }

  constexpr bool ok() const noexcept { return status == Status::ok; }
  // Is there nothing to give to the caller? Items that failed say so by themselves.
  constexpr bool stopped() const noexcept { return status > Status::failed_items; }
  constexpr std::int64_t first_failed() const noexcept { return status == Status::failed_items ? first_failed_ : 0; }
  constexpr std::int64_t n_failed() const noexcept { return status == Status::failed_items ? n_failed_ : 0; }
  constexpr double rcond() const noexcept { return ok() ? rcond_ : 1; }

  // The more severe of two outcomes; the failed items of both.
  void join(const Outcome& other) noexcept {
    if (other.status == Status::failed_items && status == other.status)
      *this = {status, std::min(first_failed_, other.first_failed_), n_failed_ + other.n_failed_};
    else if (other.status > status)
      *this = other;
  }

 private:
  std::int64_t n_failed_ : 56;
  union {
    std::int64_t first_failed_;  // with failed_items
    double rcond_;               // else
  };
};

// The outcomes of parts that several threads work on. The order in which they come makes no difference.
class JoinedOutcome {
 public:
  void join(const Outcome& one) noexcept {
    if (one.ok()) return;
    if (one.status == Outcome::Status::failed_items) {
      n_failed_.fetch_add(one.n_failed(), std::memory_order_relaxed);
      std::int64_t seen = first_failed_.load(std::memory_order_relaxed);
      while (one.first_failed() < seen && !first_failed_.compare_exchange_weak(seen, one.first_failed())) {
      }
    }
    Outcome::Status status = status_.load(std::memory_order_relaxed);
    while (one.status > status && !status_.compare_exchange_weak(status, one.status)) {
    }
  }
  bool stopped() const noexcept { return status_.load(std::memory_order_relaxed) > Outcome::Status::failed_items; }
  // After all threads have finished.
  Outcome get() const noexcept {
    const Outcome::Status status = status_.load();
    return status == Outcome::Status::ok ? Outcome{} : Outcome{status, first_failed_.load(), n_failed_.load()};
  }

 private:
  std::atomic<Outcome::Status> status_{Outcome::Status::ok};
  std::atomic<std::int64_t> first_failed_{INT64_MAX}, n_failed_{0};
};

}  // namespace mmlfast
