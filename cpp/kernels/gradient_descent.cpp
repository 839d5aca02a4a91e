#include "kernels/gradient_descent.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using V = vec<double>;
using M = mask<double>;
// A native register: what a step with a fixed rate works on fits those that there are with AVX2.
using Part = vec<double, 1>;
constexpr std::ptrdiff_t width = native_lanes<double>;

// A step has to gain this fraction of what the slope promises.
constexpr double gains = 1e-4;
// Values that differ by less than this fraction differ by rounding only.
constexpr double noise = 4 * 2.2204460492503131e-16;

template <int P>
MMLFAST_INLINE vec<double, P> take(const double* from) {
  if constexpr (P == 1)
    return {{load_part<double>(from)}};
  else
    return load(from);
}
template <int P>
MMLFAST_INLINE void put(double* to, const vec<double, P>& x) {
  if constexpr (P == 1)
    store_part(to, x.part[0]);
  else
    store(to, x);
}

template <int P>
MMLFAST_INLINE vec<double, P> of(DescentStatus status) {
  return broadcast<double, P>(static_cast<double>(status));
}

// Whether a change of x is nothing beside the size of the variable.
template <int P>
MMLFAST_INLINE mask<double, P> is_small(const vec<double, P>& change, const vec<double, P>& x,
                                        const vec<double, P>& start, const vec<double, P>& tol) {
  return abs(change) <= tol * max(abs(x), abs(x - start));
}

// Steps are counted, and lanes end.
template <int P>
MMLFAST_INLINE mask<double, P> count(const DescentLanes& state, std::ptrdiff_t l, const mask<double, P>& runs,
                                     const mask<double, P>& steps, const mask<double, P>& arrived,
                                     const mask<double, P>& lost, double max_iter) {
  const vec<double, P> limit = broadcast<double, P>(max_iter), none = zero<double, P>();
  const vec<double, P> n_iter = take<P>(state.n_iter + l) + select(steps, broadcast<double, P>(1.0), none);
  put(state.n_iter + l, n_iter);
  if (!any(runs & (arrived | lost | (n_iter >= limit)))) return runs;
  vec<double, P> next = select(n_iter >= limit, of<P>(DescentStatus::slow), none);
  next = select(arrived, of<P>(DescentStatus::converged), next);
  next = select(lost, of<P>(DescentStatus::not_finite), next);
  put(state.status + l, select(runs, next, take<P>(state.status + l)));
  return runs & (next == none);
}

std::ptrdiff_t fixed(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* gradient,
                     const DescentLanes& lanes_of, bool nesterov, double max_iter) {
  const DescentLanes state = lanes_of;  // in registers, whatever is stored
  std::ptrdiff_t n_running = 0;
  const Part none = zero<double, 1>();
  for (std::ptrdiff_t l = 0; l < lanes; l += width) {
    const mask<double, 1> runs = take<1>(state.status + l) == none;
    if (!any(runs)) continue;
    const bool all_run = all(runs);
    const Part rate = take<1>(state.rate + l), momentum = take<1>(state.momentum + l), tol = take<1>(state.tol + l);
    mask<double, 1> arrived = runs;
    bool may_arrive = true;
    Part poison = none;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::ptrdiff_t e = i * lanes + l;
      const Part x = take<1>(state.x + e), v = take<1>(state.velocity + e);
      const Part down = rate * take<1>(gradient[i] + l), step = fma(momentum, v, -down), to = x + step;
      if (may_arrive) {  // most steps end at the first variable
        const Part start = take<1>(state.start + e);
        arrived = arrived & is_small(step, to, start, tol) & is_small(down, to, start, tol);
        may_arrive = any(arrived);
      }
      poison = fma(to, none, poison);
      const Part next = all_run ? to : select(runs, to, x);
      put(state.velocity + e, all_run ? step : select(runs, step, v));
      put(state.x + e, next);
      put(state.at + e, nesterov ? fma(momentum, step, next) : next);
    }
    const mask<double, 1> lost = ~(poison == none);
    const mask<double, 1> goes_on = count(state, l, runs, runs, arrived, lost, max_iter);
    n_running += __builtin_popcount(to_bitmask(goes_on));
  }
  return n_running;
}

std::ptrdiff_t backtracking(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* results,
                            const DescentLanes& lanes_of, bool fresh, double max_iter) {
  const DescentLanes state = lanes_of;
  std::ptrdiff_t n_running = 0;
  const V none = zero<double>();
  for (std::ptrdiff_t l = 0; l < lanes; l += 8) {
    const M runs = load(state.status + l) == none;
    if (!any(runs)) continue;
    const V there = load(results[0] + l), here = load(state.value + l), tol = load(state.tol + l);
    V square = none, along = none, poison = none;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const V g = load(state.gradient + i * lanes + l), ahead = load(results[1 + i] + l);
      square = fma(g, g, square);
      along = fma(g, ahead, along);
      poison = fma(ahead, none, poison);
    }
    V rate = load(state.rate + l);
    const M level = abs(there - here) <= broadcast(noise) * abs(here);
    const M lower = there <= here - broadcast(gains) * rate * square;
    M goes = (lower | (level & (along >= broadcast(2 * gains - 1) * square))) & (poison == none);
    if (fresh) goes = none == none;
    const M lost = fresh ? ~(fma(there, none, poison) == none) : no_lanes<double>();
    rate = fresh ? rate : select(goes, rate + rate, rate * broadcast(0.5));
    M arrived = none == none;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::ptrdiff_t e = i * lanes + l;
      const V x = select(goes, load(state.at + e), load(state.x + e));
      const V g = select(goes, load(results[1 + i] + l), load(state.gradient + e)), step = rate * g;
      arrived = arrived & is_small(step, x, load(state.start + e), tol);
      store(state.x + e, select(runs, x, load(state.x + e)));
      store(state.gradient + e, select(runs, g, load(state.gradient + e)));
      store(state.at + e, x - step);
    }
    store(state.value + l, select(goes & runs, there, here));
    store(state.rate + l, select(runs, rate, load(state.rate + l)));
    const M steps = fresh ? no_lanes<double>() : runs & goes;
    n_running += __builtin_popcount(to_bitmask(count(state, l, runs, steps, arrived, lost, max_iter)));
  }
  return n_running;
}

}  // namespace

MMLFAST_DEFINE_TABLE(GradientDescent, gradient_descent, fixed, backtracking)

}  // namespace mmlfast::MMLFAST_LEVEL
