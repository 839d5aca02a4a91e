// Elementwise operations of a tape: one loop over vectors for each, and the forms of instruction that bring operands to
// it. For kernel files only.
#pragma once

#include <utility>

#include "kernels/tape.hpp"
#include "kernels/tape_functions.hpp"
#include "kernels/tape_polygamma.hpp"
#include "simd/narrow.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_elementwise {

using Size = std::ptrdiff_t;
using tape_functions::Vector;
inline constexpr Size width = lanes<double>;

// Vectors of each operand, `step` numbers apart: `width`, or 0 for one that serves all.
struct Operands {
  const double* at[3];
  Size step[3];
  int aux;
};
using Loop = void (*)(Size n, const Operands& operands, double* to);

// to[i] = F(operands[i]) for n vectors.
template <int N, class F>
MMLFAST_INLINE void each_vector(Size n, const Operands& operands, double* to, F f) {
  const double *a = operands.at[0], *b = operands.at[N > 1 ? 1 : 0], *c = operands.at[N > 2 ? 2 : 0];
  const Size a_step = operands.step[0], b_step = operands.step[N > 1 ? 1 : 0], c_step = operands.step[N > 2 ? 2 : 0];
  for (Size i = 0; i < n; ++i, a += a_step, b += b_step, c += c_step, to += width) {
    if constexpr (N == 1)
      store(to, f(load(a)));
    else if constexpr (N == 2)
      store(to, f(load(a), load(b)));
    else
      store(to, f(load(a), load(b), load(c)));
  }
}

template <int N, class F>
MMLFAST_NOINLINE void loop(Size n, const Operands& operands, double* to) {
  each_vector<N>(n, operands, to, [](const auto&... x) MMLFAST_INLINE_LAMBDA { return F::of(x...); });
}
inline void integer_power_loop(Size n, const Operands& operands, double* to) {
  const int exponent = operands.aux;
  each_vector<1>(n, operands, to, [exponent](const Vector& a) MMLFAST_INLINE_LAMBDA {
    return tape_functions::to_integer_power(a, exponent);
  });
}
inline void polygamma_loop(Size n, const Operands& operands, double* to) {
  const int order = operands.aux;
  each_vector<1>(n, operands, to, [order](const Vector& a) MMLFAST_INLINE_LAMBDA { return polygamma::of(order, a); });
}

// ---- the loops by code ----

// X(code, name of its function), of operations that are as cheap for one number: Plain; others: Vectors.
#define MMLFAST_TAPE_PLAIN(X)        \
  X(1, identity, Identity)           \
  X(1, negative, Negative)           \
  X(1, absolute, Absolute)           \
  X(1, sign, Sign)                   \
  X(1, sqrt, Sqrt)                   \
  X(1, floor, Floor)                 \
  X(1, ceil, Ceil)                   \
  X(1, trunc, Trunc)                 \
  X(1, rint, Rint)                   \
  X(1, logical_not, LogicalNot)      \
  X(2, add, Add)                     \
  X(2, subtract, Subtract)           \
  X(2, multiply, Multiply)           \
  X(2, divide, Divide)               \
  X(2, divide_or_zero, DivideOrZero) \
  X(2, maximum, Maximum)             \
  X(2, minimum, Minimum)             \
  X(2, fmod, Fmod)                   \
  X(2, copysign, Copysign)           \
  X(2, less, Less)                   \
  X(2, less_equal, LessEqual)        \
  X(2, equal, Equal)                 \
  X(2, not_equal, NotEqual)          \
  X(2, logical_and, LogicalAnd) X(2, logical_or, LogicalOr) X(3, select, Select) X(3, multiply_add, MultiplyAdd)
#define MMLFAST_TAPE_PLAIN_FUSED(X) \
  X(1, square, Square) X(1, reciprocal, Reciprocal) X(3, subtract_product, SubtractProduct)
#define MMLFAST_TAPE_VECTORS(X) \
  X(1, cbrt, Cbrt)              \
  X(1, exp, Exp)                \
  X(1, exp2, Exp2)              \
  X(1, expm1, Expm1)            \
  X(1, log, Log)                \
  X(1, log2, Log2)              \
  X(1, log10, Log10)            \
  X(1, log1p, Log1p)            \
  X(1, sin, Sin)                \
  X(1, cos, Cos)                \
  X(1, tan, Tan)                \
  X(1, arcsin, Arcsin)          \
  X(1, arccos, Arccos)          \
  X(1, arctan, Arctan)          \
  X(1, sinh, Sinh)              \
  X(1, cosh, Cosh)              \
  X(1, tanh, Tanh)              \
  X(1, arcsinh, Arcsinh)        \
  X(1, arccosh, Arccosh)        \
  X(1, arctanh, Arctanh)        \
  X(1, erf, Erf)                \
  X(1, erfc, Erfc)              \
  X(1, gammaln, Gammaln)        \
  X(1, expit, Expit) X(1, softplus, Softplus) X(2, power, Power) X(2, arctan2, Arctan2) X(2, logaddexp, Logaddexp)

struct Loops {
  Loop of[n_tape_codes];
  int operands[n_tape_codes];
  constexpr Loops() : of{}, operands{} {
#define MMLFAST_TAPE_LOOP(n, code, F) set(tape_code(TapeOp::code), n, loop<n, tape_functions::F>);
    MMLFAST_TAPE_PLAIN(MMLFAST_TAPE_LOOP)
    MMLFAST_TAPE_VECTORS(MMLFAST_TAPE_LOOP)
#undef MMLFAST_TAPE_LOOP
#define MMLFAST_TAPE_LOOP(n, code, F) set(tape_code(TapeFused::code), n, loop<n, tape_functions::F>);
    MMLFAST_TAPE_PLAIN_FUSED(MMLFAST_TAPE_LOOP)
#undef MMLFAST_TAPE_LOOP
    set(tape_code(TapeOp::integer_power), 1, integer_power_loop);
    set(tape_code(TapeOp::polygamma), 1, polygamma_loop);
  }
  constexpr void set(TapeCode code, int n, Loop loop_of_it) {
    of[code] = loop_of_it;
    operands[code] = n;
  }
};
inline constexpr Loops loops{};

// ---- a stretch of numbers, for operations that are cheap ----

MMLFAST_INLINE void store_some(double* to, const Vector& x, Size count) {
  narrow<double, static_cast<int>(width)> some;
  static_assert(sizeof(some) == sizeof(x));
  MMLFAST_EACH_PART some.part[p] = x.part[p];
  some.store_first(to, static_cast<int>(count));
}

// F of n numbers of each operand, of which those of step 0 are one vector (of one point: one number) for all: known to
// the compiler, so that it stays in a register. Of one point n is any number, and whole vectors are read.
template <int N, class F, bool Point, bool A, bool B, bool C>
MMLFAST_INLINE void stretch_with(Size n, const Operands& operands, double* to) {
  const double *a = operands.at[0], *b = operands.at[N > 1 ? 1 : 0], *c = operands.at[N > 2 ? 2 : 0];
  const auto for_all = [](const double* x) MMLFAST_INLINE_LAMBDA { return Point ? broadcast(*x) : load(x); };
  const Vector one_a = for_all(a), one_b = for_all(b), one_c = for_all(c);
  const auto value = [&](Size i) MMLFAST_INLINE_LAMBDA {
    const Vector x = A ? one_a : load(a + i);
    if constexpr (N == 1)
      return F::of(x);
    else if constexpr (N == 2)
      return F::of(x, B ? one_b : load(b + i));
    else
      return F::of(x, B ? one_b : load(b + i), C ? one_c : load(c + i));
  };
  Size i = 0;
  for (; i + 2 * width <= n; i += 2 * width) {
    const Vector x = value(i), y = value(i + width);
    store(to + i, x);
    store(to + i + width, y);
  }
  if (i + width <= n) {
    store(to + i, value(i));
    i += width;
  }
  if (Point && i < n) store_some(to + i, value(i), n - i);
}
template <int N, class F>
MMLFAST_INLINE void stretch_of(Size n, const Operands& operands, double* to) {
  const bool a = operands.step[0] == 0, b = N > 1 && operands.step[1] == 0, c = N > 2 && operands.step[2] == 0;
  if constexpr (N > 2) {
    if (c) {
      if (a) return stretch_with<N, F, false, true, false, true>(n, operands, to);
      if (b) return stretch_with<N, F, false, false, true, true>(n, operands, to);
      return stretch_with<N, F, false, false, false, true>(n, operands, to);
    }
    if (a && b) return stretch_with<N, F, false, true, true, false>(n, operands, to);
  }
  if (a) return stretch_with<N, F, false, true, false, false>(n, operands, to);
  if constexpr (N > 1) {
    if (b) return stretch_with<N, F, false, false, true, false>(n, operands, to);
  }
  stretch_with<N, F, false, false, false, false>(n, operands, to);
}

// ---- a block of points ----

// Operands that are whole slots, or one vector for all, and results in one stretch: a single loop.
template <int N, class Call>
MMLFAST_INLINE void block_stretch_by(const TapeStep& step, const TapeFrame& frame, Call&& call) {
  Operands operands;
  for (int k = 0; k < N; ++k) {
    const bool spread = step.access_of(k) == TapeAccess::fixed_single;
    operands.at[k] = spread ? frame.spread + step.from[k] * width : frame.slots + step.from[k] * frame.slot;
    operands.step[k] = spread ? 0 : width;
  }
  operands.aux = N < 3 ? step.aux() : 0;
  call(step.count * (frame.slot / width), operands, frame.slots + step.to * frame.slot);
}
template <int N>
void block_stretch(const TapeStep& step, const TapeFrame& frame) {
  block_stretch_by<N>(step, frame, loops.of[step.code]);
}
template <int N, class F>
void block_stretch_of(const TapeStep& step, const TapeFrame& frame) {
  block_stretch_by<N>(step, frame, [](Size n, const Operands& operands, double* to) MMLFAST_INLINE_LAMBDA {
    stretch_of<N, F>(n * width, operands, to);
  });
}

// Any operands: element by element.
template <int N>
void block_elements(const TapeStep& step, const TapeFrame& frame) {
  alignas(vec_bytes) double number[N][width];
  Operands operands;
  operands.aux = N < 3 ? step.aux() : 0;
  double* to = frame.slots + step.to * frame.slot;
  for (std::uint32_t i = 0; i < step.count; ++i, to += frame.slot) {
    for (int k = 0; k < N; ++k) {
      const TapeAccess access = step.access_of(k);
      const std::uint32_t from = step.from[k];
      operands.step[k] = access >= TapeAccess::fixed_single ? 0 : width;
      if (access == TapeAccess::fixed_single) {
        operands.at[k] = frame.spread + from * width;
        continue;
      }
      const bool listed = access == TapeAccess::list || access == TapeAccess::fixed_list;
      const Size index = listed                         ? frame.lists[from + i]
                         : access == TapeAccess::single ? from
                                                        : static_cast<Size>(from) + i;
      operands.at[k] = frame.slots + index * frame.slot;
      if (operands.step[k] == 0) {
        store(number[k], broadcast(frame.fixed[index]));
        operands.at[k] = number[k];
      }
    }
    loops.of[step.code](frame.slot / width, operands, to);
  }
}

// ---- one point ----

template <int N, class F>
void point_number(const TapeStep& step, const TapeFrame& frame) {
  const double* x = frame.slots;
  double& y = frame.slots[step.to];
  if constexpr (N == 1)
    y = F::of(x[step.from[0]]);
  else if constexpr (N == 2)
    y = F::of(x[step.from[0]], x[step.from[1]]);
  else
    y = F::of(x[step.from[0]], x[step.from[1]], x[step.from[2]]);
}

// The first `count` lanes of what is at `from`, the others like the last of them: none that makes a function take
// another way. Reads a whole vector.
MMLFAST_INLINE Vector first_of_run(const double* from, Size count) {
  static constexpr double number[width] = {0, 1, 2, 3, 4, 5, 6, 7};
  return select(load(number) < broadcast(static_cast<double>(count)), load(from), broadcast(from[count - 1]));
}
// Operands one after the other or one for all: whole vectors, then what is left.
template <int N>
void point_run(const TapeStep& step, const TapeFrame& frame) {
  const Loop call = loops.of[step.code];
  alignas(vec_bytes) double spread[N][width], result[width];
  const Size whole = step.count / width, left = step.count % width;
  Operands operands;
  operands.aux = N < 3 ? step.aux() : 0;
  for (int k = 0; k < N; ++k) {
    operands.at[k] = frame.slots + step.from[k];
    operands.step[k] = width;
    if (step.access_of(k) == TapeAccess::single) {
      store(spread[k], broadcast(*operands.at[k]));
      operands.at[k] = spread[k];
      operands.step[k] = 0;
    }
  }
  double* to = frame.slots + step.to;
  if (whole > 0) call(whole, operands, to);
  if (left == 0) return;
  for (int k = 0; k < N; ++k) {
    if (operands.step[k] == 0) continue;
    store(spread[k], first_of_run(operands.at[k] + whole * width, left));
    operands.at[k] = spread[k];
  }
  if (step.access & tape_padded) return call(1, operands, to + whole * width);
  call(1, operands, result);
  store_some(to + whole * width, load(result), left);
}
// Of plain operations; which operands are one number is known to the compiler.
template <int N, class F, bool A, bool B, bool C>
void point_run_of(const TapeStep& step, const TapeFrame& frame) {
  Operands operands;
  for (int k = 0; k < N; ++k) operands.at[k] = frame.slots + step.from[k];
  const Size n = step.count;
  stretch_with<N, F, true, A, B, C>(step.access & tape_padded ? (n + width - 1) / width * width : n, operands,
                                    frame.slots + step.to);
}

// Numbers of a list as a vector, `count` of them and then the last again: not by way of the memory, where single
// numbers would have to be put together first.
template <std::size_t... J>
MMLFAST_INLINE native<double> gather_part(const double* numbers, const std::int32_t* list, Size from, Size last,
                                          std::index_sequence<J...>) {
  return native<double>{numbers[list[from + Size{J} < last ? from + Size{J} : last]]...};
}
MMLFAST_INLINE Vector gather(const double* numbers, const std::int32_t* list, Size count = width) {
  constexpr int part = native_lanes<double>;
  Vector x;
  MMLFAST_EACH_PART x.part[p] = gather_part(numbers, list, Size{p} * part, count - 1, std::make_index_sequence<part>{});
  return x;
}

// Any operands: gathered, a piece of the run at a time.
template <int N>
void point_lists(const TapeStep& step, const TapeFrame& frame) {
  constexpr Size piece = 8 * width;
  alignas(vec_bytes) double gathered[N][piece], result[piece];
  Operands operands;
  operands.aux = N < 3 ? step.aux() : 0;
  double* to = frame.slots + step.to;
  for (Size i = 0; i < static_cast<Size>(step.count); i += piece) {
    const Size count = step.count - i < piece ? step.count - i : piece, whole = count / width, left = count % width;
    for (int k = 0; k < N; ++k) {
      const TapeAccess access = step.access_of(k);
      const double* numbers = access == TapeAccess::fixed_list ? frame.fixed : frame.slots;
      const std::uint32_t from = step.from[k];
      operands.at[k] = gathered[k];
      operands.step[k] = width;
      if (access == TapeAccess::list || access == TapeAccess::fixed_list) {
        const std::int32_t* list = frame.lists + from + i;
        Size v = 0;
        for (; v + width <= count; v += width) store(gathered[k] + v, gather(numbers, list + v));
        if (left > 0) store(gathered[k] + v, gather(numbers, list + v, left));
      } else if (access == TapeAccess::single) {
        store(gathered[k], broadcast(numbers[from]));
        operands.step[k] = 0;
      } else {
        const double* run = numbers + from + i;
        operands.at[k] = run;
        if (left == 0) continue;  // else the lanes behind the last number are to be like it
        for (Size v = 0; v < whole * width; v += width) store(gathered[k] + v, load(run + v));
        store(gathered[k] + whole * width, first_of_run(run + whole * width, left));
        operands.at[k] = gathered[k];
      }
    }
    if (left == 0 || step.access & tape_padded) {
      loops.of[step.code](whole + (left > 0), operands, to + i);
      continue;
    }
    loops.of[step.code](whole + 1, operands, result);
    for (Size v = 0; v < whole * width; v += width) store(to + i + v, load(result + v));
    store_some(to + i + whole * width, load(result + whole * width), left);
  }
}

// ---- sines and cosines of the same numbers ----

MMLFAST_NOINLINE inline void sincos_loop(Size n, const double* a, double* sines, double* cosines) {
  for (Size i = 0; i < n; ++i) {
    Vector s, c;
    sincos(load(a + i * width), s, c);
    store(sines + i * width, s);
    store(cosines + i * width, c);
  }
}

inline void block_sincos(const TapeStep& step, const TapeFrame& frame) {
  const std::uint32_t n = step.count / 2, from = step.from[0];
  double *sines = frame.slots + step.to * frame.slot, *cosines = sines + n * frame.slot;
  if (step.access_of(0) == TapeAccess::run)
    return sincos_loop(n * (frame.slot / width), frame.slots + from * frame.slot, sines, cosines);
  for (std::uint32_t i = 0; i < n; ++i, sines += frame.slot, cosines += frame.slot) {
    const Size slot = step.access_of(0) == TapeAccess::list ? frame.lists[from + i] : from;
    sincos_loop(frame.slot / width, frame.slots + slot * frame.slot, sines, cosines);
  }
}

inline void point_sincos(const TapeStep& step, const TapeFrame& frame) {
  const Size n = step.count / 2;
  const std::uint32_t from = step.from[0];
  const TapeAccess access = step.access_of(0);
  const double* numbers = access == TapeAccess::fixed_list ? frame.fixed : frame.slots;
  double* to = frame.slots + step.to;
  for (Size i = 0; i < n; i += width) {
    const Size count = n - i < width ? n - i : width;
    alignas(vec_bytes) double x[width];
    if (access == TapeAccess::single) {
      store(x, broadcast(numbers[from]));
    } else if (access == TapeAccess::run) {
      store(x, first_of_run(numbers + from + i, count));
    } else {
      for (Size j = 0; j < width; ++j) x[j] = numbers[frame.lists[from + i + (j < count ? j : count - 1)]];
    }
    alignas(vec_bytes) double sines[width], cosines[width];
    sincos_loop(1, x, sines, cosines);
    store_some(to + i, load(sines), count);
    store_some(to + n + i, load(cosines), count);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_elementwise
