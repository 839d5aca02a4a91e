// The sweeps of one-sided Jacobi in lanes, see svd.hpp.
//
// A column x is held as sqrt(weight) times the numbers in memory. Turning x and y by the angle with tangent t is then
//
//     x := x - (t weight_y / ..) y,  y := y + (t weight_x / ..) x,  both weights / (1 + t^2)
//
// one fma per element, where a plain rotation takes two multiplications more. Each sweep begins by multiplying the
// weights in and measuring the norms anew; within a sweep the norms are updated. A lane is done after a sweep in which
// each pair was orthogonal to rounding, or both its cosine and its turn were below the square root of that: the turns
// of other pairs have then brought back no more than the product.
#pragma once

#include "kernels/common/lanes.hpp"
#include "simd/math/floating_point.hpp"

namespace mmlfast::MMLFAST_LEVEL {

inline constexpr int most_sweeps = 40;

// From so many columns on, if their number is even, blocks of two columns meet.
inline constexpr std::ptrdiff_t fewest_in_blocks = 8;

template <class T>
struct Columns {
  vec<T>* x;              // column j: x + j * height
  std::ptrdiff_t rows;    // the entries that are made orthogonal
  std::ptrdiff_t height;  // these and the entries below them that are turned along (V)
  std::ptrdiff_t cols;
  vec<T>* norm;    // squared, weight included
  vec<T>* weight;  // squared scale
  vec<T>* least;   // squared norms that count as zero
  vec<T>* plan;    // 2 * (cols / 2): the two tangents of each pair of a round

  MMLFAST_INLINE vec<T>* column(std::ptrdiff_t j) const { return x + j * height; }
};

template <class T>
inline constexpr T rounding_unit = sizeof(T) == 8 ? static_cast<T>(0x1p-53) : static_cast<T>(0x1p-24);

// What a turn may leave of the cosine of two columns.
template <class T>
MMLFAST_INLINE vec<T> orthogonal_enough(std::ptrdiff_t rows) {
  return broadcast<T>(static_cast<T>(rows > 4 ? rows : 4) * rounding_unit<T>);
}

// The state of the sweeps: which lanes still work, and which of them have seen only small turns in this sweep.
template <class T>
struct Progress {
  vec<T> rounding, small;  // squares of cosines
  mask<T> active, calm;

  MMLFAST_INLINE Progress(std::ptrdiff_t rows, std::ptrdiff_t cols, const mask<T>& start) : active(start) {
    const vec<T> tolerance = orthogonal_enough<T>(rows);
    rounding = tolerance * tolerance;
    small = tolerance / broadcast<T>(static_cast<T>(cols));
    calm = start;
  }
};

// A power of two near 1 / sqrt(a b): whatever the sizes of two columns, the numbers that decide about their turn are
// brought to the size of 1.
template <class T>
MMLFAST_INLINE vec<T> near_reciprocal_root(const vec<T>& a, const vec<T>& b) {
  using I = typename native_of<T>::integer;
  const bits<T> i = as_bits(a), j = as_bits(b);
  bits<T> r;
  MMLFAST_EACH_PART {
    const native_bits<T> middle = ((i.part[p] >> 1) + (j.part[p] >> 1)) & Format<T>::exponent_mask;
    r.part[p] = (static_cast<I>(2 * Format<T>::bias) << Format<T>::mantissa) - middle;
  }
  return from_bits<T>(r);
}

// A norm that has lost too many digits by being updated is marked by a negative number: measure_again.
template <class T>
MMLFAST_INLINE vec<T> shrunk(const vec<T>& before, const vec<T>& after) {
  return select(after < before * broadcast<T>(static_cast<T>(0x1p-10)), broadcast<T>(-1), after);
}

// The tangents, both in weighted form, that make columns of these norms, weights and unweighted inner product `dot`
// orthogonal; zero where they are. Updates norms and weights. False: no lane turns.
template <class T>
MMLFAST_INLINE bool plan_turn(const vec<T>& dot, vec<T>& norm_x, vec<T>& norm_y, vec<T>& weight_x, vec<T>& weight_y,
                              Progress<T>& progress, vec<T>& x_tangent, vec<T>& y_tangent) {
  const vec<T> scale = near_reciprocal_root(norm_x, norm_y);
  const vec<T> a = norm_x * scale, b = norm_y * scale, g = dot * scale;
  const vec<T> square = weight_x * weight_y * g * g, product = a * b;
  const mask<T> known = (norm_x >= zero<T>()) & (norm_y >= zero<T>());
  const mask<T> turns = (square > progress.rounding * product) & progress.active & known;
  if (!any(turns)) return false;
  const vec<T> difference = b - a, two = broadcast<T>(2);
  const vec<T> root = sqrt(fma(two * two, square, difference * difference));
  const vec<T> quotient = two * g / copysign(abs(difference) + root, difference);
  const vec<T> w = select(turns, quotient, zero<T>());
  x_tangent = weight_y * w;
  y_tangent = weight_x * w;
  const vec<T> tangent_square = x_tangent * y_tangent;
  progress.calm =
      progress.calm & (((square <= progress.small * product) & (tangent_square <= progress.small)) | ~turns);
  const vec<T> moved = x_tangent * weight_x * dot;
  norm_x = shrunk(norm_x, norm_x - moved);
  norm_y = shrunk(norm_y, norm_y + moved);
  const vec<T> shrink = broadcast<T>(1) / (broadcast<T>(1) + tangent_square);
  weight_x = weight_x * shrink;
  weight_y = weight_y * shrink;
  return true;
}

template <class T>
MMLFAST_INLINE vec<T> inner_product(const vec<T>* x, const vec<T>* y, std::ptrdiff_t count) {
  vec<T> sum[4] = {};
  std::ptrdiff_t i = 0;
  for (; i + 4 <= count; i += 4) {
    _Pragma("GCC unroll 4") for (int k = 0; k < 4; ++k) sum[k] = fma(x[i + k], y[i + k], sum[k]);
  }
  for (; i < count; ++i) sum[0] = fma(x[i], y[i], sum[0]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class T>
MMLFAST_INLINE void turn(vec<T>* __restrict x, vec<T>* __restrict y, std::ptrdiff_t count, const vec<T>& x_tangent,
                         const vec<T>& y_tangent) {
  _Pragma("GCC unroll 4") for (std::ptrdiff_t i = 0; i < count; ++i) {
    const vec<T> a = x[i], b = y[i];
    x[i] = fnma(x_tangent, b, a);
    y[i] = fma(y_tangent, a, b);
  }
}

template <class T>
MMLFAST_INLINE void measure_again(const Columns<T>& c, std::ptrdiff_t j) {
  const mask<T> marked = c.norm[j] < zero<T>();
  if (any(marked)) {
    const vec<T>* x = c.column(j);
    c.norm[j] = select(marked, c.weight[j] * inner_product(x, x, c.rows), c.norm[j]);
  }
}

// Squared norms below this have lost digits: such columns count as zero.
template <class T>
inline constexpr T negligible_square = Format<T>::smallest_normal * 16;

// Norms before the first sweep. A column that shrinks to u^2 of its size is noise, and ends as zero: columns that
// depend on each other exactly would else shrink by u in every sweep.
template <class T>
void measure(const Columns<T>& c) {
  const vec<T> noise = broadcast<T>(rounding_unit<T> * rounding_unit<T> * rounding_unit<T> * rounding_unit<T>);
  for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
    const vec<T> norm = inner_product(c.column(j), c.column(j), c.rows);
    c.least[j] = max(norm * noise, broadcast<T>(negligible_square<T>));
    c.norm[j] = norm;
    c.weight[j] = broadcast<T>(1);
  }
}

// Weights into the columns, norms anew.
template <class T>
void settle(const Columns<T>& c) {
  for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
    vec<T>* x = c.column(j);
    const vec<T> scale = sqrt(c.weight[j]);
    for (std::ptrdiff_t i = 0; i < c.height; ++i) x[i] = x[i] * scale;
    c.weight[j] = broadcast<T>(1);
    c.norm[j] = inner_product(x, x, c.rows);
    const mask<T> vanished = c.norm[j] < c.least[j];
    if (!any(vanished)) continue;
    for (std::ptrdiff_t i = 0; i < c.rows; ++i) x[i] = select(vanished, zero<T>(), x[i]);
    c.norm[j] = select(vanished, zero<T>(), c.norm[j]);
  }
}

// The columns of pair i of a round of the tournament, `players` odd, one column sitting out or meeting the last one of
// an even number.
struct Tournament {
  std::ptrdiff_t players;
  explicit Tournament(std::ptrdiff_t cols) : players(cols % 2 ? cols : cols - 1) {}
  MMLFAST_INLINE std::ptrdiff_t first(std::ptrdiff_t round, std::ptrdiff_t i) const {
    const std::ptrdiff_t j = round + i;
    return j >= players ? j - players : j;
  }
  MMLFAST_INLINE std::ptrdiff_t second(std::ptrdiff_t round, std::ptrdiff_t i, std::ptrdiff_t cols) const {
    const std::ptrdiff_t j = i == 0 ? cols - 1 : round - i;
    return j < 0 ? j + players : j;
  }
};

template <class T>
void sweep(const Columns<T>& c, Progress<T>& progress) {
  const Tournament tournament(c.cols);
  const std::ptrdiff_t from = c.cols % 2, to = c.cols / 2 + from;
  vec<T>* const x_tangent = c.plan;
  vec<T>* const y_tangent = c.plan + to;
  for (std::ptrdiff_t round = 0; round < tournament.players; ++round) {
    for (std::ptrdiff_t i = from; i < to; ++i)
      x_tangent[i] =
          inner_product(c.column(tournament.first(round, i)), c.column(tournament.second(round, i, c.cols)), c.rows);
    std::uint64_t turning = 0;
    for (std::ptrdiff_t i = from; i < to; ++i) {
      const std::ptrdiff_t p = tournament.first(round, i), q = tournament.second(round, i, c.cols);
      const vec<T> dot = x_tangent[i];
      if (plan_turn(dot, c.norm[p], c.norm[q], c.weight[p], c.weight[q], progress, x_tangent[i], y_tangent[i]))
        turning |= std::uint64_t{1} << i;
    }
    for (std::ptrdiff_t i = from; i < to; ++i) {
      if (!(turning >> i & 1)) continue;
      const std::ptrdiff_t p = tournament.first(round, i), q = tournament.second(round, i, c.cols);
      turn(c.column(p), c.column(q), c.height, x_tangent[i], y_tangent[i]);
      measure_again(c, p);
      measure_again(c, q);
    }
  }
}

// Four columns: two blocks p, q of two. Both columns of p meet both of q, one pair after the other on their inner
// products, in one pass over memory; part by part of the vectors, so that all that stays fits the registers.
template <class T>
struct Meeting {
  vec<T> p1q1, p2q2, p1q2, p2q1, p1p2, q1q2;
  vec<T> tangent[8];  // of the turns p1 q1, p2 q2, p1 q2, p2 q1
};

template <class T>
MMLFAST_INLINE void meet(const vec<T>* p, const vec<T>* q, std::ptrdiff_t height, std::ptrdiff_t rows, Meeting<T>& m) {
  const vec<T>*p2 = p + height, *q2 = q + height;
  for (int part = 0; part < vec_parts; ++part) {
    vec<T, 1> sum[6] = {};  // not in m, where the compiler would store them in every step
    for (std::ptrdiff_t i = 0; i < rows; ++i) {
      const vec<T, 1> a = part_of(p[i], part), b = part_of(p2[i], part), c = part_of(q[i], part),
                      d = part_of(q2[i], part);
      sum[0] = fma(a, c, sum[0]);
      sum[1] = fma(b, d, sum[1]);
      sum[2] = fma(a, d, sum[2]);
      sum[3] = fma(b, c, sum[3]);
      sum[4] = fma(a, b, sum[4]);
      sum[5] = fma(c, d, sum[5]);
    }
    m.p1q1.part[part] = sum[0].part[0];
    m.p2q2.part[part] = sum[1].part[0];
    m.p1q2.part[part] = sum[2].part[0];
    m.p2q1.part[part] = sum[3].part[0];
    m.p1p2.part[part] = sum[4].part[0];
    m.q1q2.part[part] = sum[5].part[0];
  }
}

template <class T>
MMLFAST_INLINE bool plan_meeting(const Columns<T>& c, std::ptrdiff_t p, std::ptrdiff_t q, Progress<T>& progress,
                                 Meeting<T>& m) {
  vec<T>*n = c.norm, *w = c.weight;
  vec<T> t[8] = {};
  bool turns = plan_turn(m.p1q1, n[p], n[q], w[p], w[q], progress, t[0], t[1]);
  turns |= plan_turn(m.p2q2, n[p + 1], n[q + 1], w[p + 1], w[q + 1], progress, t[2], t[3]);
  // The other two products after p1 - t0 q1, q1 + t1 p1, p2 - t2 q2, q2 + t3 p2.
  const vec<T> p1q2 = fnma(t[0], fma(t[3], m.p2q1, m.q1q2), fma(t[3], m.p1p2, m.p1q2));
  const vec<T> p2q1 = fnma(t[2], fma(t[1], m.p1q2, m.q1q2), fma(t[1], m.p1p2, m.p2q1));
  turns |= plan_turn(p1q2, n[p], n[q + 1], w[p], w[q + 1], progress, t[4], t[5]);
  turns |= plan_turn(p2q1, n[p + 1], n[q], w[p + 1], w[q], progress, t[6], t[7]);
  _Pragma("GCC unroll 8") for (int k = 0; k < 8; ++k) m.tangent[k] = t[k];
  return turns;
}

template <class T>
MMLFAST_INLINE void turn(vec<T>* __restrict p, vec<T>* __restrict q, std::ptrdiff_t height, const Meeting<T>& m) {
  for (int part = 0; part < vec_parts; ++part) {
    vec<T, 1> t[8];
    _Pragma("GCC unroll 8") for (int k = 0; k < 8; ++k) t[k] = part_of(m.tangent[k], part);
    for (std::ptrdiff_t i = 0; i < height; ++i) {
      auto &x = p[i].part[part], &x2 = p[height + i].part[part], &y = q[i].part[part], &y2 = q[height + i].part[part];
      const vec<T, 1> a{x}, b{x2}, c{y}, d{y2};
      const vec<T, 1> a1 = fnma(t[0], c, a), c1 = fma(t[1], a, c), b1 = fnma(t[2], d, b), d1 = fma(t[3], b, d);
      x = fnma(t[4], d1, a1).part[0];
      y2 = fma(t[5], a1, d1).part[0];
      x2 = fnma(t[6], c1, b1).part[0];
      y = fma(t[7], b1, c1).part[0];
    }
  }
}

// A sweep over an even number of columns: the pairs within blocks, then the tournament of blocks.
template <class T>
void sweep_blocks(const Columns<T>& c, Progress<T>& progress) {
  const std::ptrdiff_t blocks = c.cols / 2;
  for (std::ptrdiff_t p = 0; p < c.cols; p += 2) {
    vec<T>*x = c.column(p), x_tangent, y_tangent;
    const vec<T> dot = inner_product(x, x + c.height, c.rows);
    if (!plan_turn(dot, c.norm[p], c.norm[p + 1], c.weight[p], c.weight[p + 1], progress, x_tangent, y_tangent))
      continue;
    turn(x, x + c.height, c.height, x_tangent, y_tangent);
    measure_again(c, p);
    measure_again(c, p + 1);
  }
  const Tournament tournament(blocks);
  const std::ptrdiff_t from = blocks % 2, to = blocks / 2 + from;
  Meeting<T>* meetings = reinterpret_cast<Meeting<T>*>(c.plan);
  const auto meet_in = [&](std::ptrdiff_t round, std::ptrdiff_t i) {
    if (round == tournament.players) return;
    const std::ptrdiff_t p = 2 * tournament.first(round, i), q = 2 * tournament.second(round, i, blocks);
    meet(c.column(p), c.column(q), c.height, c.rows, meetings[i]);
  };
  for (std::ptrdiff_t i = from; i < to; ++i) meet_in(0, i);
  for (std::ptrdiff_t round = 0; round < tournament.players; ++round) {
    const auto first = [&](std::ptrdiff_t i) { return 2 * tournament.first(round, i); };
    const auto second = [&](std::ptrdiff_t i) { return 2 * tournament.second(round, i, blocks); };
    std::uint64_t turning = 0;
    for (std::ptrdiff_t i = from; i < to; ++i)
      turning |= std::uint64_t{plan_meeting(c, first(i), second(i), progress, meetings[i])} << i;
    // The columns of pair i in the next round are those of the pairs i - 1 and i + 1, which have just been in the
    // cache.
    for (std::ptrdiff_t i = from; i < to; ++i) {
      if (turning >> i & 1) {
        const std::ptrdiff_t p = first(i), q = second(i);
        turn(c.column(p), c.column(q), c.height, meetings[i]);
        measure_again(c, p);
        measure_again(c, p + 1);
        measure_again(c, q);
        measure_again(c, q + 1);
      }
      if (i > from) meet_in(round + 1, i - 1);
    }
    meet_in(round + 1, to - 1);
  }
}

// Makes the columns orthogonal in the lanes of `wanted`; returns the lanes where that failed.
template <class T>
mask<T> orthogonalize(const Columns<T>& c, const mask<T>& wanted) {
  Progress<T> progress(c.rows, c.cols, wanted);
  measure(c);
  for (int k = 0; k < most_sweeps && any(progress.active); ++k) {
    progress.calm = progress.active;
    if (c.cols >= fewest_in_blocks && c.cols % 2 == 0)
      sweep_blocks(c, progress);
    else if (c.cols > 1)
      sweep(c, progress);
    progress.active = progress.active & ~progress.calm;
    settle(c);
  }
  return progress.active;
}

}  // namespace mmlfast::MMLFAST_LEVEL
