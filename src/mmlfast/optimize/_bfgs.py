"""The BFGS method: gradients only, and a matrix that learns the curvature from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.optimize._objective import Objective

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_REASONS = (
    "",
    "max_iter={} steps were not enough",
    "no point along the direction is lower, although the gradient says so (is it right?)",
    "it is not finite at x0",
    "it has no smallest value: it is minus infinity",
)


class BfgsEnd(NamedTuple):
    """Where it ended: `inverse` approximates the inverse of the Hessian."""

    x: Array
    value: float
    gradient: Array
    inverse: Array
    converged: bool
    reason: str
    n_iter: int
    decrease: float


def bfgs_minimum(
    f: Objective, x0: Array, tol: float, max_iter: int, stepped: Callable[[Array, float], Any] | None = None
) -> BfgsEnd:
    """The smallest value near x0. A tape runs in the compiled loop; other functions are called from it."""
    x = x0.copy()
    if f.exact_tape and not f.taken.recorded.calls_python:  # type: ignore[union-attr]
        function: Any = f.taken.recorded.compiled("value, gradient").program  # type: ignore[union-attr]
        parameters = tuple(f.taken.parameters)
    else:
        function, parameters = f.value_and_gradient, ()
    noise = 4 * _EPS if f.derivatives != "finite differences" else 64 * _EPS
    gradient, inverse, end, n_iter, evaluations, value, decrease = _core.bfgs(
        function, parameters, x, first_diagonal(f, x0), tol, noise, max_iter, stepped
    )
    if parameters or function is not f.value_and_gradient:
        f.nfev += evaluations
        f.njev += evaluations
    reason = _REASONS[end].format(max_iter)
    return BfgsEnd(x, value, gradient, inverse, end == 0, reason, n_iter, decrease)


def first_diagonal(f: Objective, x: Array) -> Array:
    """The inverse Hessian to begin with: in the units of each variable, by the curvature along it; where there is none,
    a step of the size of the variable."""
    curvature = np.abs(f.diagonal(x))
    good = np.isfinite(curvature) & (curvature > 0)
    if good.all():
        return 1 / curvature
    gradient = np.abs(f.value_and_gradient(x)[1])
    size = np.where(x != 0, np.abs(x), np.max(np.abs(x), initial=0.0) or 1.0)
    with np.errstate(all="ignore"):
        other = np.where(gradient > 0, size / np.where(gradient > 0, gradient, 1.0), 1.0)
        return np.where(good, 1 / np.where(good, curvature, 1.0), other)
