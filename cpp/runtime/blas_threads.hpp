// One BLAS thread while our own threads each work on a matrix: they would fight for the processors otherwise.
#pragma once

#include "runtime/non_copyable.hpp"

namespace mmlfast {

// Holds the BLAS behind SciPy's LAPACK to one thread while any such object lives. held() is false if that BLAS offers
// no way to do so (another one than OpenBLAS): its callers then work on one matrix after another.
class SingleBlasThread : NonCopyable {
 public:
  SingleBlasThread() noexcept;
  ~SingleBlasThread();

  bool held() const noexcept { return held_; }

 private:
  bool held_;
};

}  // namespace mmlfast
