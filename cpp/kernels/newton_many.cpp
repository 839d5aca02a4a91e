#include "kernels/newton_many.hpp"

#include <utility>

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using V = vec<double>;
using M = mask<double>;

// Steps below this fraction of x count as small: one that is no smaller than the one before is rounding.
constexpr double small_step = 1e-5;
// A checkpoint is met again if x is nearer to it than this fraction of the last step.
constexpr double met_again = 1e-7;

MMLFAST_INLINE V of(NewtonStatus status) { return broadcast(static_cast<double>(status)); }

MMLFAST_INLINE M is_finite(const V& x) { return x - x == zero<double>(); }

// What lanes did in a step.
struct Step {
  M runs, arrived, stalls, flat, lost, cycles;
};

// The lanes that end, with how and when.
MMLFAST_NOINLINE void set_status(const Step& step, double* status, double* n_iter, double number) {
  V next = select(step.cycles, of(NewtonStatus::cycle), zero<double>());
  next = select(step.stalls, of(NewtonStatus::stalled), next);
  next = select(step.arrived, of(NewtonStatus::converged), next);
  next = select(step.lost, of(NewtonStatus::not_finite), next);
  next = select(step.flat, of(NewtonStatus::no_slope), next);
  const M ends = step.runs & (next > zero<double>());
  store(status, select(ends, next, load(status)));
  store(n_iter, select(ends, broadcast(number), load(n_iter)));
}

// ---- one variable ----

template <bool Bends>
std::ptrdiff_t step_of_one(std::ptrdiff_t lanes, const double* const* results, const NewtonLanes& lanes_of,
                           const NewtonStep& given) {
  const NewtonLanes state = lanes_of;  // in registers, whatever is stored
  const NewtonStep settings = given;
  std::ptrdiff_t n_running = 0;
  const V none = zero<double>(), one = broadcast(1.0), tol = broadcast(settings.tol), small = broadcast(small_step);
  for (std::ptrdiff_t l = 0; l < lanes; l += 8) {
    const M runs = load(state.status + l) == none;
    if (!any(runs)) continue;
    const V x = load(state.x + l), value = load(results[0] + l), d = load(results[1] + l),
            moved = load(state.moved + l);
    V step = value / d;
    if constexpr (Bends) {  // Halley's, unless it turns round
      const V bend = step * load(results[2] + l) / d * broadcast(0.5);
      step = select(abs(bend) < one, step / (one - bend), step);
    }
    V to = x - step, size = abs(to), length = abs(step);
    M arrived = length <= tol * size, stalls = (length <= small * size) & (length >= moved) & ~arrived;
    M flat = no_lanes<double>(), lost = ~is_finite(to), cycles = flat;
    if (any(lost)) {  // f / 0, unless f is 0 as well, is not finite
      const M root = value == none;
      flat = (d == none) & ~root;
      to = select(root, x, to);
      length = select(root, none, length);
      arrived = arrived | root;
      lost = ~(is_finite(to) | flat);
    }
    if (settings.looks_for_cycles)
      cycles = (abs(to - load(state.checkpoint + l)) <= broadcast(met_again) * length) & (length > small * size);
    if (settings.takes_checkpoint) store(state.checkpoint + l, to);
    const M ends = runs & (arrived | stalls | flat | lost | cycles);
    const V next = select(runs & ~(flat | stalls), to, x);
    store(state.x + l, next);
    store(state.moved + l, length);
    if (any(ends))
      set_status({runs, arrived, stalls, flat, lost, cycles}, state.status + l, state.n_iter + l, settings.number);
    n_running += __builtin_popcount(to_bitmask(runs & ~ends));
  }
  return n_running;
}

// ---- two variables ----

std::ptrdiff_t step_of_two(std::ptrdiff_t lanes, const double* const* results, const NewtonLanes& lanes_of,
                           const NewtonStep& given) {
  const NewtonLanes state = lanes_of;  // in registers, whatever is stored
  const NewtonStep settings = given;
  std::ptrdiff_t n_running = 0;
  const V none = zero<double>();
  for (std::ptrdiff_t l = 0; l < lanes; l += 8) {
    const M runs = load(state.status + l) == none;
    if (!any(runs)) continue;
    V x[2], step[2], to[2], j[4], value[2];
    unrolled(0, 2, [&](int i) MMLFAST_INLINE_LAMBDA {
      x[i] = load(state.x + i * lanes + l);
      value[i] = load(results[i] + l);
    });
    unrolled(0, 4, [&](int e) MMLFAST_INLINE_LAMBDA { j[e] = load(results[2 + e] + l); });
    const V det = j[0] * j[3] - j[1] * j[2];
    const M root = (value[0] == none) & (value[1] == none), flat = (det == none) & ~root;
    step[0] = select(root, none, (j[3] * value[0] - j[1] * value[1]) / det);
    step[1] = select(root, none, (j[0] * value[1] - j[2] * value[0]) / det);
    V length = none, size = none, back = none;
    M arrived = none == none, finite = arrived;
    unrolled(0, 2, [&](int i) MMLFAST_INLINE_LAMBDA {
      to[i] = x[i] - step[i];
      finite = finite & is_finite(to[i]);
      arrived = arrived & (abs(step[i]) <= broadcast(settings.tol) * abs(to[i]));
      length = max(abs(step[i]), length);
      size = max(abs(to[i]), size);
    });
    const M is_small = length <= broadcast(small_step) * size, lost = ~(finite | flat);
    const M stalls = is_small & (length >= load(state.moved + l)) & ~arrived;
    M cycles = no_lanes<double>();
    if (settings.looks_for_cycles) {
      unrolled(0, 2, [&](int i) MMLFAST_INLINE_LAMBDA {
        back = max(abs(to[i] - load(state.checkpoint + i * lanes + l)), back);
      });
      cycles = ~is_small & (back <= broadcast(met_again) * length);
    }
    const M goes = runs & ~(flat | stalls), ends = runs & (arrived | stalls | flat | lost | cycles);
    unrolled(0, 2, [&](int i) MMLFAST_INLINE_LAMBDA {
      store(state.x + i * lanes + l, select(goes, to[i], x[i]));
      if (settings.takes_checkpoint) store(state.checkpoint + i * lanes + l, to[i]);
    });
    store(state.moved + l, length);
    if (any(ends))
      set_status({runs, arrived, stalls, flat, lost, cycles}, state.status + l, state.n_iter + l, settings.number);
    n_running += __builtin_popcount(to_bitmask(runs & ~ends));
  }
  return n_running;
}

// ---- systems: a lane at a time ----

MMLFAST_INLINE double magnitude(double x) { return x < 0 ? -x : x; }

// a (n x n, row by row) and b become the solution in b. False if a pivot is zero.
bool solve(std::ptrdiff_t n, double* a, double* b) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    double largest = 0;
    for (std::ptrdiff_t j = 0; j < n; ++j)
      largest = largest < magnitude(a[i * n + j]) ? magnitude(a[i * n + j]) : largest;
    if (!(largest > 0)) return false;
    for (std::ptrdiff_t j = 0; j < n; ++j) a[i * n + j] /= largest;
    b[i] /= largest;
  }
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    std::ptrdiff_t pivot = k;
    for (std::ptrdiff_t i = k + 1; i < n; ++i)
      if (magnitude(a[i * n + k]) > magnitude(a[pivot * n + k])) pivot = i;
    if (a[pivot * n + k] == 0) return false;
    if (pivot != k) {
      for (std::ptrdiff_t j = k; j < n; ++j) std::swap(a[pivot * n + j], a[k * n + j]);
      std::swap(b[pivot], b[k]);
    }
    for (std::ptrdiff_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::ptrdiff_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (std::ptrdiff_t i = n - 1; i >= 0; --i) {
    for (std::ptrdiff_t j = i + 1; j < n; ++j) b[i] -= a[i * n + j] * b[j];
    b[i] /= a[i * n + i];
  }
  return true;
}

// What becomes of one lane; its x is changed unless it stays.
NewtonStatus step_of_lane(std::ptrdiff_t n, std::ptrdiff_t lanes, std::ptrdiff_t lane, const double* const* results,
                          double* x, double* checkpoint, double& moved, const NewtonStep& settings, double* scratch) {
  double *a = scratch, *step = scratch + n * n, *to = step + n;
  bool is_root = true;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    step[i] = results[i][lane];
    is_root = is_root && step[i] == 0;
  }
  if (is_root) return NewtonStatus::converged;
  for (std::ptrdiff_t e = 0; e < n * n; ++e) a[e] = results[n + e][lane];
  if (!solve(n, a, step)) return NewtonStatus::no_slope;
  bool is_finite = true, arrived = true;
  double length = 0, size = 0, back = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    to[i] = x[i * lanes] - step[i];
    const double s = magnitude(step[i]), t = magnitude(to[i]), c = magnitude(to[i] - checkpoint[i * lanes]);
    is_finite = is_finite && to[i] - to[i] == 0;
    arrived = arrived && s <= settings.tol * t;
    length = length < s ? s : length;
    size = size < t ? t : size;
    back = back < c ? c : back;
  }
  if (settings.takes_checkpoint)
    for (std::ptrdiff_t i = 0; i < n; ++i) checkpoint[i * lanes] = to[i];
  const bool is_small = length <= small_step * size, stalls = is_small && length >= moved && !arrived;
  moved = length;
  if (stalls) return NewtonStatus::stalled;
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i * lanes] = to[i];
  if (!is_finite) return NewtonStatus::not_finite;
  if (arrived) return NewtonStatus::converged;
  return settings.looks_for_cycles && !is_small && back <= met_again * length ? NewtonStatus::cycle
                                                                              : NewtonStatus::running;
}

std::ptrdiff_t step(std::ptrdiff_t n, std::ptrdiff_t lanes, const double* const* results, bool bends,
                    const NewtonLanes& state, const NewtonStep& settings, double* scratch) {
  if (n == 1)
    return bends ? step_of_one<true>(lanes, results, state, settings)
                 : step_of_one<false>(lanes, results, state, settings);
  if (n == 2) return step_of_two(lanes, results, state, settings);
  std::ptrdiff_t n_running = 0;
  for (std::ptrdiff_t l = 0; l < lanes; ++l) {
    if (state.status[l] != 0) continue;
    const NewtonStatus status =
        step_of_lane(n, lanes, l, results, state.x + l, state.checkpoint + l, state.moved[l], settings, scratch);
    state.status[l] = static_cast<double>(status);
    state.n_iter[l] = settings.number;
    n_running += status == NewtonStatus::running;
  }
  return n_running;
}

}  // namespace

MMLFAST_DEFINE_TABLE(NewtonMany, newton_many, step)

}  // namespace mmlfast::MMLFAST_LEVEL
