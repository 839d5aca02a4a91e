// Two instructions as one: what the first gives goes from register to register into the second and is never stored. For
// kernel files only.
//
// Either the first has one number for all elements and a run (k a, k + a, k - a, a - k) and the second takes what comes
// out of it and runs, or a run and one number; or the first has runs, and the second takes one number for all elements.
// Products, sums and fused multiplications: where loads and stores are what takes the time. Blocks and single points
// share the code: whole vectors are stored, of one point into runs that are padded.
#pragma once

#include "kernels/tape_elementwise.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_pairs {

using Size = std::ptrdiff_t;
using tape_functions::Vector;
inline constexpr Size width = lanes<double>;

// F(x, y, z) of N operands.
template <int N, class F>
MMLFAST_INLINE Vector value_of(const Vector* x) {
  if constexpr (N == 1)
    return F::of(x[0]);
  else if constexpr (N == 2)
    return F::of(x[0], x[1]);
  else
    return F::of(x[0], x[1], x[2]);
}

// An operand that is one number for all elements.
MMLFAST_INLINE Vector one_for_all(const TapeStep& step, const TapeFrame& frame, int k) {
  return frame.spread == nullptr ? broadcast(frame.slots[step.from[k]]) : load(frame.spread + step.from[k] * width);
}

template <class Value>
MMLFAST_INLINE void store_values(const TapeStep& step, const TapeFrame& frame, Value&& value) {
  double* to = frame.slots + step.to * frame.slot;
  const Size n = (step.count * frame.slot + width - 1) / width * width;
  Size i = 0;
  for (; i + 2 * width <= n; i += 2 * width) {
    const Vector x = value(i), y = value(i + width);
    store(to + i, x);
    store(to + i + width, y);
  }
  if (i < n) store(to + i, value(i));
}

// The first: its operand number One is the same for all elements. The second, which is the next instruction: operand
// Taken is what the first gives, operand Same (none if negative) is the same for all elements.
template <class First, int One, int N, class Second, int Taken, int Same>
void pair(const TapeStep& step, const TapeFrame& frame) {
  const TapeStep& second = (&step)[1];
  const double* from[3] = {};
  Vector same = zero<double>();
  unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
    if (k == Same)
      same = one_for_all(second, frame, k);
    else if (k != Taken)
      from[k] = frame.slots + second.from[k] * frame.slot;
  });
  const Vector one = one_for_all(step, frame, One);
  const double* run = frame.slots + step.from[1 - One] * frame.slot;
  const auto value = [&](Size i) MMLFAST_INLINE_LAMBDA {
    const Vector a = load(run + i);
    Vector x[3];
    unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA {
      x[k] = k == Taken ? First::of(One == 0 ? one : a, One == 0 ? a : one) : k == Same ? same : load(from[k] + i);
    });
    return value_of<N, Second>(x);
  };
  store_values(second, frame, value);
}
// The first: runs. The second, which is the next instruction: operand One is the same for all elements, the other is
// what the first gives.
template <int N, class First, class Second, int One>
void pair_of_runs(const TapeStep& step, const TapeFrame& frame) {
  const TapeStep& second = (&step)[1];
  const double* from[3];
  unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA { from[k] = frame.slots + step.from[k] * frame.slot; });
  const Vector one = one_for_all(second, frame, One);
  const auto store_all = [&](auto square) MMLFAST_INLINE_LAMBDA {
    store_values(second, frame, [&](Size i) MMLFAST_INLINE_LAMBDA {
      Vector x[3];
      unrolled(0, N, [&](int k) MMLFAST_INLINE_LAMBDA { x[k] = square && k == 1 ? x[0] : load(from[k] + i); });
      const Vector a = value_of<N, First>(x);
      return Second::of(One == 0 ? one : a, One == 0 ? a : one);
    });
  };
  if (N == 3 && from[0] == from[1])
    store_all(std::true_type{});
  else
    store_all(std::false_type{});
}

template <class First, int One>
TapeFunction pair_with(TapeCode second, int taken, int same) {
  using namespace tape_functions;
#define MMLFAST_TAPE_PAIR(N, of, F, Taken, Same) \
  if (second == tape_code(of) && taken == Taken && same == Same) return pair<First, One, N, F, Taken, Same>;
  MMLFAST_TAPE_PAIR(1, TapeFused::square, Square, 0, -1)
  MMLFAST_TAPE_PAIR(2, TapeOp::add, Add, 0, -1)
  MMLFAST_TAPE_PAIR(2, TapeOp::subtract, Subtract, 0, -1)
  MMLFAST_TAPE_PAIR(2, TapeOp::subtract, Subtract, 1, -1)
  MMLFAST_TAPE_PAIR(2, TapeOp::multiply, Multiply, 0, -1)
  MMLFAST_TAPE_PAIR(3, TapeOp::multiply_add, MultiplyAdd, 0, -1)
  MMLFAST_TAPE_PAIR(3, TapeOp::multiply_add, MultiplyAdd, 0, 1)
  MMLFAST_TAPE_PAIR(3, TapeOp::multiply_add, MultiplyAdd, 2, -1)
  MMLFAST_TAPE_PAIR(3, TapeFused::subtract_product, SubtractProduct, 0, -1)
  MMLFAST_TAPE_PAIR(3, TapeFused::subtract_product, SubtractProduct, 0, 1)
  MMLFAST_TAPE_PAIR(3, TapeFused::subtract_product, SubtractProduct, 2, -1)
#undef MMLFAST_TAPE_PAIR
  return nullptr;
}

inline bool first_two_commute(TapeCode code) {
  return code == tape_code(TapeOp::add) || code == tape_code(TapeOp::multiply) ||
         code == tape_code(TapeOp::multiply_add) || code == tape_code(TapeFused::subtract_product);
}
// An operand that is one stretch of slots, and one that is the same for all elements. Of one point there are several
// elements, and fixed numbers lie in slots like others.
inline bool is_run(const TapeStep& step, int operand) {
  const TapeAccess access = step.access_of(operand);
  return access == TapeAccess::run || (access == TapeAccess::single && step.count == 1);
}
inline bool is_one(const TapeStep& step, int operand, bool point) {
  return step.access_of(operand) == (point ? TapeAccess::single : TapeAccess::fixed_single);
}
inline void exchange_first_two(TapeStep& step) {
  const std::uint32_t from = step.from[0];
  step.from[0] = step.from[1];
  step.from[1] = from;
  step.access =
      static_cast<std::uint16_t>((step.access & 0xFF00) | (step.access & 0xF) << 4 | (step.access >> 4 & 0xF));
}

inline bool all_runs(const TapeStep& step, int operands) {
  for (int k = 0; k < operands; ++k)
    if (!is_run(step, k)) return false;
  return true;
}

template <int N, class First>
TapeFunction runs_with(TapeCode second, int one) {
  using namespace tape_functions;
  if (second == tape_code(TapeOp::multiply)) return pair_of_runs<N, First, Multiply, 0>;
  if (second == tape_code(TapeOp::add)) return pair_of_runs<N, First, Add, 0>;
  if (second == tape_code(TapeOp::subtract))
    return one == 0 ? pair_of_runs<N, First, Subtract, 0> : pair_of_runs<N, First, Subtract, 1>;
  return nullptr;
}
inline TapeFunction pair_of_runs_for(TapeStep& first, TapeStep& second, int taken, bool point) {
  using namespace tape_functions;
  const int one = 1 - taken;
  if (tape_elementwise::loops.operands[second.code] != 2 || !is_one(second, one, point) ||
      !all_runs(first, tape_elementwise::loops.operands[first.code]))
    return nullptr;
  TapeFunction function = nullptr;
#define MMLFAST_TAPE_PAIR(N, of, F) \
  if (first.code == tape_code(of)) function = runs_with<N, F>(second.code, one);
  MMLFAST_TAPE_PAIR(2, TapeOp::add, Add)
  MMLFAST_TAPE_PAIR(2, TapeOp::subtract, Subtract)
  MMLFAST_TAPE_PAIR(2, TapeOp::multiply, Multiply)
  MMLFAST_TAPE_PAIR(3, TapeOp::multiply_add, MultiplyAdd)
  MMLFAST_TAPE_PAIR(3, TapeFused::subtract_product, SubtractProduct)
#undef MMLFAST_TAPE_PAIR
  if (function != nullptr && one == 1 && first_two_commute(second.code)) exchange_first_two(second);
  return function;
}

inline TapeFunction pair_with_one_for(TapeStep& first, TapeStep& second, int taken, bool point) {
  if (tape_elementwise::loops.operands[first.code] != 2) return nullptr;
  const int one = is_one(first, 0, point) ? 0 : 1;
  if (!is_one(first, one, point) || !is_run(first, 1 - one)) return nullptr;
  const bool exchange = taken == 1 && first_two_commute(second.code);
  int same = -1;
  for (int k = 0; k < tape_elementwise::loops.operands[second.code]; ++k) {
    if (k == taken || is_run(second, k)) continue;
    if (!is_one(second, k, point) || same >= 0) return nullptr;
    same = exchange && k < 2 ? 1 - k : k;
  }
  if (exchange) taken = 0;
  TapeFunction function = nullptr;
  using namespace tape_functions;
  if (first.code == tape_code(TapeOp::multiply))
    function = pair_with<Multiply, 0>(second.code, taken, same);
  else if (first.code == tape_code(TapeOp::add))
    function = pair_with<Add, 0>(second.code, taken, same);
  else if (first.code == tape_code(TapeOp::subtract))
    function =
        one == 0 ? pair_with<Subtract, 0>(second.code, taken, same) : pair_with<Subtract, 1>(second.code, taken, same);
  if (function == nullptr) return nullptr;
  if (one == 1 && first_two_commute(first.code)) exchange_first_two(first);
  if (exchange) exchange_first_two(second);
  return function;
}

// The function of `first` where operand `taken` of `second` is what it gives, or nullptr if there is none. Operands are
// exchanged where that changes nothing.
inline TapeFunction function_of(TapeStep& first, TapeStep& second, int taken, bool point) {
#if !defined(__FMA__) && !defined(__aarch64__)
  return nullptr;  // fma takes so long here that nothing would be gained
#endif
  const bool whole_vectors = second.count % width == 0 || second.access & tape_padded;
  if (point && (second.count == 1 || !whole_vectors)) return nullptr;
  TapeFunction function = pair_with_one_for(first, second, taken, point);
  if (function == nullptr) function = pair_of_runs_for(first, second, taken, point);
  if (function != nullptr) first.access |= tape_does_next;
  return function;
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_pairs
