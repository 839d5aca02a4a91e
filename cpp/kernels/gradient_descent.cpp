#include "kernels/gradient_descent.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using V = vec<double>;
using M = mask<double>;

// A step has to gain this fraction of what the slope promises.
constexpr double gains = 1e-4;
// Values that differ by less than this fraction differ by rounding only.
constexpr double noise = 4 * 2.2204460492503131e-16;

MMLFAST_INLINE V of(DescentStatus status) { return broadcast(static_cast<double>(status)); }

// Whether a change of x is nothing beside the size of the variable.
MMLFAST_INLINE M is_small(const V& change, const V& x, const V& start, const V& tol) {
  return abs(change) <= tol * max(abs(x), abs(x - start));
}

// Steps are counted, and lanes end.
MMLFAST_INLINE M count(const DescentLanes& state, std::ptrdiff_t l, const M& runs, const M& steps, const M& arrived,
                       const M& lost, double max_iter) {
  const V n_iter = load(state.n_iter + l) + select(steps, broadcast(1.0), zero<double>());
  store(state.n_iter + l, n_iter);
  if (!any(runs & (arrived | lost | (n_iter >= broadcast(max_iter))))) return runs;
  V next = select(n_iter >= broadcast(max_iter), of(DescentStatus::slow), zero<double>());
  next = select(arrived, of(DescentStatus::converged), next);
  next = select(lost, of(DescentStatus::not_finite), next);
  store(state.status + l, select(runs, next, load(state.status + l)));
  return runs & (next == zero<double>());
}

std::ptrdiff_t fixed(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* gradient,
                     const DescentLanes& lanes_of, bool nesterov, double max_iter) {
  const DescentLanes state = lanes_of;  // in registers, whatever is stored
  std::ptrdiff_t n_running = 0;
  const V none = zero<double>();
  for (std::ptrdiff_t l = 0; l < lanes; l += 8) {
    const M runs = load(state.status + l) == none;
    if (!any(runs)) continue;
    const bool all_run = all(runs);
    const V rate = load(state.rate + l), momentum = load(state.momentum + l), tol = load(state.tol + l);
    M arrived = runs;
    bool may_arrive = true;
    V poison = none;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const std::ptrdiff_t e = i * lanes + l;
      const V x = load(state.x + e), v = load(state.velocity + e);
      const V down = rate * load(gradient[i] + l), step = fma(momentum, v, -down), to = x + step;
      if (may_arrive) {  // most steps end at the first variable
        const V start = load(state.start + e);
        arrived = arrived & is_small(step, to, start, tol) & is_small(down, to, start, tol);
        may_arrive = any(arrived);
      }
      poison = fma(to, none, poison);
      store(state.velocity + e, all_run ? step : select(runs, step, v));
      store(state.x + e, all_run ? to : select(runs, to, x));
      if (nesterov) store(state.at + e, select(runs, fma(momentum, step, to), load(state.at + e)));
    }
    const M lost = ~(poison == none);
    n_running += __builtin_popcount(to_bitmask(count(state, l, runs, runs, arrived, lost, max_iter)));
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
