// Sums, inner products and norms of a tape. For kernel files only.
//
// The order of addition is that of the lanes of a vector along the terms: the j-th term goes to part j % 8, and then
// part i takes in part i + 4, i + 2, i + 1. Parts without a term are -0, which changes nothing that it is added to.
#pragma once

#include "kernels/tape.hpp"
#include "kernels/tape_functions.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_reductions {

using Size = std::ptrdiff_t;
using tape_functions::number;
using tape_functions::Vector;
inline constexpr Size width = lanes<double>;

// ---- what is done with a term ----

struct Sum {
  static constexpr double no_a = -0.0, no_b = 1;  // a term that changes nothing
  template <class V>
  static MMLFAST_INLINE V add(const V& sum, const V& a, const V&) {
    return sum + a;
  }
};
struct Dot {
  template <class V>
  static MMLFAST_INLINE V add(const V& sum, const V& a, const V& b) {
    return fma(a, b, sum);
  }
  static constexpr double no_a = -0.0, no_b = 1;
};

// ---- a block of points: a vector for each term and row ----

template <bool Listed, bool Fixed>
struct Terms {
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

template <class Reduction, class A, class B>
MMLFAST_INLINE Vector reduce_row(const A& a, const B& b, Size terms, Size row) {
  Vector part[width];
  unrolled(0, width, [&](int j) { part[j] = number<Vector>(-0.0); });
  Size t = 0;
  for (; t + width <= terms; t += width)
    unrolled(0, width, [&](int j) MMLFAST_INLINE_LAMBDA {
      part[j] = Reduction::add(part[j], a.term(t + j, row), b.term(t + j, row));
    });
  unrolled(0, width, [&](int j) MMLFAST_INLINE_LAMBDA {
    if (t + j < terms) part[j] = Reduction::add(part[j], a.term(t + j, row), b.term(t + j, row));
  });
  unrolled(0, 4, [&](int j) { part[j] = part[j] + part[j + 4]; });
  unrolled(0, 2, [&](int j) { part[j] = part[j] + part[j + 2]; });
  return part[0] + part[1];
}

template <class Reduction, class A, class B>
void block_reduction(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux(), rows = frame.slot / width;
  double* to = frame.slots + step.to * frame.slot;
  for (Size i = 0; i < step.count; ++i, to += frame.slot) {
    const A a(step, frame, 0, i * terms);
    const B b(step, frame, std::is_same_v<Reduction, Dot> ? 1 : 0, i * terms);
    for (Size row = 0; row < rows; ++row) store(to + row * width, reduce_row<Reduction>(a, b, terms, row));
  }
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
      store(to + row * width, sqrt(reduce_row<Dot>(scaled, scaled, terms, row)) / scaled.scale);
    }
  }
}

// ---- one point: vectors along the terms ----

// Terms first .. first + count of an operand, the lanes behind the last as said. Reads a whole vector.
template <bool Listed>
MMLFAST_INLINE Vector terms_of_point(const TapeStep& step, const TapeFrame& frame, int k, Size first, Size count,
                                     double missing) {
  if constexpr (Listed) {
    const double* numbers = step.access_of(k) == TapeAccess::fixed_list ? frame.fixed : frame.slots;
    alignas(vec_bytes) double x[width];
    for (Size j = 0; j < width; ++j) x[j] = j < count ? numbers[frame.lists[step.from[k] + first + j]] : missing;
    return load(x);
  } else {
    static constexpr double lane[width] = {0, 1, 2, 3, 4, 5, 6, 7};
    const Vector x = load(frame.slots + step.from[k] + first);
    return count >= width ? x : select(load(lane) < broadcast(static_cast<double>(count)), x, broadcast(missing));
  }
}

template <class Reduction, bool ListedA, bool ListedB>
MMLFAST_INLINE double reduce_point(const TapeStep& step, const TapeFrame& frame, int b, Size first, Size terms) {
  Vector part = number<Vector>(-0.0);
  for (Size t = 0; t < terms; t += width) {
    const Vector x = terms_of_point<ListedA>(step, frame, 0, first + t, terms - t, Reduction::no_a);
    const Vector y = terms_of_point<ListedB>(step, frame, b, first + t, terms - t, Reduction::no_b);
    part = Reduction::add(part, x, y);
  }
  return reduce_add(part);
}

template <class Reduction, bool ListedA, bool ListedB>
void point_reduction(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux();
  double* to = frame.slots + step.to;
  for (Size i = 0; i < step.count; ++i)
    to[i] = reduce_point<Reduction, ListedA, ListedB>(step, frame, std::is_same_v<Reduction, Dot> ? 1 : 0, i * terms,
                                                      terms);
}

template <bool Listed>
void point_norm(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux();
  double* to = frame.slots + step.to;
  for (Size i = 0; i < step.count; ++i) {
    Vector largest = zero<double>(), part = number<Vector>(-0.0);
    for (Size t = 0; t < terms; t += width)
      largest = max(abs(terms_of_point<Listed>(step, frame, 0, i * terms + t, terms - t, 0)), largest);
    const double scale = scale_of(reduce_max(largest));
    const Vector factor = broadcast(scale);
    for (Size t = 0; t < terms; t += width) {
      const Vector x = terms_of_point<Listed>(step, frame, 0, i * terms + t, terms - t, 0) * factor;
      part = fma(x, x, part);
    }
    to[i] = __builtin_sqrt(reduce_add(part)) / scale;
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_reductions
