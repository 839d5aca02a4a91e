// What each elementwise operation of a tape computes: `of` of one vector, and of one number where that gives the same
// bits for less (Plain). For kernel files only.
#pragma once

#include "kernels/common/fma.hpp"
#include "simd/math.hpp"

namespace mmlfast::MMLFAST_LEVEL::tape_functions {

using Vector = vec<double>;

// ---- numbers and vectors alike ----

MMLFAST_INLINE double choose(bool condition, double a, double b) { return condition ? a : b; }
MMLFAST_INLINE Vector choose(const mask<double>& condition, const Vector& a, const Vector& b) {
  return select(condition, a, b);
}
MMLFAST_INLINE bool both(bool a, bool b) { return a && b; }
MMLFAST_INLINE mask<double> both(const mask<double>& a, const mask<double>& b) { return a & b; }
MMLFAST_INLINE bool either(bool a, bool b) { return a || b; }
MMLFAST_INLINE mask<double> either(const mask<double>& a, const mask<double>& b) { return a | b; }
MMLFAST_INLINE double size_of(double a) { return __builtin_fabs(a); }
MMLFAST_INLINE Vector size_of(const Vector& a) { return abs(a); }
MMLFAST_INLINE double with_sign(double a, double sign) { return __builtin_copysign(a, sign); }
MMLFAST_INLINE Vector with_sign(const Vector& a, const Vector& sign) { return copysign(a, sign); }
MMLFAST_INLINE double root(double a) { return __builtin_sqrt(a); }
MMLFAST_INLINE Vector root(const Vector& a) { return sqrt(a); }
template <class V>
MMLFAST_INLINE V number(double value);
template <>
MMLFAST_INLINE double number<double>(double value) {
  return value;
}
template <>
MMLFAST_INLINE Vector number<Vector>(double value) {
  return broadcast(value);
}
template <class V, class Condition>
MMLFAST_INLINE V truth(const Condition& condition) {
  return choose(condition, number<V>(1), number<V>(0));
}
template <class V>
MMLFAST_INLINE auto is_true(const V& a) {  // NaN is
  return a != number<V>(0);
}

// To the nearest integer, half to even. From 2^52 on there are only integers.
template <class V>
MMLFAST_INLINE V to_nearest(const V& a) {
  const V integers = number<V>(0x1p52), x = size_of(a);
  return choose(x < integers, with_sign((x + integers) - integers, a), a);
}

#define MMLFAST_ONE(name, expression)        \
  struct name {                              \
    template <class V>                       \
    static MMLFAST_INLINE V of(const V& a) { \
      return expression;                     \
    }                                        \
  };
#define MMLFAST_TWO(name, expression)                    \
  struct name {                                          \
    template <class V>                                   \
    static MMLFAST_INLINE V of(const V& a, const V& b) { \
      return expression;                                 \
    }                                                    \
  };

MMLFAST_ONE(Identity, a)
MMLFAST_ONE(Negative, -a)
MMLFAST_ONE(Absolute, size_of(a))
MMLFAST_ONE(Sign, choose(a > number<V>(0), number<V>(1),
                         choose(a < number<V>(0), number<V>(-1), choose(a == a, number<V>(0), a))))
MMLFAST_ONE(Sqrt, root(a))
MMLFAST_ONE(Square, a* a)
MMLFAST_ONE(Reciprocal, number<V>(1) / a)
MMLFAST_ONE(LogicalNot, truth<V>(a == number<V>(0)))
MMLFAST_ONE(Rint, to_nearest(a))
struct Floor {
  template <class V>
  static MMLFAST_INLINE V of(const V& a) {
    const V r = to_nearest(a);
    return with_sign(choose(r > a, r - number<V>(1), r), a);
  }
};
struct Ceil {
  template <class V>
  static MMLFAST_INLINE V of(const V& a) {
    const V r = to_nearest(a);
    return with_sign(choose(r < a, r + number<V>(1), r), a);
  }
};
MMLFAST_ONE(Trunc, with_sign(Floor::of(size_of(a)), a))

MMLFAST_TWO(Add, a + b)
MMLFAST_TWO(Subtract, a - b)
MMLFAST_TWO(Multiply, a* b)
MMLFAST_TWO(Divide, a / b)
MMLFAST_TWO(DivideOrZero, choose(both(a == number<V>(0), b == number<V>(0)), number<V>(0), a / b))
MMLFAST_TWO(Maximum, choose(a > b, a, choose(b >= a, b, a + b)))  // a + b: one is NaN
MMLFAST_TWO(Minimum, choose(a < b, a, choose(b <= a, b, a + b)))
MMLFAST_TWO(Copysign, with_sign(a, b))
MMLFAST_TWO(Less, truth<V>(a < b))
MMLFAST_TWO(LessEqual, truth<V>(a <= b))
MMLFAST_TWO(Equal, truth<V>(a == b))
MMLFAST_TWO(NotEqual, truth<V>(a != b))
MMLFAST_TWO(LogicalAnd, truth<V>(both(is_true(a), is_true(b))))
MMLFAST_TWO(LogicalOr, truth<V>(either(is_true(a), is_true(b))))

struct Select {
  template <class V>
  static MMLFAST_INLINE V of(const V& a, const V& b, const V& c) {
    return choose(is_true(a), b, c);
  }
};
struct MultiplyAdd {
  template <class V>
  static MMLFAST_INLINE V of(const V& a, const V& b, const V& c) {
    return fma(a, b, c);
  }
};
struct SubtractProduct {  // c - a b
  template <class V>
  static MMLFAST_INLINE V of(const V& a, const V& b, const V& c) {
    return fnma(a, b, c);
  }
};

// ---- of vectors only ----

MMLFAST_ONE(Cbrt, cbrt(a))
MMLFAST_ONE(Exp, exp(a))
MMLFAST_ONE(Exp2, pow(number<V>(2), a))
MMLFAST_ONE(Expm1, expm1(a))
MMLFAST_ONE(Log, log(a))
MMLFAST_ONE(Log1p, log1p(a))
MMLFAST_ONE(Sin, sin(a))
MMLFAST_ONE(Cos, cos(a))
MMLFAST_ONE(Tan, tan(a))
MMLFAST_ONE(Arcsin, asin(a))
MMLFAST_ONE(Arccos, acos(a))
MMLFAST_ONE(Arctan, atan(a))
MMLFAST_ONE(Sinh, sinh(a))
MMLFAST_ONE(Cosh, cosh(a))
MMLFAST_ONE(Tanh, tanh(a))
MMLFAST_ONE(Erf, erf(a))
MMLFAST_ONE(Erfc, erfc(a))
MMLFAST_ONE(Gammaln, lgamma(a))
MMLFAST_ONE(Expit, logistic(a))
MMLFAST_ONE(Softplus, softplus(a))
MMLFAST_TWO(Power, pow(a, b))
MMLFAST_TWO(Arctan2, atan2(a, b))
#undef MMLFAST_ONE
#undef MMLFAST_TWO

// log a times 1 / log of the base, both in two pieces: powers of the base give integers.
MMLFAST_INLINE Vector logarithm_to(const Vector& a, double inverse, double inverse_low) {
  Vector low, product_low;
  const Vector high = power::log_in_two(a, low), c = number<Vector>(inverse);
  const Vector product = exact_product(high, c, product_low);
  Vector y = product + fma(low, c, fma(high, number<Vector>(inverse_low), product_low));
  const mask<double> normal = logarithm::is_normal(a);
  if (!all(normal)) [[unlikely]]
    y = select(normal, y, log(a) * c);
  return y;
}
struct Log2 {
  static MMLFAST_INLINE Vector of(const Vector& a) {
    return logarithm_to(a, 0x1.71547652b82fep0, 0x1.777d0ffda0d24p-56);
  }
};
struct Log10 {
  static MMLFAST_INLINE Vector of(const Vector& a) {
    return logarithm_to(a, 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57);
  }
};

inline constexpr double far_out = 0x1p28;  // whose square plus one is the square
inline constexpr double ln2 = 0x1.62e42fefa39efp-1;

// With the logarithm of 1 + something that does not cancel.
struct Arcsinh {
  static MMLFAST_INLINE Vector of(const Vector& a) {
    const Vector one = number<Vector>(1), x = abs(a), near = min(number<Vector>(far_out), x), square = near * near;
    const mask<double> far = x > number<Vector>(far_out);
    const Vector y = log1p(select(far, x - one, near + square / (one + sqrt(one + square))));
    return copysign(select(far, y + number<Vector>(ln2), y), a);
  }
};
struct Arccosh {
  static MMLFAST_INLINE Vector of(const Vector& a) {
    const Vector one = number<Vector>(1), t = min(number<Vector>(far_out), a) - one;
    const mask<double> far = a > number<Vector>(far_out);
    const Vector y = log1p(select(far, a - one, t + sqrt(t * (t + number<Vector>(2)))));
    return select(a < one, not_a_number<double>(), select(far, y + number<Vector>(ln2), y));
  }
};
struct Arctanh {
  static MMLFAST_INLINE Vector of(const Vector& a) {
    const Vector one = number<Vector>(1), x = abs(a), twice = x + x;
    const Vector y = number<Vector>(0.5) * log1p(fma(twice, x / (one - x), twice));
    return copysign(select(x > one, not_a_number<double>(), y), a);
  }
};

// log(e^a + e^b)
struct Logaddexp {
  static MMLFAST_INLINE Vector of(const Vector& a, const Vector& b) {
    const Vector larger = Maximum::of(a, b);
    return select(a == b, a + number<Vector>(ln2), larger + log1p(exp(-abs(a - b))));
  }
};

// Exactly, and so the same bits everywhere. Lane by lane: the number of steps depends on the quotient.
struct Fmod {
  static double of(double a, double b) { return __builtin_fmod(a, b); }
  static MMLFAST_INLINE Vector of(const Vector& a, const Vector& b) {
    alignas(vec_bytes) double x[lanes<double>], y[lanes<double>];
    store(x, a);
    store(y, b);
    for (int l = 0; l < lanes<double>; ++l) x[l] = __builtin_fmod(x[l], y[l]);
    return load(x);
  }
};

// a^n, by squaring.
template <class V>
MMLFAST_INLINE V to_integer_power(const V& a, int n) {
  V result = number<V>(1), square = a;
  for (unsigned left = n < 0 ? 0u - static_cast<unsigned>(n) : static_cast<unsigned>(n); left != 0; left >>= 1) {
    if (left & 1) result = result * square;
    if (left > 1) square = square * square;
  }
  return n < 0 ? number<V>(1) / result : result;
}

}  // namespace mmlfast::MMLFAST_LEVEL::tape_functions
