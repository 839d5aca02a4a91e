// solve and determinant of a tape: elimination with partial pivoting, of one matrix or of eight in the lanes of
// vectors, with the same operations in the same order. For kernel files only.
#pragma once

#include "kernels/tape.hpp"
#include "kernels/tape_functions.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_matrices {

using Size = std::ptrdiff_t;
using tape_functions::choose;
using tape_functions::number;
using tape_functions::size_of;
using tape_functions::Vector;

MMLFAST_INLINE bool in_any(bool condition) { return condition; }
MMLFAST_INLINE bool in_any(const mask<double>& condition) { return any(condition); }

template <class V, class Condition>
MMLFAST_INLINE void exchange_where(const Condition& here, Size count, V* x, V* y) {
  for (Size j = 0; j < count; ++j) {
    const V kept = x[j];
    x[j] = choose(here, y[j], kept);
    y[j] = choose(here, kept, y[j]);
  }
}

// a (n x n) becomes its factors, b (n x m) the solution of the lower one; rows are exchanged in both. The determinant.
template <class V>
MMLFAST_INLINE V eliminate(Size n, V* a, Size m, V* b) {
  V determinant = number<V>(1);
  for (Size k = 0; k < n; ++k) {
    V size = size_of(a[k * n + k]), best = number<V>(static_cast<double>(k));
    for (Size i = k + 1; i < n; ++i) {
      const V other = size_of(a[i * n + k]);
      best = choose(other > size, number<V>(static_cast<double>(i)), best);
      size = choose(other > size, other, size);
    }
    for (Size i = k + 1; i < n; ++i) {
      const auto here = best == number<V>(static_cast<double>(i));
      if (!in_any(here)) continue;
      exchange_where(here, n, a + k * n, a + i * n);
      exchange_where(here, m, b + k * m, b + i * m);
      determinant = choose(here, -determinant, determinant);
    }
    const V pivot = a[k * n + k];
    determinant = choose(determinant == number<V>(0), number<V>(0), determinant * pivot);
    for (Size i = k + 1; i < n; ++i) {
      const V factor = a[i * n + k] / pivot;
      for (Size j = k + 1; j < n; ++j) a[i * n + j] = fnma(factor, a[k * n + j], a[i * n + j]);
      for (Size j = 0; j < m; ++j) b[i * m + j] = fnma(factor, b[k * m + j], b[i * m + j]);
    }
  }
  return determinant;
}

template <class V>
MMLFAST_INLINE void substitute_back(Size n, const V* a, Size m, V* b) {
  for (Size k = n - 1; k >= 0; --k)
    for (Size j = 0; j < m; ++j) {
      V x = b[k * m + j];
      for (Size i = k + 1; i < n; ++i) x = fnma(a[k * n + i], b[i * m + j], x);
      b[k * m + j] = x / a[k * n + k];
    }
}

MMLFAST_INLINE void get(const double* from, double& to) { to = *from; }
MMLFAST_INLINE void get(const double* from, Vector& to) { to = load(from); }
MMLFAST_INLINE void put(double* to, double x) { *to = x; }
MMLFAST_INLINE void put(double* to, const Vector& x) { store(to, x); }

// `count` numbers of operand k from one lane of a block on (the first of one point).
template <class V>
MMLFAST_INLINE void gather(const TapeStep& step, const TapeFrame& frame, int k, Size count, Size lane, V* to) {
  const std::uint32_t from = step.from[k];
  for (Size i = 0; i < count; ++i) {
    switch (step.access_of(k)) {
      case TapeAccess::single:
        get(frame.slots + from * frame.slot + lane, to[i]);
        break;
      case TapeAccess::run:
        get(frame.slots + (from + i) * frame.slot + lane, to[i]);
        break;
      case TapeAccess::list:
        get(frame.slots + frame.lists[from + i] * frame.slot + lane, to[i]);
        break;
      case TapeAccess::fixed_single:
        to[i] = number<V>(frame.spread[from * tape_lanes]);
        break;
      case TapeAccess::fixed_run:
        to[i] = number<V>(frame.fixed[from + i]);
        break;
      case TapeAccess::fixed_list:
        to[i] = number<V>(frame.fixed[frame.lists[from + i]]);
        break;
    }
  }
}

// Of the point, or of the eight points, from one lane on.
struct Solve {
  template <class V>
  static MMLFAST_NOINLINE void run(const TapeStep& step, const TapeFrame& frame, Size lane) {
    const Size n = step.aux(), m = step.count / n;
    V *a = reinterpret_cast<V*>(frame.scratch), *b = a + n * n;
    gather(step, frame, 0, n * n, lane, a);
    gather(step, frame, 1, n * m, lane, b);
    eliminate(n, a, m, b);
    substitute_back(n, a, m, b);
    for (Size i = 0; i < n * m; ++i) put(frame.slots + (step.to + i) * frame.slot + lane, b[i]);
  }
};
struct Determinant {
  template <class V>
  static MMLFAST_NOINLINE void run(const TapeStep& step, const TapeFrame& frame, Size lane) {
    const Size n = step.aux();
    V* a = reinterpret_cast<V*>(frame.scratch);
    gather(step, frame, 0, n * n, lane, a);
    put(frame.slots + step.to * frame.slot + lane, eliminate(n, a, 0, a));
  }
};

template <class Operation>
void of_point(const TapeStep& step, const TapeFrame& frame) {
  Operation::template run<double>(step, frame, 0);
}
template <class Operation>
void of_block(const TapeStep& step, const TapeFrame& frame) {
  for (Size lane = 0; lane < frame.slot; lane += tape_lanes) Operation::template run<Vector>(step, frame, lane);
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_matrices
