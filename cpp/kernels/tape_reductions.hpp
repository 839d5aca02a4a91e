// Sums, inner products and norms of a tape. For kernel files only.
//
// The order of addition is that of the lanes of a vector along the terms: the j-th term goes to part j % 8, and then
// part i takes in part i + 4, i + 2, i + 1. Parts without a term are -0, which changes nothing that it is added to.
#pragma once

#include "kernels/common/with_size.hpp"
#include "kernels/tape.hpp"
#include "kernels/tape_functions.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_reductions {

using Size = std::ptrdiff_t;
using tape_functions::number;
using tape_functions::Vector;
inline constexpr Size width = lanes<double>;

// ---- what is done with a term ----

struct Sum {
  template <class V>
  static MMLFAST_INLINE V add(const V& sum, const V& a, const V&) {
    return sum + a;
  }
  static constexpr int operands = 1, few = 8;  // up to how many terms there is code for each number of them
};
struct Dot {
  template <class V>
  static MMLFAST_INLINE V add(const V& sum, const V& a, const V& b) {
    return fma(a, b, sum);
  }
  static constexpr int operands = 2, few = 4;
};

// ---- the terms of an operand: vectors of a block, or numbers of one point ----

template <bool Listed, bool Fixed>
struct Terms {
  using Value = Vector;
  const double* numbers;
  const std::int32_t* list;
  Size slot;

  // The terms of operand k, from number `first` on.
  Terms(const TapeStep& step, const TapeFrame& frame, int k, Size first)
      : numbers(Fixed ? frame.fixed : frame.slots), list(nullptr), slot(frame.slot) {
    if constexpr (Listed)
      list = frame.lists + step.from[k] + first;
    else
      numbers += (step.from[k] + first) * (Fixed ? 1 : slot);
  }
  MMLFAST_INLINE Vector term(Size t, Size row) const {
    const Size i = Listed ? list[t] : t;
    if constexpr (Fixed)
      return broadcast(numbers[i]);
    else
      return load(numbers + i * slot + row * width);
  }
};

template <bool Listed>
struct PointTerms {
  using Value = double;
  const double* numbers;
  const std::int32_t* list;

  PointTerms(const TapeStep& step, const TapeFrame& frame, int k, Size first)
      : numbers(step.access_of(k) == TapeAccess::fixed_list ? frame.fixed : frame.slots), list(nullptr) {
    if constexpr (Listed)
      list = frame.lists + step.from[k] + first;
    else
      numbers += step.from[k] + first;
  }
  MMLFAST_INLINE double term(Size t, Size) const { return numbers[Listed ? list[t] : t]; }
};

// ---- eight parts, then halves ----

template <int N, class V>
MMLFAST_INLINE V add_parts(V* part) {
  unrolled(0, 4, [&](int j) MMLFAST_INLINE_LAMBDA {
    if (j + 4 < N) part[j] = part[j] + part[j + 4];
  });
  unrolled(0, 2, [&](int j) MMLFAST_INLINE_LAMBDA {
    if (j + 2 < N) part[j] = part[j] + part[j + 2];
  });
  return N > 1 ? part[0] + part[1] : part[0];
}

// Of N terms, or of any number of them (N = 0).
template <class Reduction, int N, class A, class B>
MMLFAST_INLINE typename A::Value reduce_row(const A& a, const B& b, Size terms, Size row) {
  using V = typename A::Value;
  constexpr int parts = N == 0 ? static_cast<int>(width) : N;
  V part[parts + 1];
  const auto add = [&](int j, Size t)
                       MMLFAST_INLINE_LAMBDA { part[j] = Reduction::add(part[j], a.term(t, row), b.term(t, row)); };
  unrolled(0, parts, [&](int j) MMLFAST_INLINE_LAMBDA { part[j] = number<V>(-0.0); });
  Size t = 0;
  if constexpr (N == 0) {
    for (; t + width <= terms; t += width) unrolled(0, parts, [&](int j) MMLFAST_INLINE_LAMBDA { add(j, t + j); });
    unrolled(0, parts, [&](int j) MMLFAST_INLINE_LAMBDA {
      if (t + j < terms) add(j, t + j);
    });
  } else {
    unrolled(0, parts, [&](int j) MMLFAST_INLINE_LAMBDA { add(j, j); });
  }
  return add_parts<parts>(part);
}

MMLFAST_INLINE void put(double* to, const Vector& x) { store(to, x); }
MMLFAST_INLINE void put(double* to, double x) { *to = x; }

template <class Reduction, int N, class A, class B>
MMLFAST_INLINE void reduce_all(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux(), lane_count = std::is_same_v<typename A::Value, double> ? 1 : width;
  double* to = frame.slots + step.to * frame.slot;
  for (Size i = 0; i < step.count; ++i, to += frame.slot) {
    const A a(step, frame, 0, i * terms);
    const B b(step, frame, Reduction::operands - 1, i * terms);
    for (Size row = 0; row * lane_count < frame.slot; ++row)
      put(to + row * width, reduce_row<Reduction, N>(a, b, terms, row));
  }
}
template <class Reduction, class A, class B>
void reduction(const TapeStep& step, const TapeFrame& frame) {
  with_size<2, Reduction::few>(step.aux(),
                               [&](auto n) MMLFAST_INLINE_LAMBDA { reduce_all<Reduction, n(), A, B>(step, frame); });
}

// The power of two that brings squares of numbers up to `largest` into the range, for numbers that need it.
template <class V>
MMLFAST_INLINE V scale_of(const V& largest) {
  using tape_functions::choose;
  return choose(largest >= number<V>(0x1p450), number<V>(0x1p-600),
                choose(largest <= number<V>(0x1p-400), number<V>(0x1p600), number<V>(1)));
}

// Squares of terms times a scale.
template <class A>
struct Scaled {
  using Value = Vector;
  const A& a;
  Vector scale;
  MMLFAST_INLINE Vector term(Size t, Size row) const { return a.term(t, row) * scale; }
};

template <class A>
void block_norm(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux(), rows = frame.slot / width;
  double* to = frame.slots + step.to * frame.slot;
  for (Size i = 0; i < step.count; ++i, to += frame.slot) {
    const A a(step, frame, 0, i * terms);
    for (Size row = 0; row < rows; ++row) {
      Vector largest = zero<double>();
      for (Size t = 0; t < terms; ++t) largest = max(abs(a.term(t, row)), largest);
      const Scaled<A> scaled{a, scale_of(largest)};
      store(to + row * width, sqrt(reduce_row<Dot, 0>(scaled, scaled, terms, row)) / scaled.scale);
    }
  }
}

// ---- one point, terms that lie one after the other: vectors along them ----

// The lanes behind the last of `count` terms as said. Reads a whole vector.
MMLFAST_INLINE Vector terms_of_run(const double* from, Size count, double missing) {
  static constexpr double lane[width] = {0, 1, 2, 3, 4, 5, 6, 7};
  const Vector x = load(from);
  return count >= width ? x : select(load(lane) < broadcast(static_cast<double>(count)), x, broadcast(missing));
}

template <class Reduction>
void reduction_of_run(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux();
  if (terms <= Reduction::few) return reduction<Reduction, PointTerms<false>, PointTerms<false>>(step, frame);
  const double *a = frame.slots + step.from[0], *b = frame.slots + step.from[Reduction::operands - 1];
  double* to = frame.slots + step.to;
  for (Size i = 0; i < step.count; ++i, a += terms, b += terms) {
    Vector part = number<Vector>(-0.0);
    for (Size t = 0; t < terms; t += width)  // what is missing changes nothing: -0 times 1
      part = Reduction::add(part, terms_of_run(a + t, terms - t, -0.0), terms_of_run(b + t, terms - t, 1));
    to[i] = reduce_add(part);
  }
}

template <bool Listed>
void point_norm(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux();
  double* to = frame.slots + step.to;
  for (Size i = 0; i < step.count; ++i) {
    const PointTerms<Listed> a(step, frame, 0, i * terms);
    double largest = 0, part[width + 1];
    for (Size t = 0; t < terms; ++t) {
      const double size = __builtin_fabs(a.term(t, 0));
      largest = size > largest ? size : largest;
    }
    const double scale = scale_of(largest);
    for (Size j = 0; j < width; ++j) part[j] = -0.0;
    for (Size t = 0; t < terms; ++t) {
      const double x = a.term(t, 0) * scale;
      part[t % width] = fma(x, x, part[t % width]);
    }
    to[i] = __builtin_sqrt(add_parts<static_cast<int>(width)>(part)) / scale;
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_reductions
