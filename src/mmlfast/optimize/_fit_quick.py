"""Fits again: of a model that has been fitted, to points in the same number of plain arrays, with nothing special.

The model is known, its programs are made, and the compiled core does the rest. Whatever it is not made for it leaves to
the long way, without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.kept import kept
from mmlfast.autodiff._function import Function
from mmlfast.optimize._fit_model import EXACT, Curve
from mmlfast.optimize._fit_points import PointTape
from mmlfast.optimize._fit_result import CurveFit, Outcome
from mmlfast.optimize._fit_tape import FitTape
from mmlfast.optimize._restarts import are_steps_only_short

Array = np.ndarray[Any, Any]


_MOST_SHAPES = 64  # of one function


class QuickFit:
    """Of one model and one shape of x."""

    __slots__ = ("_core", "_curve", "_names", "_plain", "_start")

    def __init__(
        self, curve: Curve, names: tuple[str, ...], tape: PointTape | FitTape, x_shape: tuple[int, ...]
    ) -> None:
        if isinstance(tape, PointTape):
            programs = tape.values, tape.jacobian, tape.second, tape.precise
        else:
            of_all = tape.programs(None)
            programs = of_all.values, of_all.columns, of_all.second, of_all.precise
        self._core = _core.QuickFit(*programs, tape.watch.quick, x_shape, isinstance(tape, PointTape))
        self._curve, self._names = curve, names
        self._plain = None if isinstance(curve.f, Function) else curve.f
        self._start = (1.0,) * len(names)  # where SciPy starts

    def __call__(self, x: Any, y: Any, p0: Any, sigma: Any, is_absolute: bool) -> CurveFit | None:
        if p0 is None:
            p0 = self._start
        if self._plain is None:
            found = self._core(None, x, y, p0, sigma, is_absolute)
        else:
            with np.errstate(all="ignore"):
                found = self._core(self._plain, x, y, p0, sigma, is_absolute)
        # What an exact fit determines, and ends where steps only were short, are looked at more closely.
        if found is None or found[5] == 0.0 or are_steps_only_short(found[6], found[9]):
            return None
        return CurveFit(found[:2], (self, found, sigma, is_absolute))

    def outcome(self, found: Any, sigma: Any, is_absolute: bool) -> Outcome:
        _, _, residuals, factor, order, chi_squared, status, n_evaluations, n_jacobians, _ = found
        n = len(self._names)
        active = np.zeros(n, np.int8)
        r = np.frombuffer(factor).reshape(n, n).T
        factors = r, np.frombuffer(order, np.int32), active, 0.0
        return Outcome(
            self._curve,
            self._names,
            self._curve.free,
            factors,
            n,
            chi_squared,
            1.0,
            len(residuals),
            is_absolute,
            sigma,
            residuals,
            active,
            status,
            "",
            EXACT,
            n_evaluations,
            n_jacobians,
        )


@kept
def _known(f: Callable[..., Any]) -> dict[Any, QuickFit]:
    """Of a function: those for shapes of x."""
    return {}


def quick_fit(f: Callable[..., Any], x: Any) -> QuickFit | None:
    """That of f, if it has been fitted before to as many points."""
    if type(x) is not np.ndarray:
        return None
    try:
        known = _known(f)
    except TypeError:  # not hashable
        return None
    return known.get(x.shape)


def remember(curve: Curve, names: tuple[str, ...], tape: PointTape | FitTape | None, x: Array) -> None:
    """From now on the quick way is tried first."""
    if tape is None or (isinstance(tape, PointTape) and x.ndim != 1):
        return
    try:
        known = _known(curve.f)
        known[x.shape] = QuickFit(curve, names, tape, x.shape)
    except (TypeError, ValueError):  # not hashable, or no model for it
        return
    if len(known) > _MOST_SHAPES:
        known.pop(next(iter(known)), None)
