// Sums, inner products and norms of a tape. For kernel files only.
//
// The order of addition is that of the lanes of a vector along the terms: the j-th term goes to part j % 8, and then
// part i takes in part i + 4, i + 2, i + 1. Parts without a term are -0, which changes nothing that it is added to.
#pragma once

#include "kernels/common/with_size.hpp"
#include "kernels/tape.hpp"
#include "kernels/tape_functions.hpp"
#include "simd/transpose.hpp"

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

// Where those of result i begin, and how far they are apart.
struct Place {
  Size first, stride;
  Place(const TapeStep& step, int k, Size i) : first(i * step.aux()), stride(1) {
    if (k == 0 && (step.access & tape_shared) != 0) first = 0;
    if (k == 1 && (step.access & tape_columns) != 0) {
      first = i;
      stride = step.count;
    }
  }
};

template <bool Listed, bool Fixed>
struct Terms {
  using Value = Vector;
  const double* numbers;
  const std::int32_t* list;
  Size apart;  // numbers from one slot, or term that is not listed, to the next

  // The terms of operand k for result i.
  Terms(const TapeStep& step, const TapeFrame& frame, int k, Size i)
      : numbers(Fixed ? frame.fixed : frame.slots), list(nullptr), apart(Fixed ? 1 : frame.slot) {
    const Place place(step, k, i);
    if constexpr (Listed) {
      list = frame.lists + step.from[k] + place.first;
    } else {
      numbers += (step.from[k] + place.first) * apart;
      apart *= place.stride;
    }
  }
  MMLFAST_INLINE Vector term(Size t, Size row) const {
    const double* number = numbers + (Listed ? list[t] : t) * apart;
    if constexpr (Fixed)
      return broadcast(*number);
    else
      return load(number + row * width);
  }
};

template <bool Listed>
struct PointTerms {
  using Value = double;
  const double* numbers;
  const std::int32_t* list;
  Size stride;

  PointTerms(const TapeStep& step, const TapeFrame& frame, int k, Size i)
      : numbers(step.access_of(k) == TapeAccess::fixed_list ? frame.fixed : frame.slots), list(nullptr) {
    const Place place(step, k, i);
    stride = place.stride;
    if constexpr (Listed)
      list = frame.lists + step.from[k] + place.first;
    else
      numbers += step.from[k] + place.first;
  }
  MMLFAST_INLINE double term(Size t, Size) const { return numbers[Listed ? list[t] : t * stride]; }
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
  for (Size i = 0; i < static_cast<Size>(step.count); ++i, to += frame.slot) {
    const A a(step, frame, 0, i);
    const B b(step, frame, Reduction::operands - 1, i);
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
  for (Size i = 0; i < static_cast<Size>(step.count); ++i, to += frame.slot) {
    const A a(step, frame, 0, i);
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
  for (Size i = 0; i < static_cast<Size>(step.count); ++i, a += terms, b += terms) {
    Vector part = number<Vector>(-0.0);
    for (Size t = 0; t < terms; t += width)  // what is missing changes nothing: -0 times 1
      part = Reduction::add(part, terms_of_run(a + t, terms - t, -0.0), terms_of_run(b + t, terms - t, 1));
    to[i] = reduce_add(part);
  }
}

// The sums of the parts of as many results as a register has lanes.
MMLFAST_INLINE native<double> add_parts_of_each(Vector* part) {
  constexpr int n = native_lanes<double>;
  native<double> sums[n];
  _Pragma("GCC unroll 8") for (int i = 0; i < n; ++i) {
    _Pragma("GCC unroll 2") for (int half = vec_parts / 2; half > 0; half /= 2) {
      _Pragma("GCC unroll 2") for (int p = 0; p < half; ++p) part[i].part[p] += part[i].part[p + half];
    }
    sums[i] = part[i].part[0];
  }
  transpose_native<double>(sums);
  _Pragma("GCC unroll 4") for (int half = n / 2; half > 0; half /= 2) {
    _Pragma("GCC unroll 4") for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

// The terms of the first operand that all results have, one after the other.
inline const double* shared_terms(const TapeStep& step, const TapeFrame& frame) {
  const TapeAccess access = step.access_of(0);
  if (access == TapeAccess::run) return frame.slots + step.from[0];
  const double* numbers = access == TapeAccess::fixed_list ? frame.fixed : frame.slots;
  for (Size t = 0; t < step.aux(); ++t) frame.scratch[t] = numbers[frame.lists[step.from[0] + t]];
  return frame.scratch;
}

// A matrix times a vector, row by row: several of them at a time, whose sums do not wait for one another.
inline void matrix_by_rows(const TapeStep& step, const TapeFrame& frame) {
  constexpr Size rows = native_lanes<double>;
  const Size terms = step.aux(), whole = terms / width * width, left = terms - whole;
  const double *a = shared_terms(step, frame), *b = frame.slots + step.from[1];
  double* to = frame.slots + step.to;
  for (Size i = 0; i < static_cast<Size>(step.count); i += rows) {
    const Size count = step.count - i < rows ? step.count - i : rows;
    const double* row[rows];
    Vector part[rows];
    _Pragma("GCC unroll 8") for (Size r = 0; r < rows; ++r) {
      row[r] = b + (i + (r < count ? r : 0)) * terms;
      part[r] = number<Vector>(-0.0);
    }
    for (Size t = 0; t < whole; t += width) {
      const Vector x = load(a + t);
      _Pragma("GCC unroll 8") for (Size r = 0; r < rows; ++r) part[r] = fma(x, load(row[r] + t), part[r]);
    }
    if (left > 0) {  // what is missing changes nothing: -0 times 1
      const Vector x = terms_of_run(a + whole, left, -0.0);
      _Pragma("GCC unroll 8") for (Size r = 0; r < rows; ++r) part[r] =
          fma(x, terms_of_run(row[r] + whole, left, 1), part[r]);
    }
    const native<double> sums = add_parts_of_each(part);
    for (Size r = 0; r < count; ++r) to[i + r] = sums[r];
  }
}

// The same where the matrix has a row for each term: G vectors of results at a time, and of their eight parts one after
// the other, so that every row is read once.
template <int G>
MMLFAST_INLINE void results_by_columns(const double* a, const double* b, Size terms, Size count, double* to) {
  alignas(vec_bytes) double parts[width][G * width];
  for (Size j = 0; j < width; ++j) {
    Vector part[G];
    unrolled(0, G, [&](int g) MMLFAST_INLINE_LAMBDA { part[g] = number<Vector>(-0.0); });
    for (Size t = j; t < terms; t += width) {
      const Vector x = broadcast(a[t]);
      unrolled(0, G, [&](int g) MMLFAST_INLINE_LAMBDA { part[g] = fma(x, load(b + t * count + g * width), part[g]); });
    }
    unrolled(0, G, [&](int g) MMLFAST_INLINE_LAMBDA { store(parts[j] + g * width, part[g]); });
  }
  for (int g = 0; g < G; ++g) {
    Vector part[width];
    unrolled(0, width, [&](int j) MMLFAST_INLINE_LAMBDA { part[j] = load(parts[j] + g * width); });
    store(to + g * width, add_parts<static_cast<int>(width)>(part));
  }
}
inline void matrix_by_columns(const TapeStep& step, const TapeFrame& frame) {
  constexpr Size several = 4 * width;
  const Size terms = step.aux(), count = step.count;
  const double *a = shared_terms(step, frame), *b = frame.slots + step.from[1];
  double* to = frame.slots + step.to;
  Size i = 0;
  for (; i + several <= count; i += several) results_by_columns<4>(a, b + i, terms, count, to + i);
  for (; i < count; i += width) {  // reads, and throws away, what lies behind the last row
    alignas(vec_bytes) double results[width];
    results_by_columns<1>(a, b + i, terms, count, results);
    for (Size j = i; j < count && j < i + width; ++j) to[j] = results[j - i];
  }
}

template <bool Listed>
void point_norm(const TapeStep& step, const TapeFrame& frame) {
  const Size terms = step.aux();
  double* to = frame.slots + step.to;
  for (Size i = 0; i < static_cast<Size>(step.count); ++i) {
    const PointTerms<Listed> a(step, frame, 0, i);
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
