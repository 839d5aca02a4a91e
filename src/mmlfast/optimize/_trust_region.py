"""Newton's method for minima: steps within a region in which the quadratic model can be trusted.

Variables are scaled by the curvature, so that neither the units of the variables nor that of f matter. Where a gain is
below the rounding of f, it is measured by the gradients at both ends, which still know it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.optimize._objective import Objective
from mmlfast.optimize._trust_step import MOST_BY_EIGENVALUES, scaled_model, trust_step

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Below this fraction of f, a difference of values is rounding.
NOISE = 16 * _EPS
# Rounds without a gain by a factor of four after which rounding has ended the iteration.
_STALE = 3
# So little is left to gain, beside f or beside its largest value, that its rounding may be what is left: sums of
# squares of terms that cancel are known to less than their own last digit.
_LITTLE, _TINY = 1e-9, 1e-24
# So many times the first size of x (or step, from 0), and steps still go on: there is no end.
_FAR = 1e30
# Along a flat direction: nothing is left to gain beside the value of so many steps before.
_NOTHING, _BEFORE = 1e-30, 60


NO_END = "it has no smallest value: x grows without end"


class End(NamedTuple):
    """Where an iteration ended, and why."""

    x: Array
    value: float
    gradient: Array
    hessian: Any
    converged: bool
    reason: str
    n_iter: int
    decrease: float
    leap: float = 0.0  # the last step beside all of the way before it


class Box:
    """Bounds, and which variables are held by them."""

    def __init__(self, lower: Array, upper: Array) -> None:
        self.lower, self.upper = lower, upper

    def into(self, x: Array) -> Array:
        return np.clip(x, self.lower, self.upper)

    def held(self, x: Array, gradient: Array) -> Array:
        return np.asarray(((x <= self.lower) & (gradient > 0)) | ((x >= self.upper) & (gradient < 0)))


class _Iteration:
    """The state of one minimisation."""

    def __init__(self, f: Objective, x: Array, box: Box | None) -> None:
        self.f, self.box = f, box
        self.start, self.leap = x, 0.0
        self.x = x if box is None else box.into(x)
        self.value, self.gradient = f.value_and_gradient(self.x)
        self.scales = np.zeros(x.size)
        self.radius = self.first_size = 0.0
        self.values = [abs(self.value)]
        self.least, self.stale = np.inf, 0
        self.hessian: Any = None

    def model(self) -> tuple[Array, Any, Array]:
        """The free variables, their Hessian and gradient, both scaled."""
        self.hessian = self.f.hessian(self.x)
        free = np.ones(self.x.size, bool) if self.box is None else ~self.box.held(self.x, self.gradient)
        self.scales, scaled, slope = scaled_model(self.hessian, self.gradient, self.scales, free)
        return free, scaled, slope

    def first_radius(self, slope: Array, free: Array) -> None:
        if not self.radius:
            size = float(np.linalg.norm((self.scales * self.x)[free]))
            self.radius = self.first_size = size if size > 0 else (float(np.linalg.norm(slope)) or 1.0)

    @property
    def is_far(self) -> bool:
        return not self.radius <= _FAR * self.first_size

    def step_of(self, free: Array, scaled_step: Array) -> Array:
        step = np.zeros(self.x.size)
        step[free] = scaled_step / self.scales[free]
        return step

    def predicted(self, step: Array) -> float:
        return float(-(self.gradient @ step) - 0.5 * (step @ (self.hessian @ step)))

    def gain(self, step: Array, value: float, gradient: Array) -> float:
        """Of values, or of slopes at both ends where rounding hides it."""
        if abs(self.value - value) > NOISE * max(abs(self.value), abs(value)):
            return self.value - value
        return float(-0.5 * ((self.gradient + gradient) @ step))

    @property
    def before(self) -> float:
        return max(self.values[-_BEFORE:])

    def rounding_ended_it(self, decrease: float) -> bool:
        """Where little is left to gain, and steps do not make it less any more."""
        if decrease > max(_LITTLE * abs(self.value), _TINY * max(self.values)):
            self.least, self.stale = np.inf, 0
            return False
        if decrease <= 0.25 * self.least:
            self.least, self.stale = decrease, 0
            return False
        self.stale += 1
        return self.stale >= (_STALE if decrease <= NOISE * abs(self.value) else 3 * _STALE)

    def ended(self, converged: bool, reason: str, n_iter: int, decrease: float) -> End:
        hessian = self.hessian if self.hessian is not None else self.f.hessian(self.x)
        return End(self.x, self.value, self.gradient, hessian, converged, reason, n_iter, decrease, self.leap)


_NOT_FINITE = 3
_REASONS = (
    "",
    "max_iter={} steps were not enough",
    "no point nearby is lower, although the derivatives say so",
    "",
    "it has no smallest value: it is minus infinity",
    "the second derivatives are not finite",
    NO_END,
)


def _compiled(
    f: Objective,
    programs: tuple[Any, Any],
    x0: Array,
    tol: float,
    max_iter: int,
    stepped: Callable[[Array, float], Any] | None,
) -> End:
    """The same in a compiled loop over tapes: what follows below says what it does."""
    x = x0.copy()
    gradient, hessian, end, n_iter, evaluations, hessians, value, decrease, leap = _core.newton_minimum(
        *programs, tuple(f.taken.parameters), x, tol, max_iter, stepped
    )
    f.nfev += evaluations
    f.njev += evaluations
    f.nhev += hessians
    if end == _NOT_FINITE:
        _check_start(f, value, gradient)
    return End(x, value, gradient, hessian, end == 0, _REASONS[end].format(max_iter), n_iter, decrease, leap)


def _check_start(f: Objective, value: float, gradient: Array) -> None:
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        raise ValueError(f"{f.taken.name} is {value} at x0, and its gradient {gradient}: start elsewhere")


def newton_minimum(
    f: Objective,
    x0: Array,
    tol: float,
    max_iter: int,
    box: Box | None = None,
    stepped: Callable[[Array, float], Any] | None = None,
) -> End:
    """The smallest value near x0."""
    if box is None and f.n <= MOST_BY_EIGENVALUES and (programs := f.small_programs()) is not None:
        return _compiled(f, programs, x0, tol, max_iter, stepped)
    state = _Iteration(f, x0, box)
    _check_start(f, state.value, state.gradient)
    n_iter, decrease = 0, np.inf
    while True:
        free, scaled, slope = state.model()
        if not np.all(
            np.isfinite(scaled.data if hasattr(scaled, "data") and not isinstance(scaled, np.ndarray) else scaled)
        ):
            return state.ended(False, "the second derivatives are not finite", n_iter, decrease)
        state.first_radius(slope, free)
        if state.is_far:
            return state.ended(False, NO_END, n_iter, decrease)
        found = trust_step(scaled, slope, state.radius)
        step = state.step_of(free, found.step)
        decrease = found.predicted
        if box is not None:
            step = box.into(state.x + step) - state.x
            decrease = state.predicted(step)
        small = bool(np.all(np.abs(step) <= tol * np.abs(state.x)))
        nothing = found.flat and decrease <= _NOTHING * state.before
        if (small and found.inside) or not step.any() or nothing:
            return state.ended(True, "", n_iter, decrease)
        if state.rounding_ended_it(decrease):
            return state.ended(True, "", n_iter, decrease)
        if n_iter >= max_iter:
            return state.ended(False, f"max_iter={max_iter} steps were not enough", n_iter, decrease)
        if not _goes(state, step, found.inside, decrease, box, (free, scaled, slope)):
            if state.value == -np.inf:
                return state.ended(False, "it has no smallest value: it is minus infinity", n_iter, decrease)
            if decrease <= 1e3 * NOISE * abs(state.value):
                return state.ended(True, "", n_iter, decrease)
            return state.ended(False, "no point nearby is lower, although the derivatives say so", n_iter, decrease)
        n_iter += 1
        state.values.append(abs(state.value))
        if stepped is not None:
            stepped(state.x, state.value)


def _goes(
    state: _Iteration,
    step: Array,
    inside: bool,
    decrease: float,
    box: Box | None,
    model: tuple[Array, Any, Array],
) -> bool:
    """One step that gains; the radius shrinks until there is one. False if there is none."""
    free, scaled, slope = model
    for _ in range(60):
        to = state.x + step
        value, gradient = state.f.value_and_gradient(to)
        length = float(np.linalg.norm((state.scales * step)[free]))
        if value == -np.inf:
            state.x, state.value = to, value
            return False
        finite = np.isfinite(value) and np.isfinite(gradient).all()
        gain = state.gain(step, value, gradient) if finite else -np.inf
        ratio = gain / decrease if decrease > 0 else -np.inf
        if ratio < 0.25:
            state.radius = 0.25 * length
        elif ratio > 0.75 and not inside:
            state.radius = 3 * state.radius
        if ratio > 1e-4:
            way = float(np.linalg.norm((state.scales * (state.x - state.start))[free]))
            state.leap = length / way if way > 0 else 0.0
            state.x, state.value, state.gradient = to, value, gradient
            return True
        if not length or np.array_equal(to, state.x):
            return False
        found = trust_step(scaled, slope, state.radius)
        step, inside, decrease = state.step_of(free, found.step), found.inside, found.predicted
        if box is not None:
            step = box.into(state.x + step) - state.x
            decrease = state.predicted(step)
    return False
