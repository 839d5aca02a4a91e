"""Finite differences of functions that cannot be taped, with steps found for each variable.

A step relative to the variable is wrong by orders of magnitude for a variable far from its origin (a time stamp) or at
0. So each variable has a step of its own: differences of two widths that agree, or whose estimated errors are least.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_FIRST = 2.0**-17  # about the cube root of eps, a power of two: units of powers of two do not matter
_TRIES = 9
_RATIO = 1 / 16


class _Slope(NamedTuple):
    """A difference, how far the rounding of f may put it off, and whether f bends much within its width."""

    slope: Array
    noise: float
    is_coarse: bool


def of_owner(method: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """The method as a function that does not keep its object alive: for differences that the object keeps itself, which
    else would wait for the collector of cycles with all that they hold."""
    assert isinstance(method, MethodType)
    weak = weakref.WeakMethod(method)

    def called(x: Array) -> Any:
        owned = weak()
        assert owned is not None
        return owned(x)

    return called


class Differences:
    """Central differences of f, x (any shape) -> array, within bounds."""

    def __init__(self, f: Callable[[Array], Array], lower: Any = -np.inf, upper: Any = np.inf) -> None:
        self._f = f
        self._lower, self._upper = lower, upper
        self._steps: dict[int, tuple[float, float]] = {}  # of a variable: the step, and the size of it then

    def jacobian(self, x: Array, value: Array) -> Array:
        """(size of value, size of x): df/dx at x, where f is `value`."""
        columns = []
        for i in range(x.size):
            size = self._size(x, i)
            found, then = self._steps.get(i, (0.0, 0.0))
            if found and 0.125 * then <= size <= 8 * then:
                columns.append(self._slope(x, value, i, found).slope)
                continue
            column, step = self._best(x, value, i, size)
            self._steps[i] = step, size
            columns.append(column)
        return np.stack(columns, axis=-1) if columns else np.zeros((value.size, 0))

    def hessian(self, x: Array, value: Array) -> Array:
        """Second differences of a function that gives one number."""
        n = x.size
        x, f0, h, moved = self._beside(x, value)
        out = np.empty((n, n))
        for i in range(n):
            out[i, i] = (moved[0, i] - 2 * f0 + moved[1, i]) / h[i] ** 2
            for j in range(i):
                both = self._at(x, {i: h[i], j: h[j]}) + self._at(x, {i: -h[i], j: -h[j]})
                cross = both - moved[0, i] - moved[0, j] - moved[1, i] - moved[1, j] + 2 * f0
                out[i, j] = out[j, i] = cross / (2 * h[i] * h[j])
        return out

    def curvatures(self, x: Array, value: Array) -> Array:
        """The diagonal of that."""
        _, f0, h, moved = self._beside(x, value)
        return np.asarray((moved[0] - 2 * f0 + moved[1]) / h**2)

    def _beside(self, x: Array, value: Array) -> tuple[Array, float, Array, Array]:
        """(x, f there, steps, f at both sides of x for each variable); at a bound, x is a little inside of it."""
        n = x.size
        f0 = float(value.reshape(()))
        self.jacobian(x, value)  # for the steps
        # Second differences want wider steps than first ones: errors of f are divided by the square.
        h = np.array([64 * self._steps[i][0] for i in range(n)])
        lower, upper = (np.broadcast_to(b, x.shape).ravel() for b in (self._lower, self._upper))
        h = np.minimum(h, (upper - lower) / 2)
        centre = np.clip(x.ravel(), lower + h, upper - h).reshape(x.shape)
        if not np.array_equal(centre, x):
            x = centre
            f0 = float(self._f(x).reshape(()))
        moved = np.empty((2, n))
        for s, sign in enumerate((1.0, -1.0)):
            for i in range(n):
                moved[s, i] = self._at(x, {i: sign * h[i]})
        return x, f0, h, moved

    def _at(self, x: Array, moves: dict[int, float]) -> float:
        point = np.array(x)
        for i, move in moves.items():
            point.flat[i] += move
        return float(self._f(point).reshape(()))

    def _size(self, x: Array, i: int) -> float:
        """Of a variable at 0, that of the others."""
        return abs(float(x.flat[i])) or float(np.max(np.abs(x), initial=0.0)) or 1.0

    def _best(self, x: Array, value: Array, i: int, size: float) -> tuple[Array, float]:
        step = _FIRST * 2.0 ** np.floor(np.log2(size))
        wide = self._slope(x, value, i, step)
        for _ in range(4):  # too small to change anything?
            if wide.is_coarse or np.any(wide.slope != 0) or not np.all(np.isfinite(wide.slope)):
                break
            wider = self._slope(x, value, i, step * 256)
            if not np.all(np.isfinite(wider.slope)):
                break
            step, wide = step * 256, wider
        # What is coarse comes last: beside a narrow peak two values far away are equal as well.
        best, best_step, least = wide.slope, step, (True, np.inf)
        for _ in range(_TRIES):
            narrow = self._slope(x, value, i, step * _RATIO)
            moved = float(np.max(np.abs(narrow.slope - wide.slope), initial=0.0))
            scale = float(np.max(np.abs(narrow.slope), initial=0.0))
            # The wide step is off by what the narrow one moved, and by the rounding of f.
            error = moved + wide.noise if np.isfinite(moved) else np.inf
            if not least[0] and (error > 4 * least[1] or not np.any(narrow.slope)):
                break  # from here on it is rounding, of more than the last digit of f
            if (wide.is_coarse, error) < least:
                best, best_step, least = wide.slope, step, (wide.is_coarse, error)
            elif least[1] == np.inf and np.all(np.isfinite(narrow.slope)):
                best, best_step = narrow.slope, step * _RATIO
            if not wide.is_coarse and (error <= 1e-6 * scale + 4 * narrow.noise or narrow.noise > least[1]):
                break
            step, wide = step * _RATIO, narrow
        return best, best_step

    def _slope(self, x: Array, value: Array, i: int, step: float) -> _Slope:
        at = float(x.flat[i])
        lower, upper = (float(np.broadcast_to(b, x.shape).flat[i]) for b in (self._lower, self._upper))
        right, left = min(at + step, upper), max(at - step, lower)
        ends = []
        for end in (right, left):
            if end == at:
                ends.append(value.ravel())
                continue
            point = np.array(x)
            point.flat[i] = end
            ends.append(np.asarray(self._f(point), np.float64).ravel())
        with np.errstate(all="ignore"):
            if right - at == at - left or right == left:
                slope = (ends[0] - ends[1]) / (right - left)
            else:  # a parabola through three points, or what is left of it at a bound
                slope = _uneven(at, value.ravel(), right, ends[0], left, ends[1])
            if not np.all(np.isfinite(slope)):  # beyond where f is defined on one side
                for end, values in ((right, ends[0]), (left, ends[1])):
                    if end != at and np.all(np.isfinite(values)):
                        slope = (values - value.ravel()) / (end - at)
            noise = 2 * _EPS * float(np.max(np.abs(value), initial=0.0)) / ((right - left) or 1.0)
            first = float(np.sum(np.abs(ends[0] - ends[1])))
            second = float(np.sum(np.abs(ends[0] - 2 * value.ravel() + ends[1])))
            is_coarse = second > 0.25 * first and second > 1e-3 * float(np.sum(np.abs(value)))
        return _Slope(slope, noise, is_coarse)


def _uneven(at: float, value: Array, right: float, at_right: Array, left: float, at_left: Array) -> Array:
    if right == at:
        return np.asarray((value - at_left) / (at - left))
    if left == at:
        return np.asarray((at_right - value) / (right - at))
    a, b = right - at, at - left
    return np.asarray(((at_right - value) * b / a + (value - at_left) * a / b) / (a + b))
