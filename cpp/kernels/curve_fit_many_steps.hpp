// Steps of eight fits: what of the last one to think, and which one to try next. For kernel files only.
#pragma once

#include "kernels/curve_fit_many.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::curve_fit_steps {

using Size = std::ptrdiff_t;
using V = vec<double>;
using M = mask<double>;
inline constexpr Size width = lanes<double>;
inline constexpr double u = 0x1p-53;
// A pivot below this part of its diagonal entry is rounding: the condition is 1e7 or more.
inline constexpr double least_pivot = 128 * u;
// Where the matrix is singular, this of its diagonal is added.
inline constexpr double least_damping = 1e-11;
// Steps of this part of a standard error (squared) are none.
inline constexpr double none = 1e-20;

MMLFAST_INLINE V number(double x) { return broadcast<double>(x); }
MMLFAST_INLINE V number(CurveFitState state) { return number(static_cast<double>(state)); }
MMLFAST_INLINE V get(const double* from, Size i) { return load(from + i * width); }
MMLFAST_INLINE void put(double* to, Size i, const V& x) { store(to + i * width, x); }
constexpr Size entry(Size j, Size k) { return j * (j + 1) / 2 + k; }

// factor = L of `matrix` + damping I, with 1 / l_jj on the diagonal. Lanes whose matrix is positive definite.
MMLFAST_INLINE M factor(Size n, const double* matrix, const V& damping, double* l) {
  M good = ~no_lanes<double>();
  for (Size j = 0; j < n; ++j)
    for (Size k = 0; k <= j; ++k) {
      V x = get(matrix, entry(j, k));
      if (k == j) x = x + damping;
      const V least = x * number(least_pivot);
      for (Size m = 0; m < k; ++m) x = fnma(get(l, entry(j, m)), get(l, entry(k, m)), x);
      if (k < j) {
        put(l, entry(j, k), x * get(l, entry(k, k)));
      } else {
        good = good & (x > least);
        put(l, entry(j, j), number(1) / sqrt(x));
      }
    }
  return good;
}
// y = L^-1 x; returns y'y.
MMLFAST_INLINE V solve_lower(Size n, const double* l, const double* x, double* y) {
  V length2 = zero<double>();
  for (Size j = 0; j < n; ++j) {
    V sum = get(x, j);
    for (Size k = 0; k < j; ++k) sum = fnma(get(l, entry(j, k)), get(y, k), sum);
    sum = sum * get(l, entry(j, j));
    put(y, j, sum);
    length2 = fma(sum, sum, length2);
  }
  return length2;
}
// x = -L'^-1 y; returns x'x.
MMLFAST_INLINE V solve_upper(Size n, const double* l, const double* y, double* x) {
  V length2 = zero<double>();
  for (Size j = n; j-- > 0;) {
    V sum = -get(y, j);
    for (Size k = j + 1; k < n; ++k) sum = fnma(get(l, entry(k, j)), get(x, k), sum);
    sum = sum * get(l, entry(j, j));
    put(x, j, sum);
    length2 = fma(sum, sum, length2);
  }
  return length2;
}

class Lanes {
 public:
  explicit Lanes(const CurveFitLanes& given) : g_(given), n_(given.n) {
    double* at = given.work;
    const auto take = [&](Size count) {
      double* piece = at;
      at += count * width;
      return piece;
    };
    matrix_ = take(curve_fit::triangle(n_));
    factor_ = take(curve_fit::triangle(n_));
    unit_ = take(n_);
    gradient_ = take(n_);
    forward_ = take(n_);
    q_ = take(n_);
    kept_ = take(n_);
    moved_ = take(n_);
    right_ = take(n_);
  }

  V state() const { return load(g_.state); }

  // Is the trial better? Radius and damping after it, as lmder has them.
  void judge() {
    const V state = load(g_.state), cost = get(g_.sums, corner()), old = get(g_.gram, corner());
    const M fresh = state == number(CurveFitState::fresh), running = state == number(CurveFitState::running);
    V check = zero<double>();  // of infinities and NaN, NaN
    for (Size s = 0; s <= corner(); ++s) check = fma(get(g_.sums, s), zero<double>(), check);
    const M finite = check == zero<double>();
    const V predicted = load(g_.predicted), slope = load(g_.slope), length = load(g_.length);
    // What short steps gain is lost in the rounding of the sums; the slopes at both ends still tell it.
    const V actual = select(predicted <= old * number(1e-6), gain_by_slopes(), old - cost), ratio = actual / predicted;
    const M good = running & finite & (ratio > number(1e-4));
    const M low = running & ~(finite & (ratio > number(.25)));
    V shrink = select(actual >= zero<double>(), number(.5), number(.5) * slope / (slope - number(.5) * actual));
    shrink = select(finite & (cost < old * number(100)) & (shrink >= number(.1)), shrink, number(.1));
    V radius = load(g_.radius), damping = load(g_.damping);
    const M high = running & ~low & ((damping == zero<double>()) | (ratio >= number(.75)));
    radius = select(low, shrink * min(radius, length * number(10)), select(high, length * number(2), radius));
    damping = select(low, damping / shrink, select(high, damping * number(.5), damping));
    take(good | (fresh & finite));
    radius = select(fresh, first_radius(), radius);
    store(g_.radius, radius);
    store(g_.damping, select(fresh, zero<double>(), damping));
    store(g_.evaluations, load(g_.evaluations) + select(fresh | running, number(1), zero<double>()));
    store(g_.accepted, select(fresh, zero<double>(), load(g_.accepted)) + select(good, number(1), zero<double>()));

    store(g_.state, select(fresh & ~finite, number(CurveFitState::not_finite),
                           select(fresh, number(CurveFitState::running), state)));
    refused_ = running & ~good;
  }

  void propose(double most_evaluations) {
    scale();
    const M running = load(g_.state) == number(CurveFitState::running);
    V length2, forward2, damping, whole;
    const M singular = find_damping(running, length2, forward2, damping, whole);
    for (Size j = 0; j < n_; ++j) put(moved_, j, get(kept_, j) * get(unit_, j));
    V predicted = fma(damping, length2, forward2), slope = forward2;
    M clamped = no_lanes<double>();
    if (g_.lower != nullptr) clamped = stay_within(running, damping, length2, predicted, slope);
    V length = sqrt(length2);
    finish(running, singular, ~clamped, whole, predicted, most_evaluations);
    for (Size j = 0; j < n_; ++j) {
      const V x = get(g_.x, j);
      V to = x + get(moved_, j);
      if (g_.lower != nullptr) to = min(max(to, get(g_.lower, j)), get(g_.upper, j));
      put(g_.trial, j, select(running, to, x));
    }
    const M first = running & (load(g_.accepted) == zero<double>());
    store(g_.radius, select(first, min(load(g_.radius), length), load(g_.radius)));
    store(g_.damping, damping);
    store(g_.predicted, predicted);
    store(g_.slope, slope);
    store(g_.length, length);
  }

 private:
  Size corner() const { return curve_fit::n_sums(n_) - 1; }
  V gradient(Size j) const { return get(g_.gram, entry(n_, j)); }

  void take(const M& which) {
    for (Size s = 0; s <= corner(); ++s) put(g_.gram, s, select(which, get(g_.sums, s), get(g_.gram, s)));
    for (Size j = 0; j < n_; ++j) {
      put(g_.x, j, select(which, get(g_.trial, j), get(g_.x, j)));
      const V old = get(g_.scale, j), now = sqrt(get(g_.gram, entry(j, j)));
      put(g_.scale, j, select(which, max(now, old), old));
    }
  }

  V gain_by_slopes() const {
    V gain = zero<double>();
    for (Size j = 0; j < n_; ++j)
      gain = fnma(get(g_.trial, j) - get(g_.x, j), gradient(j) + get(g_.sums, entry(n_, j)), gain);
    return gain;
  }

  // A hundred times what the parameters contribute, or the residuals.
  V first_radius() const {
    V parameters = zero<double>(), slopes = zero<double>();
    for (Size j = 0; j < n_; ++j) {
      const V scale = get(g_.scale, j), x = scale * get(g_.x, j);
      const V slope = select(scale > zero<double>(), gradient(j) / scale, zero<double>());
      parameters = fma(x, x, parameters);
      slopes = fma(slope, slope, slopes);
    }
    return number(100) * sqrt(max(parameters, slopes));
  }

  // Matrix and gradient in units of the columns' lengths, without what is held or has no influence.
  void scale() {
    for (Size j = 0; j < n_; ++j) {
      const V length = get(g_.scale, j), slope = gradient(j);
      M left_out = ~(get(g_.gram, entry(j, j)) > zero<double>());
      if (g_.lower != nullptr) {
        const V x = get(g_.x, j);
        const M held =
            ((x <= get(g_.lower, j)) & (slope > zero<double>())) | ((x >= get(g_.upper, j)) & (slope < zero<double>()));
        put(g_.held, j, select(held, number(1), zero<double>()));
        left_out = left_out | held;
      }
      leave_out(j, left_out, length);
      put(gradient_, j, slope * get(unit_, j));
      for (Size k = 0; k < j; ++k) put(matrix_, entry(j, k), get(g_.gram, entry(j, k)) * get(unit_, j) * get(unit_, k));
      put(matrix_, entry(j, j), select(left_out, number(1), get(g_.gram, entry(j, j)) * get(unit_, j) * get(unit_, j)));
    }
  }
  void leave_out(Size j, const M& which, const V& length) {
    put(unit_, j, select(which, zero<double>(), number(1) / length));
  }

  // Steps are as long as the radius allows: More's damping for each lane, and the steps in kept_. Lanes whose matrix is
  // singular are returned.
  // `whole`: what a step of any length would gain, by the linear model.
  M find_damping(const M& running, V& length2, V& forward2, V& damping, V& whole) {
    const V radius = load(g_.radius);
    V used = zero<double>();
    M good = factor(n_, matrix_, used, factor_);
    const M singular = running & ~good;
    if (any(singular)) {
      used = select(good, used, number(least_damping));
      factor(n_, matrix_, used, factor_);
    }
    V s = solve_lower(n_, factor_, gradient_, forward_);
    V q2 = solve_upper(n_, factor_, forward_, q_);
    V too_long = sqrt(q2) - radius;
    M done = ~running | (too_long <= number(.1) * radius);
    keep(~no_lanes<double>());
    length2 = q2;
    forward2 = whole = s;
    damping = zero<double>();
    if (all(done)) return singular;

    V slopes = zero<double>();
    for (Size j = 0; j < n_; ++j) slopes = fma(get(gradient_, j), get(gradient_, j), slopes);
    V lower = select(singular, zero<double>(), newton_change(too_long / radius, q2)), upper = sqrt(slopes) / radius;
    V trial = min(max(load(g_.damping), lower), upper);
    trial = select(trial > zero<double>(), trial, sqrt(slopes / q2));
    for (int i = 0; i < 10 && !all(done); ++i) {
      trial = max(max(trial, number(1e-3) * upper), number(least_damping));
      good = factor(n_, matrix_, trial, factor_);
      s = solve_lower(n_, factor_, gradient_, forward_);
      q2 = solve_upper(n_, factor_, forward_, q_);
      const V last = too_long;
      too_long = sqrt(q2) - radius;
      const M near = good & ((abs(too_long) <= number(.1) * radius) |
                             ((lower == zero<double>()) & (too_long <= last) & (last < zero<double>())));
      const M stops = ~done & (i == 9 ? ~no_lanes<double>() : near);
      keep(stops);
      length2 = select(stops, q2, length2);
      forward2 = select(stops, s, forward2);
      damping = select(stops, trial, damping);
      done = done | stops;
      lower = select(too_long > zero<double>(), max(lower, trial), lower);
      upper = select(too_long < zero<double>(), min(upper, trial), upper);
      trial = select(good, max(lower, trial + newton_change(too_long / radius, q2)), trial * number(10));
    }
    return singular;
  }
  void keep(const M& which) {
    for (Size j = 0; j < n_; ++j) put(kept_, j, select(which, get(q_, j), get(kept_, j)));
  }
  // Newton's method for the length as a function of the damping.
  V newton_change(const V& relative, const V& q2) { return relative * q2 / solve_lower(n_, factor_, q_, forward_); }

  // Parameters that a step would take over a bound go to the bound, and the others where it is best for them then, as
  // often as that takes others over theirs. Lanes for which there was one.
  M stay_within(const M& running, const V& damping, V& length2, V& predicted, V& slope) {
    M clamped = no_lanes<double>();
    for (Size round = 0; round < n_; ++round) {
      M crossing = no_lanes<double>();
      for (Size j = 0; j < n_; ++j) {
        const V x = get(g_.x, j), to = x + get(moved_, j), low = get(g_.lower, j), high = get(g_.upper, j);
        const M over = running & ((to < low) | (to > high));
        const V allowed = select(to < low, low - x, high - x);
        put(moved_, j, select(over, allowed, get(moved_, j)));
        put(right_, j, select(over, number(1), round == 0 ? zero<double>() : get(right_, j)));  // 1: at its bound
        crossing = crossing | over;
      }
      if (!any(crossing)) break;
      clamped = clamped | crossing;
      solve_for_others(clamped, damping);
    }
    if (any(clamped)) predict(clamped, length2, predicted, slope);
    return clamped;
  }
  // With right_ = 1 for what stands at its bound.
  void solve_for_others(const M& which, const V& damping) {
    for (Size j = 0; j < n_; ++j) {
      const M fixed = get(right_, j) != zero<double>();
      V h = get(gradient_, j);
      for (Size k = 0; k < n_; ++k) {
        const V c = get(matrix_, j >= k ? entry(j, k) : entry(k, j));
        const M other = get(right_, k) != zero<double>();
        if (j != k) h = fma(c, select(other, get(moved_, k) * get(g_.scale, k), zero<double>()), h);
        if (k < j) put(factor_, entry(j, k), select(fixed | other, zero<double>(), c));
        if (k == j) put(factor_, entry(j, k), select(fixed, number(1), c));
      }
      put(forward_, j, select(fixed, zero<double>(), h));
    }
    factor(n_, factor_, max(damping, number(least_damping)), factor_);
    solve_lower(n_, factor_, forward_, forward_);
    solve_upper(n_, factor_, forward_, q_);
    for (Size j = 0; j < n_; ++j)
      put(moved_, j, select(which & (get(right_, j) == zero<double>()), get(q_, j) * get(unit_, j), get(moved_, j)));
  }
  void predict(const M& which, V& length2, V& predicted, V& slope) {
    V down = zero<double>(), curved = zero<double>(), q2 = zero<double>();
    for (Size j = 0; j < n_; ++j) {
      const V move = get(moved_, j), q = move * get(g_.scale, j);
      q2 = fma(q, q, q2);
      down = fnma(move, gradient(j), down);
      V row = zero<double>();
      for (Size k = 0; k < n_; ++k) row = fma(get(g_.gram, j >= k ? entry(j, k) : entry(k, j)), get(moved_, k), row);
      curved = fma(move, row, curved);
    }
    length2 = select(which, q2, length2);
    slope = select(which, down, slope);
    predicted = select(which, fma(number(2), down, -curved), predicted);
  }

  // Which lanes have arrived, or cannot go on. s: what a step of any length would gain.
  void finish(const M& running, const M& singular, const M& whole, const V& s, const V& predicted, double most) {
    const V cost = get(g_.gram, corner());
    const V rounding = load(g_.data2) * number(64 * u * u);
    const M small = whole & (s <= max(cost * number(none), rounding));
    // Rounding of the slopes decides about steps that are hardly any longer.
    const M blind = refused_ & (s <= cost * number(1e-16));
    const M arrived = running & (small | blind);
    V parameters = zero<double>();
    for (Size j = 0; j < n_; ++j) {
      const V x = get(g_.x, j), q = x * get(g_.scale, j);
      parameters = fma(q, q, parameters);
      V to = x + get(moved_, j);
      put(g_.x, j, select(arrived, to, x));
    }
    const V radius = load(g_.radius);
    const M still = running & ~arrived & refused_ &
                    ((radius <= number(4 * u) * sqrt(parameters)) | (predicted <= cost * number(none)));
    const M exact = still & (cost <= load(g_.data2) * number(1e6 * u * u));
    const M over = running & (load(g_.evaluations) >= number(most));
    V state = load(g_.state);
    state = select(over, number(CurveFitState::too_many), state);
    state = select(still, number(CurveFitState::stagnated), state);
    state = select(arrived | exact, number(CurveFitState::converged), state);
    state = select((arrived | exact) & singular, number(CurveFitState::undetermined), state);
    store(g_.state, state);
  }

  const CurveFitLanes& g_;
  Size n_;
  double *matrix_, *factor_, *unit_, *gradient_, *forward_, *q_, *kept_, *moved_, *right_;
  M refused_ = no_lanes<double>();
};

inline LaneBits covariance(Size n, const double* gram, double* held, double* inverse, double* condition, double* work) {
  double *matrix = work, *l = matrix + curve_fit::triangle(n) * width, *unit = l + curve_fit::triangle(n) * width;
  V size2 = zero<double>(), inverse2 = zero<double>();
  for (Size j = 0; j < n; ++j) {
    const V diagonal = get(gram, entry(j, j));
    const M lost = (get(held, j) == zero<double>()) & (diagonal == zero<double>());
    put(held, j, select(lost, number(2), get(held, j)));
    const M mobile = (get(held, j) == zero<double>());
    put(unit, j, select(mobile, number(1) / sqrt(diagonal), zero<double>()));
    for (Size k = 0; k <= j; ++k) {
      V c = get(gram, entry(j, k)) * get(unit, j) * get(unit, k);
      if (k == j) c = select(mobile, c, number(1));
      put(matrix, entry(j, k), c);
      size2 = fma(c, k == j ? c : c + c, size2);
    }
  }
  const M good = factor(n, matrix, zero<double>(), l);
  for (Size k = 0; k < n; ++k)  // L^-1 by columns, in the place of the matrix
    for (Size j = k; j < n; ++j) {
      V x = j == k ? number(1) : zero<double>();
      for (Size m = k; m < j; ++m) x = fnma(get(l, entry(j, m)), get(matrix, entry(m, k)), x);
      put(matrix, entry(j, k), x * get(l, entry(j, j)));
    }
  for (Size j = 0; j < n; ++j)
    for (Size k = 0; k <= j; ++k) {
      V x = zero<double>();
      for (Size m = j; m < n; ++m) x = fma(get(matrix, entry(m, j)), get(matrix, entry(m, k)), x);
      inverse2 = fma(x, k == j ? x : x + x, inverse2);
      put(inverse, entry(j, k), select(good, x * get(unit, j) * get(unit, k), number(__builtin_nan(""))));
    }
  store(condition, sqrt(sqrt(size2 * inverse2)));
  return to_bitmask(~good) & 0xff;
}

}  // namespace mmlfast::MMLFAST_LEVEL::curve_fit_steps
