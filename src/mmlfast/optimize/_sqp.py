"""Minima under equations: steps across and along the constraints within a trust region (Byrd and Omojokun)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast.optimize._kkt import Geometry, Point, Problem, first_scales, geometry, point_at
from mmlfast.optimize._stationary_points import curvature_scales
from mmlfast.optimize._trust_step import trust_step

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_NOISE = 32 * _EPS
_TOL = 4 * _EPS
_SHRINKING = 4  # steps
_NOTHING = 1e-30  # of values on the way: what is left to gain there is none
# Multipliers that have grown in so many steps do not exist.
_GROWING = 24


class Stop(NamedTuple):
    """Where it ended, and why; `reason` is empty if it is a stationary point."""

    p: Point
    multipliers: Array
    d: Array
    reason: str
    n_iter: int


class _State:
    def __init__(self, problem: Problem, x0: Array) -> None:
        self.problem = problem
        self.p = point_at(problem, x0)
        self.d = np.ones(x0.size)
        self.radius = 0.0
        self.weight = 0.0
        self.multipliers = np.zeros(problem.m)
        self.lengths: list[float] = []
        self.forces: list[float] = []  # sizes of the multipliers
        self.largest = 0.0  # of the values of f
        self.kicks = 0
        self.first_d = self.d
        self.first_rows = np.ones(problem.m)  # lengths of the gradients of the constraints at the start

    def look(self) -> tuple[Geometry, Array, Array]:
        """The geometry, the scaled gradient, and the scaled Hessian of the Lagrangian."""
        g = geometry(self.p.a, self.d)
        self.multipliers = g.multipliers(self.p.gradient / self.d)
        h = np.asarray(self.problem.hessian(self.p.x, self.multipliers))
        if np.isfinite(h).all() and np.abs(np.diagonal(h)).all():
            d = np.maximum(curvature_scales(h), np.maximum(0.3 * self.d, 0.3 * self.first_d))
            if np.any(d != self.d):
                self.radius *= float(np.max(d / self.d))
                self.d = d
                g = geometry(self.p.a, d)
                self.multipliers = g.multipliers(self.p.gradient / d)
                h = np.asarray(self.problem.hessian(self.p.x, self.multipliers))
        return g, self.p.gradient / self.d, h / self.d[:, np.newaxis] / self.d

    def violation(self, p: Point, g: Geometry) -> float:
        return float(np.linalg.norm(p.c / g.rows))


def minimum_under(
    problem: Problem, x0: Array, max_iter: int, stepped: Callable[[Array, float], Any] | None = None
) -> Stop:
    """A stationary point of f under the constraints, a minimum if the way leads to one."""
    if stepped is None and (found := problem.compiled_minimum(x0, max_iter)) is not None:
        return Stop(point_at(problem, found.x), found.multipliers, found.scales, "", found.n_iter)
    return searched_minimum(problem, x0, max_iter, stepped)


@np.errstate(all="ignore")
def searched_minimum(
    problem: Problem, x0: Array, max_iter: int, stepped: Callable[[Array, float], Any] | None = None
) -> Stop:
    """The same, where a compiled search has not come to one, or is not asked."""
    state = _State(problem, x0)
    if not state.p.is_finite:
        raise ValueError("fun, the constraints or their derivatives are not finite at x0: start elsewhere")
    state.d, first_size = first_scales(problem, state.p), 0.0
    state.first_rows, state.first_d = geometry(state.p.a, state.d).rows, state.d
    for n_iter in range(max_iter + 1):
        g, slope, h = state.look()
        if not np.isfinite(h).all():
            return _stop(state, "the second derivatives are not finite", n_iter)
        size = float(np.linalg.norm(state.d * state.p.x))
        if not state.radius:
            state.radius = size or float(np.linalg.norm(slope)) or 1.0
        first_size = first_size or max(size, state.radius)
        if not size <= 1e12 * first_size:
            return _stop(state, "it has no smallest value: x grows without end", n_iter)
        across = g.across(state.p.c)
        found = _step(state, g, slope, h, across)
        end = _ended(state, g, found, across, size)
        if end is not None:
            if end in ("", IRREGULAR) or not _kicked(state):
                return _stop(state, end, n_iter)
            continue
        if n_iter == max_iter:
            break
        if not _goes(state, g, slope, h, across, found):
            if found.newton and float(np.linalg.norm(found.y)) <= 1e-7 * max(size, 1e-300):
                return _stop(state, "", n_iter)
            met = state.violation(state.p, g) <= 1e-8 * max(size, 1e-300)
            reason = "no point nearby is better, although the derivatives say so" if met else _CONTRADICT
            return _stop(state, reason, n_iter)
        if stepped is not None:
            stepped(state.p.x, state.p.value)
    return _stop(state, f"max_iter={max_iter} steps were not enough", max_iter)


def _stop(state: _State, reason: str, n_iter: int) -> Stop:
    g = geometry(state.p.a, state.d)
    if not reason and _is_irregular(state, g):
        reason = IRREGULAR
    return Stop(state.p, g.multipliers(state.p.gradient / state.d), state.d, reason, n_iter)


_CONTRADICT = "the constraints contradict each other, or cannot be met near here"
IRREGULAR = (
    "the gradients of the constraints vanish, or depend on each other, where they hold: x is on its way there, but "
    "there are no multipliers"
)


def _is_irregular(state: _State, g: Geometry) -> bool:
    """Whether steps were halved, step by step, while multipliers grew, or gradients of constraints vanished."""
    steps, forces = np.array(state.lengths[-6:]), np.array(state.forces[-6:])
    if len(steps) < 6 or not np.all(steps > 0):
        return False
    ratios = steps[1:] / steps[:-1]
    if not np.all((ratios > 0.3) & (ratios < 0.8)):
        return False
    return bool(np.all(forces[1:] > 1.2 * forces[:-1]) or np.any(g.rows < 1e-5 * state.first_rows))


class _Step(NamedTuple):
    y: Array  # in scaled variables
    newton: bool  # whether the trust region did not matter
    predicted_f: float  # how much f falls by the model of the Lagrangian
    predicted_c: float  # how much the violation falls


def _step(state: _State, g: Geometry, slope: Array, h: Array, across: Array) -> _Step:
    length = float(np.linalg.norm(across))
    limit = 0.8 * state.radius
    normal = across if length <= limit else across * (limit / length)
    z = g.along
    along, inside = np.zeros_like(normal), True
    if z.shape[1]:
        reduced = z.T @ h @ z
        found = trust_step(
            (reduced + reduced.T) / 2,
            z.T @ (slope + h @ normal),
            float(np.sqrt(max(state.radius**2 - float(normal @ normal), 0.36 * state.radius**2))),
        )
        along, inside = z @ found.step, found.inside
    y = normal + along
    scaled = state.p.c / g.rows
    after = scaled + (state.p.a / state.d / g.rows[:, np.newaxis]) @ y
    predicted_c = float(np.linalg.norm(scaled) - np.linalg.norm(after))
    return _Step(y, inside and length <= limit, float(-(slope @ y) - 0.5 * (y @ (h @ y))), max(predicted_c, 0.0))


def _ended(state: _State, g: Geometry, step: _Step, across: Array, size: float) -> str | None:
    """An empty text at a stationary point, a reason at a dead end, None to go on."""
    x = state.p.x
    move = step.y / state.d
    length = float(np.linalg.norm(step.y))
    violated = float(np.linalg.norm(g.unreachable(state.p.c)))
    # What the rounding of x, and of sums as large as the constraints' terms, may leave.
    rounding = 64 * _EPS * (float(np.linalg.norm((np.abs(state.p.a) / state.d) @ np.abs(state.d * x) / g.rows)) + size)
    # A step that is nothing beside the largest variables may be all that equations of small ones are off by.
    terms = np.abs(state.p.a) @ np.abs(x)
    met = bool(np.all(np.abs(state.p.c) <= 64 * _EPS * terms))
    stuck = step.newton and (bool(np.all(np.abs(move) <= _TOL * np.abs(x))) or (met and length <= 1e-14 * size))
    state.largest = max(state.largest, abs(state.p.value))
    before = state.lengths[-_SHRINKING:]
    if not stuck and step.newton and len(before) == _SHRINKING and length <= 0.9 * before[0]:
        # Of x**4 each step leaves two thirds, for ever; steps that stay as long as they were are those of exp(-x).
        stuck = abs(step.predicted_f) <= _NOTHING * state.largest and state.violation(state.p, g) <= rounding
    if not stuck and step.newton and length <= 1e-7 * size:
        recent = state.lengths[-2:]
        stuck = len(recent) == 2 and length >= 0.5 * min(recent)
    if step.newton:
        state.lengths.append(length)
        state.forces.append(float(np.linalg.norm(state.multipliers)))
        forces = np.array(state.forces[-_GROWING:], np.float64)
        if len(forces) == _GROWING and np.all(forces[1:] > 1.4 * forces[:-1]):
            return IRREGULAR
    if not stuck:
        return None
    if violated > max(rounding, 1e-9 * float(np.linalg.norm(across))) and violated > 1e-12 * size:
        return _CONTRADICT
    return ""


def _kicked(state: _State) -> bool:
    """Away from a point where the constraints have no gradient, or where they are violated least: a fixed direction."""
    if state.kicks >= 3:
        return False
    state.kicks += 1
    direction = np.cos(1.7 * np.arange(1.0, state.p.x.size + 1) ** 2 + state.kicks)
    size = max(float(np.linalg.norm(state.d * state.p.x)), state.radius)
    p = point_at(state.problem, state.p.x + 10.0 ** (state.kicks - 3) * size * direction / state.d)
    if not p.is_finite:
        return False
    state.p, state.radius, state.lengths = p, size, []
    return True


def _goes(state: _State, g: Geometry, slope: Array, h: Array, across: Array, step: _Step) -> bool:
    """One step by which f and the violation together become smaller; the radius shrinks until there is one."""
    before = state.violation(state.p, g)
    for _ in range(50):
        if step.predicted_c > 0:
            needed = -step.predicted_f / (0.7 * step.predicted_c)
            if needed > state.weight:
                state.weight = 1.5 * needed
            if not state.weight and before:  # f says nothing about how it compares with the constraints
                state.weight = (abs(state.p.value) or 1.0) / before
        predicted = step.predicted_f + state.weight * step.predicted_c
        to = point_at(state.problem, state.p.x + step.y / state.d)
        length = float(np.linalg.norm(step.y))
        ratio = -np.inf
        if to.is_finite:
            ratio = _ratio(state, g, to, step, before, predicted)
            if ratio < 1e-4:  # across again, from there: the constraints are curved
                corrected = step.y + g.across(to.c)
                other = point_at(state.problem, state.p.x + corrected / state.d)
                if other.is_finite and (better := _ratio(state, g, other, step, before, predicted)) > 1e-4:
                    to, ratio = other, better
        if ratio < 0.25:
            state.radius = min(0.5 * state.radius, 0.5 * length) if ratio < 1e-4 else 0.5 * state.radius
        elif ratio > 0.75 and length > 0.7 * state.radius:
            state.radius *= 2.5
        if ratio > 1e-4:
            state.p = to
            return True
        if not length or np.array_equal(to.x, state.p.x):
            return False
        step = _step(state, g, slope, h, across)
    return False


def _ratio(state: _State, g: Geometry, to: Point, step: _Step, before: float, predicted: float) -> float:
    after = state.violation(to, g)
    fall = state.p.value - to.value
    size = max(abs(state.p.value), abs(to.value))
    if abs(fall) <= _NOISE * size:  # rounding: the slopes at both ends know better
        move = to.x - state.p.x
        fall = float(-0.5 * ((state.p.gradient + to.gradient) @ move))
    gain = fall + state.weight * (before - after)
    level = _NOISE * (size + state.weight * (before + after))
    if step.newton and predicted <= level:
        return 1.0 if gain >= -level else -1.0
    return gain / predicted if predicted > 0 else -np.inf
