"""One of many fits: Levenberg and Marquardt's method as MINPACK has it, on normal equations with scaled columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

U = 2.0**-53
SINGULAR, DAMPING = 128 * U, 1e-11


class Fit(NamedTuple):
    params: Array
    cost: float  # the sum of the squared residuals
    inverse: Array  # of J'J
    status: (
        int  # 1: a minimum, 2: one that is not determined, -1: too many evaluations, -2: not finite, -3: no progress
    )
    n_evaluations: int


def is_definite(c: Array) -> bool:
    try:
        pivots = np.diagonal(np.linalg.cholesky(c)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool(np.all(pivots > SINGULAR * np.diagonal(c)))


def damped(c: Array, h: Array, damping: float) -> tuple[Array, float, float]:
    """The step q, what it gains, and how its length changes with the damping (relatively)."""
    matrix = c + damping * np.eye(len(h))
    q = -np.linalg.solve(matrix, h)
    return q, float(-h @ q), float(q @ q / (q @ np.linalg.solve(matrix, q))) if q.any() else 0.0


def find_step(c: Array, h: Array, radius: float, last_damping: float) -> tuple[Array, float, float, float]:
    """The step, its gain, its damping, and what one of any length would gain.

    It has the length of the radius, to a tenth, or is shorter and not damped."""
    singular = not is_definite(c)
    q, gain, change = damped(c, h, DAMPING if singular else 0.0)
    too_long, whole = float(np.linalg.norm(q)) - radius, gain
    if too_long <= 0.1 * radius:
        return q, gain, 0.0, whole
    lower, upper = (0.0 if singular else too_long / radius * change), float(np.linalg.norm(h)) / radius
    damping = min(max(last_damping, lower), upper) or float(np.linalg.norm(h) / np.linalg.norm(q))
    for _ in range(10):
        damping = max(damping, 1e-3 * upper, DAMPING)
        q, gain, change = damped(c, h, damping)
        too_long = float(np.linalg.norm(q)) - radius
        if abs(too_long) <= 0.1 * radius:
            break
        lower, upper = (max(lower, damping), upper) if too_long > 0 else (lower, min(upper, damping))
        damping = max(lower, damping + too_long / radius * change)
    return q, gain, damping, whole


def curve_fit_one(
    values_and_slopes: Callable[[Array], tuple[Array, Array]], y: Array, p0: Array, most_evaluations: int = 1000
) -> Fit:
    """Without bounds. values_and_slopes(p) -> (n,), (n, p)."""

    def evaluate(p: Array) -> tuple[float, Array, Array]:
        values, slopes = values_and_slopes(p)
        r = values - y
        return float(r @ r), slopes.T @ r, slopes.T @ slopes

    p = np.array(p0, np.float64)
    cost, gradient, normal = evaluate(p)
    evaluations, status, data = 1, 0, float(y @ y)
    if not (np.isfinite(cost) and np.isfinite(normal).all()):
        return Fit(p, cost, np.full_like(normal, np.nan), -2, 1)
    scale = np.sqrt(np.diagonal(normal))
    safe = np.where(scale > 0, scale, 1)
    radius = 100 * max(float(np.linalg.norm(scale * p)), float(np.linalg.norm(gradient / safe)))
    damping, first, refused = 0.0, True, False
    while status == 0:
        unit = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0)
        c = normal * unit[:, None] * unit + np.diag(np.where(scale > 0, 0.0, 1.0))
        h = gradient * unit
        q, gain, damping, whole = find_step(c, h, radius, damping)
        length = float(np.linalg.norm(q))
        if whole <= max(1e-20 * cost, 64 * U**2 * data) or (refused and whole <= 1e-16 * cost):
            p, status = p + q * unit, 1 if is_definite(c) else 2
            break
        if refused and (radius <= 4 * U * float(np.linalg.norm(scale * p)) or gain <= 1e-20 * cost):
            status = 1 if cost <= 1e6 * U**2 * data else -3
            break
        if evaluations >= most_evaluations:
            status = -1
            break
        if first:
            radius = min(radius, length)
        trial = p + q * unit
        new_cost, new_gradient, new_normal = evaluate(trial)
        evaluations += 1
        finite = bool(np.isfinite(new_cost) and np.isfinite(new_normal).all())
        predicted, actual = gain + damping * length**2, cost - new_cost if finite else -np.inf
        if predicted <= 1e-6 * cost and finite:  # what is lost in the rounding of the sums, slopes still tell
            actual = -float((trial - p) @ (gradient + new_gradient))
        ratio = actual / predicted
        if not ratio > 0.25:
            shrink = 0.5 if actual >= 0 else 0.5 * gain / (gain - 0.5 * actual)
            shrink = shrink if finite and new_cost < 100 * cost and shrink >= 0.1 else 0.1
            radius, damping = shrink * min(radius, 10 * length), damping / shrink
        elif damping == 0 or ratio >= 0.75:
            radius, damping = 2 * length, 0.5 * damping
        refused = not ratio > 1e-4
        if not refused:
            p, cost, gradient, normal, first = trial, new_cost, new_gradient, new_normal, False
            scale = np.maximum(scale, np.sqrt(np.diagonal(normal)))
    return Fit(p, cost, np.linalg.pinv(normal), status, evaluations)
