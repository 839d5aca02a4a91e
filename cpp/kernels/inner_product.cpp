#include "kernels/inner_product.hpp"

#include "kernels/common/gapless_rows.hpp"
#include "kernels/common/lanes.hpp"
#include "kernels/common/with_size.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;
using Numbers = vec<double>;  // one per item

constexpr ptrdiff_t longest_in_lanes = 64;
constexpr int group = lanes<double>;

template <class T>
ptrdiff_t scratch_elements(ptrdiff_t d) {
  return d <= longest_in_lanes ? 2 * lanes<T> * (d < 1 ? 1 : d) : 1;
}

// One register of numbers that are `step` apart. Through a buffer in memory this would wait for its stores.
template <class T, int... I>
MMLFAST_INLINE native<T> strided(const T* from, ptrdiff_t step, std::integer_sequence<int, I...>) {
  return native<T>{from[I * step]...};
}

// Vectors of 2, 3 or 4 numbers without gaps; false if they are others.
template <class T>
bool pack_gapless(const T* from, ptrdiff_t d, T* to) {
  return with_size<2, 4>(d, [&]<int D>(std::integral_constant<int, D>) {
    if constexpr (D > 0) {
      for (int first = 0; first < lanes<T>; first += native_lanes<T>) {
        native<T> column[D];
        gapless::load_columns<D, T>(from + first * D, column);
        _Pragma("GCC unroll 4") for (int k = 0; k < D; ++k) store_part(to + k * lanes<T> + first, column[k]);
      }
    }
    return D > 0;
  });
}

// Vectors `first` .. `first + lanes<T> - 1`, those behind the last one repeating it, as d vectors of `to`.
template <class T>
void pack_items(const VectorStack<T>& x, ptrdiff_t first, ptrdiff_t count, ptrdiff_t d, T* to) {
  const bool whole = first + lanes<T> <= count;
  if (whole && d < native_lanes<T>) {
    const T* from = x.data + first * x.next;
    if (x.step == 1 && x.next == d && pack_gapless(from, d, to)) return;
    for (ptrdiff_t k = 0; k < d; ++k) {
      vec<T> r;
      MMLFAST_EACH_PART r.part[p] = strided<T>(from + p * native_lanes<T> * x.next + k * x.step, x.next,
                                               std::make_integer_sequence<int, native_lanes<T>>{});
      store(to + k * lanes<T>, r);
    }
    return;
  }
  const T* item[lanes<T>];
  for (int l = 0; l < lanes<T>; ++l) item[l] = x.data + (first + l < count ? first + l : count - 1) * x.next;
  vec<T>* rows = reinterpret_cast<vec<T>*>(to);
  if (x.step == 1) return pack_elements(item, 0, d, 1, rows, 1);  // a call takes 2 of 44 ns for 16-D
  for (ptrdiff_t k = 0; k < d; ++k) pack_run(item, k * x.step, 1, rows + k, 1);
}

// Eight items with their components in lanes: component k of item l at x[k * lanes<T> + l].
template <class T>
struct InLanes {
  const T *x, *y;
  ptrdiff_t d;

  // The sums of term(x_k, y_k, sum, factors) over k, one per item.
  template <class Factors, class Term>
  MMLFAST_INLINE Numbers sum(const Factors& factors, Term term) const {
    Numbers s = zero<double>();
    for (ptrdiff_t k = 0; k < d; ++k)
      s = term(load_as_double(x + k * lanes<T>), load_as_double(y + k * lanes<T>), s, factors);
    return s;
  }
};

// Eight items of long vectors, one after another, eight components at once.
template <class T>
struct ByRows {
  VectorStack<T> x, y;
  ptrdiff_t first, count, d;

  static MMLFAST_NOINLINE Numbers gathered(const T* from, ptrdiff_t step, ptrdiff_t left) {
    alignas(vec_bytes) double buffer[group] = {};
    for (int i = 0; i < group && i < left; ++i) buffer[i] = static_cast<double>(from[i * step]);
    return load(buffer);
  }

  template <class Factors, class Term>
  MMLFAST_INLINE Numbers sum(const Factors& factors, Term term) const {
    // Components that are loaded; the others are gathered.
    const ptrdiff_t whole = x.step == 1 && y.step == 1 ? d - d % group : 0;
    alignas(vec_bytes) double sums[group];
    for (int l = 0; l < group; ++l) {
      const ptrdiff_t item = first + l < count ? first + l : count - 1;
      const T *px = x.data + item * x.next, *py = y.data + item * y.next;
      const Factors own = factors.of_lane(l);
      Numbers s[4] = {};
      for (ptrdiff_t k = 0; k < whole; k += 4 * group) {
        _Pragma("GCC unroll 4") for (int c = 0; c < 4; ++c) {
          const ptrdiff_t at = k + c * group;
          if (at < whole) s[c] = term(load_as_double(px + at), load_as_double(py + at), s[c], own);
        }
      }
      if (whole < d) {
        Numbers rest[4] = {s[0], s[1], s[2], s[3]};
        for (ptrdiff_t at = whole; at < d; at += group) {
          Numbers& to = rest[at / group % 4];
          to = term(gathered(px + at * x.step, x.step, d - at), gathered(py + at * y.step, y.step, d - at), to, own);
        }
        for (int c = 0; c < 4; ++c) s[c] = rest[c];
      }
      sums[l] = reduce_add((s[0] + s[2]) + (s[1] + s[3]));
    }
    return load(sums);
  }
};

template <int Count>
struct Factors {
  Numbers of[Count < 1 ? 1 : Count];
  MMLFAST_INLINE Factors of_lane(int l) const {
    Factors r = {};
    for (int c = 0; c < Count; ++c) {
      alignas(vec_bytes) double x[group];
      store(x, of[c]);
      r.of[c] = broadcast(x[l]);
    }
    return r;
  }
};
using NoFactors = Factors<0>;

// Sums of squares below this may have lost terms to underflow.
constexpr double smallest_sum = 0x1p-900, infinity = __builtin_inf();

// What to multiply with so that the squares stay in range: 1 where they did.
MMLFAST_INLINE bool needs_scale(const Numbers& s, Numbers& scale) {
  const mask<double> fine = (s >= broadcast(smallest_sum)) & (s < broadcast(infinity));
  scale = select(fine, broadcast(1.0), select(s < broadcast(smallest_sum), broadcast(0x1p600), broadcast(0x1p-600)));
  return !all(fine);
}

template <class Items, class Component>
MMLFAST_INLINE Numbers length(const Items& items, bool any_range, Component component) {
  const auto square = [&](const Numbers& x, const Numbers& y, const Numbers& s, const auto&) {
    const Numbers c = component(x, y);
    return fma(c, c, s);
  };
  const Numbers s = items.sum(NoFactors{}, square);
  Factors<1> scale;
  if (!any_range || !needs_scale(s, scale.of[0])) return sqrt(s);
  const auto scaled = [&](const Numbers& x, const Numbers& y, const Numbers& sum, const Factors<1>& f) {
    const Numbers c = component(x, y) * f.of[0];
    return fma(c, c, sum);
  };
  return sqrt(items.sum(scale, scaled)) / scale.of[0];
}

// Where terms or partial sums left the range, their sum may lie within it: again() are the sums of them times 2^-1100.
template <class Sum>
MMLFAST_INLINE Numbers in_range(const Numbers& s, bool any_range, Sum again) {
  const Numbers largest = broadcast(__DBL_MAX__), up = broadcast(0x1p550);
  const mask<double> fine = (s >= zero<double>() - largest) & (s <= largest);
  return !any_range || all(fine) ? s : select(fine, s, again() * up * up);
}

template <class Items>
MMLFAST_INLINE Numbers inner(const Items& items, bool any_range) {
  const Numbers s = items.sum(
      NoFactors{}, [](const Numbers& x, const Numbers& y, const Numbers& sum, const auto&) { return fma(x, y, sum); });
  return in_range(s, any_range, [&] {
    const Factors<1> down{{broadcast(0x1p-550)}};
    return items.sum(down, [](const Numbers& x, const Numbers& y, const Numbers& sum, const Factors<1>& f) {
      return fma(x * f.of[0], y * f.of[0], sum);
    });
  });
}

// atan(t) for 0 <= t <= 1: the relative error is below 2 u.
MMLFAST_INLINE Numbers arc_tangent(const Numbers& t) {
  const mask<double> large = t > broadcast(0.66);
  const Numbers one = broadcast(1.0), x = select(large, (t - one) / (t + one), t), z = x * x;
  constexpr double top[] = {-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
                            -1.228866684490136173410e2, -6.485021904942025371773e1};
  constexpr double bottom[] = {2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
                               4.853903996359136964868e2, 1.945506571482613964425e2};
  Numbers p = broadcast(top[0]), q = z + broadcast(bottom[0]);
  for (int i = 1; i < 5; ++i) {
    p = fma(p, z, broadcast(top[i]));
    q = fma(q, z, broadcast(bottom[i]));
  }
  const Numbers rest = fma(x, z * p / q, x);
  // pi / 4 in two pieces
  return select(large, broadcast(0x1.921fb54442d18p-1) + (rest + broadcast(0x1.1a62633145c07p-55)), rest);
}

template <class Items>
MMLFAST_INLINE Numbers angle(const Items& items, bool any_range, LaneBits& zeros) {
  // How the unit vectors are made: x times of[0] times of[1], y times of[2] times of[3].
  Factors<4> f;
  f.of[0] = f.of[2] = broadcast(1.0);
  const auto square_x = [](const Numbers& x, const Numbers&, const Numbers& s, const Factors<4>& g) {
    const Numbers c = x * g.of[0];
    return fma(c, c, s);
  };
  const auto square_y = [](const Numbers&, const Numbers& y, const Numbers& s, const Factors<4>& g) {
    const Numbers c = y * g.of[2];
    return fma(c, c, s);
  };
  f.of[1] = f.of[3] = f.of[0];
  Numbers xx = items.sum(f, square_x), yy = items.sum(f, square_y);
  if (any_range) {
    if (needs_scale(xx, f.of[0])) xx = items.sum(f, square_x);
    if (needs_scale(yy, f.of[2])) yy = items.sum(f, square_y);
  }
  const Numbers none = zero<double>(), one = broadcast(1.0);
  zeros = to_bitmask((xx == none) | (yy == none));
  f.of[1] = one / sqrt(xx);
  f.of[3] = one / sqrt(yy);
  const auto difference = [](const Numbers& x, const Numbers& y, const Numbers& s, const Factors<4>& g) {
    const Numbers c = x * g.of[0] * g.of[1] - y * g.of[2] * g.of[3];
    return fma(c, c, s);
  };
  const auto total = [](const Numbers& x, const Numbers& y, const Numbers& s, const Factors<4>& g) {
    const Numbers c = x * g.of[0] * g.of[1] + y * g.of[2] * g.of[3];
    return fma(c, c, s);
  };
  const Numbers sine = sqrt(items.sum(f, difference)), cosine = sqrt(items.sum(f, total));
  const mask<double> obtuse = sine > cosine;
  const Numbers half = arc_tangent(select(obtuse, cosine, sine) / select(obtuse, sine, cosine));
  // pi in two pieces
  const Numbers high = broadcast(0x1.921fb54442d18p+1), low = broadcast(0x1.1a62633145c07p-53);
  return select(obtuse, high - (half + half - low), half + half);
}

// x times the unit vector of y.
template <class Items>
MMLFAST_INLINE Numbers projection(const Items& items, bool any_range, LaneBits& zeros) {
  // y is multiplied by of[0] and divided by of[1] then; both are multiplied by of[2] in the end.
  Factors<3> f;
  f.of[0] = f.of[1] = f.of[2] = broadcast(1.0);
  const auto square = [](const Numbers&, const Numbers& y, const Numbers& s, const Factors<3>& g) {
    const Numbers c = y * g.of[0];
    return fma(c, c, s);
  };
  const auto product = [](const Numbers& x, const Numbers& y, const Numbers& s, const Factors<3>& g) {
    return fma(x * g.of[2], y * g.of[0] / g.of[1] * g.of[2], s);
  };
  Numbers yy = items.sum(f, square);
  if (any_range && needs_scale(yy, f.of[0])) yy = items.sum(f, square);
  zeros = items.d > 0 ? to_bitmask(yy == zero<double>()) : 0;
  f.of[1] = sqrt(yy);
  return in_range(items.sum(f, product), any_range, [&] {
    f.of[2] = broadcast(0x1p-550);
    return items.sum(f, product);
  });
}

template <class Items>
MMLFAST_INLINE Numbers result(InnerStep step, const Items& items, bool any_range, LaneBits& zeros) {
  switch (step) {
    case InnerStep::inner:
      return inner(items, any_range);
    case InnerStep::norm:
      return length(items, any_range, [](const Numbers& x, const Numbers&) { return x; });
    case InnerStep::distance:
      return length(items, any_range, [](const Numbers& x, const Numbers& y) { return x - y; });
    case InnerStep::angle:
      return angle(items, any_range, zeros);
    case InnerStep::projection:
      return projection(items, any_range, zeros);
  }
  return zero<double>();
}

template <class T>
bool items(InnerStep step, ptrdiff_t count, ptrdiff_t d, const VectorStack<T>& x, const VectorStack<T>& y, T* out,
           ptrdiff_t out_next, T* scratch) {
  constexpr bool any_range = sizeof(T) == 8;  // squares of float32 are in the range of float64
  bool failed = false;
  T *x_room = scratch, *y_room = step == InnerStep::norm ? x_room : x_room + d * lanes<T>;
  for (ptrdiff_t first = 0; first < count; first += lanes<T>) {
    if (d <= longest_in_lanes) {
      pack_items(x, first, count, d, x_room);
      if (step != InnerStep::norm && (first == 0 || y.next != 0)) pack_items(y, first, count, d, y_room);
    }
    for (ptrdiff_t at = first; at < first + lanes<T> && at < count; at += group) {
      LaneBits zeros = 0;
      Numbers r;
      if (d <= longest_in_lanes)
        r = result(step, InLanes<T>{x_room + (at - first), y_room + (at - first), d}, any_range, zeros);
      else
        r = result(step, ByRows<T>{x, step == InnerStep::norm ? x : y, at, count, d}, any_range, zeros);
      failed |= zeros != 0;
      alignas(vec_bytes) double numbers[group];
      store(numbers, r);
      for (ptrdiff_t l = 0; l < group && at + l < count; ++l) out[(at + l) * out_next] = static_cast<T>(numbers[l]);
    }
  }
  return failed;
}

}  // namespace

MMLFAST_DEFINE_TABLES(InnerProduct, inner_product, scratch_elements<T>, items<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
