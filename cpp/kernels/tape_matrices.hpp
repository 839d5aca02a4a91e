// solve and determinant of a tape: elimination with partial pivoting, one point after the other. For kernel files only.
//
// The order of operations is that of one column after the other, whatever the form of the instruction.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/tape.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_matrices {

using Size = std::ptrdiff_t;

// a (n x n) becomes its factors, b (n x m) the solution of the lower one; rows are exchanged in both. The determinant.
inline double eliminate(Size n, double* a, Size m, double* b) {
  double determinant = 1;
  for (Size k = 0; k < n; ++k) {
    Size best = k;
    for (Size i = k + 1; i < n; ++i)
      if (__builtin_fabs(a[i * n + k]) > __builtin_fabs(a[best * n + k])) best = i;
    if (best != k) {
      for (Size j = 0; j < n; ++j) std::swap(a[k * n + j], a[best * n + j]);
      for (Size j = 0; j < m; ++j) std::swap(b[k * m + j], b[best * m + j]);
      determinant = -determinant;
    }
    const double pivot = a[k * n + k];
    determinant *= pivot;
    if (pivot == 0 && m == 0) return 0;
    for (Size i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / pivot;
      for (Size j = k + 1; j < n; ++j) a[i * n + j] = fnma(factor, a[k * n + j], a[i * n + j]);
      for (Size j = 0; j < m; ++j) b[i * m + j] = fnma(factor, b[k * m + j], b[i * m + j]);
    }
  }
  return determinant;
}

inline void substitute_back(Size n, const double* a, Size m, double* b) {
  for (Size k = n - 1; k >= 0; --k)
    for (Size j = 0; j < m; ++j) {
      double x = b[k * m + j];
      for (Size i = k + 1; i < n; ++i) x = fnma(a[k * n + i], b[i * m + j], x);
      b[k * m + j] = x / a[k * n + k];
    }
}

// `count` numbers of operand k, of one lane of a block (0 of one point).
inline void gather(const TapeStep& step, const TapeFrame& frame, int k, Size count, Size lane, double* to) {
  const TapeAccess access = step.access_of(k);
  const std::uint32_t from = step.from[k];
  for (Size i = 0; i < count; ++i) {
    switch (access) {
      case TapeAccess::single:
        to[i] = frame.slots[from * frame.slot + lane];
        break;
      case TapeAccess::run:
        to[i] = frame.slots[(from + i) * frame.slot + lane];
        break;
      case TapeAccess::list:
        to[i] = frame.slots[frame.lists[from + i] * frame.slot + lane];
        break;
      case TapeAccess::fixed_single:
        to[i] = frame.spread[from * tape_lanes];
        break;
      case TapeAccess::fixed_run:
        to[i] = frame.fixed[from + i];
        break;
      case TapeAccess::fixed_list:
        to[i] = frame.fixed[frame.lists[from + i]];
        break;
    }
  }
}

inline void solve_one(const TapeStep& step, const TapeFrame& frame, Size lane) {
  const Size n = step.aux(), m = step.count / n;
  double *a = frame.scratch, *b = a + n * n, *to = frame.slots + step.to * frame.slot + lane;
  gather(step, frame, 0, n * n, lane, a);
  gather(step, frame, 1, n * m, lane, b);
  eliminate(n, a, m, b);
  substitute_back(n, a, m, b);
  for (Size i = 0; i < n * m; ++i) to[i * frame.slot] = b[i];
}
inline void determinant_one(const TapeStep& step, const TapeFrame& frame, Size lane) {
  const Size n = step.aux();
  gather(step, frame, 0, n * n, lane, frame.scratch);
  frame.slots[step.to * frame.slot + lane] = eliminate(n, frame.scratch, 0, nullptr);
}

// Of one point, or of all points of a block.
template <void (*One)(const TapeStep&, const TapeFrame&, Size)>
void each_lane(const TapeStep& step, const TapeFrame& frame) {
  for (Size lane = 0; lane < frame.slot; ++lane) One(step, frame, lane);
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_matrices
