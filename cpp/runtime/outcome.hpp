// What a driver tells its caller. Plain data: no exception leaves cpp/drivers.
#pragma once

#include <cstdint>

namespace mmlfast {

struct Outcome {
  enum class Status : std::uint8_t {
    ok,
    failed_items,  // some items of the batch have no answer (singular, not converged): they hold
                   // NaN
    interrupted,   // Ctrl-C: the pending Python exception is set by the interrupt check
    no_memory,
    no_lapack,  // SciPy's LAPACK could not be loaded: the pending Python exception says why
    too_large,  // a size does not fit the integers of BLAS/LAPACK, or a byte count does not fit 64
                // bits
  };
  Status status = Status::ok;
  // Less than the roundoff of the type only where a single large matrix was found to be that close to singular: an
  // answer that the caller should be warned of.
  double rcond = 1;

  bool ok() const noexcept { return status == Status::ok; }
  // The worse of two outcomes; a failed item is the mildest.
  void join(Outcome other) noexcept {
    if (static_cast<int>(other.status) > static_cast<int>(status)) status = other.status;
  }
};

}  // namespace mmlfast
