"""lagrange: stationary points of a function under equations, with their multipliers and their kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_integer
from mmlfast.optimize._constraints import equations_of, take_constraints
from mmlfast.optimize._kkt import Negative, Problem, first_scales, geometry, point_at, result_at
from mmlfast.optimize._objective import as_start
from mmlfast.optimize._sqp import IRREGULAR, Stop, minimum_under
from mmlfast.optimize._verdict import verdict

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_OTHERS = 6  # starts besides the caller's
_STEPS = 60  # of the search for another point


class LagrangePoint(NamedTuple):
    """A stationary point that `lagrange` has found.

    Attributes
    ----------
    x : ndarray
    fun : float
    multipliers : ndarray
        One for each equation: the gradient of f is the sum of those of the constraints times these.
    kind : str
        "minimum", "maximum", "saddle" or "degenerate", along the constraints.
    inertia : tuple of int
        How many eigenvalues of the KKT matrix are positive, negative, zero.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import lagrange
    >>> r = lagrange(lambda v: v[0] * v[1], lambda v: v[0] + v[1] - 2, [0.5, 0.5])
    >>> r.points[0].kind, r.points[0].multipliers.round(6).tolist()
    ('maximum', [1.0])
    """

    x: Array
    fun: float
    multipliers: Array
    kind: str
    inertia: tuple[int, int, int]


def lagrange(
    f: Callable[..., Any],
    constraints: Callable[..., Any] | Sequence[Any] | Any,
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    max_iter: int = 200,
    max_points: int = 8,
) -> Any:
    """Find points where f is stationary under equations c(x) = 0, by Newton's method on the conditions of Lagrange.

    First a minimum is looked for, and a maximum; then, from the same start and from others, further points: known ones
    are divided out of the equations (deflation), so that the iteration cannot come back to them.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` gives a number, x being an array of shape (n,). Traced to exact derivatives where it can be.
    constraints : callable or sequence of callables
        ``c(x)`` gives a number, or an array of them, that have to be zero; or equations as SciPy has them (dicts of
        type "eq", constraints with two equal sides).
    x0 : array-like
        Where to start; the constraints need not hold there.
    args : tuple
        Further arguments of f.
    max_iter : int
        The most steps to the first point.
    max_points : int
        The most points to look for.

    Returns
    -------
    scipy.optimize.OptimizeResult
        x, fun, multipliers, kind of the lowest minimum that was found, or else of the first point; ``points``, all of
        them as `LagrangePoint`, the lowest first; ``constraints``, the values of c at x; success, message, nit, nfev,
        ``derivatives``.

    Notes
    -----
    The multipliers are those of ``grad f = sum of multipliers * grad c``: f at the solution changes by the multiplier
    times the level, if c(x) = level instead of 0. Where gradients of constraints depend on each other (an equation that
    is there twice), multipliers are not unique, and those of least norm are given; the message says so.

    Examples
    --------
    The largest and smallest values of x y on the unit circle:

    >>> import numpy as np
    >>> from mmlfast.optimize import lagrange
    >>> r = lagrange(lambda v: v[0] * v[1], lambda v: v[0] ** 2 + v[1] ** 2 - 1, [0.3, 0.4])
    >>> [(p.kind, round(p.fun, 9), p.multipliers.round(9).tolist()) for p in r.points]
    [('minimum', -0.5, [-0.5]), ('minimum', -0.5, [-0.5]), ('maximum', 0.5, [0.5]), ('maximum', 0.5, [0.5])]
    """
    start = as_start(x0)
    limit, most = as_integer(max_iter, "max_iter", 1), as_integer(max_points, "max_points", 1)
    taken = take_constraints(constraints, start.size)
    if not taken:
        raise ValueError("constraints is empty: minimize is for functions without any")
    for i, one in enumerate(taken):
        if not one.is_equation:
            raise ValueError(f"constraints[{i}] is an inequality: lagrange has equations, minimize takes both")
    given = equations_of(taken)
    problem = Problem(f, given, start, args)
    stop = minimum_under(problem, start, limit)
    stop = checked(problem, stop)
    points = [as_point(problem, stop)] if not stop.reason else []
    most = len(points) if stop.reason == IRREGULAR else most
    if most > len(points):
        begun = stop._replace(d=_scales(problem, stop, start))
        points += _highest(problem, given, start, args, points, limit, begun)
        points += _others(problem, start, begun, points, most)
    points.sort(key=lambda p: (p.kind != "minimum" and p.kind != "degenerate", p.fun))
    return lagrange_result(problem, stop, points)


def checked(problem: Problem, stop: Stop) -> Stop:
    """A point is stationary only if nothing of the gradient is left along the constraints."""
    if stop.reason:
        return stop
    p, d = stop.p, stop.d
    g = geometry(p.a, d)
    slope = p.gradient / d
    left = float(np.linalg.norm(g.along.T @ slope))
    size = float(np.linalg.norm(d * p.x))
    level = max(abs(p.value), abs(float(problem.f.taken.first.reshape(()))))
    if left <= 1e-6 * float(np.linalg.norm(slope)) or left * size <= 1e-6 * level:
        return stop
    return stop._replace(reason="the slope along the constraints is not zero (a kink, or no smallest value)")


def as_point(problem: Problem, stop: Stop) -> LagrangePoint:
    kind, _, inertia, _ = verdict(problem, stop.p, stop.multipliers, stop.d)
    return LagrangePoint(stop.p.x, stop.p.value, stop.multipliers, kind, inertia)


def lagrange_result(problem: Problem, stop: Stop, points: list[LagrangePoint]) -> Any:
    best = points[0] if points else None
    x = best.x if best is not None else stop.p.x
    p = point_at(problem, x)
    multipliers = best.multipliers if best is not None else stop.multipliers
    if best is None:
        message = f"not converged: {stop.reason}"
    else:
        _, sentence, _, g = verdict(problem, p, multipliers, stop.d)
        message = f"{best.kind}: {sentence}"
        if g.rank < problem.m:
            message += (
                f"; the gradients of the {problem.m} constraints depend on each other (rank {g.rank}): multipliers are "
                f"not unique, these are of least norm"
            )
    return result_at(
        problem,
        p,
        best is not None,
        f"{message}. {problem.note}".rstrip(" "),
        multipliers=multipliers,
        kind=best.kind if best is not None else "not stationary",
        points=points,
        nit=stop.n_iter,
    )


# ---- other points ----


def _scales(problem: Problem, first: Stop, start: Array) -> Array:
    """Sizes of variables: those where it ended, if that is a place. On the way to none one may have grown beyond all
    others, and no slope by it would count."""
    return first_scales(problem, point_at(problem, start)) if first.reason else first.d


def _size_of(first: Stop, start: Array) -> float:
    """Of the variables, scaled: where it started, and where it ended if that is a place."""
    size = float(np.linalg.norm(first.d * start))
    if not first.reason:
        size = max(size, float(np.linalg.norm(first.d * first.p.x)))
    return size or 1.0


def _highest(
    problem: Problem,
    constraints: list[tuple[Callable[..., Any], tuple[Any, ...], Any]],
    start: Array,
    args: tuple[Any, ...],
    known: list[LagrangePoint],
    max_iter: int,
    first: Stop,
) -> list[LagrangePoint]:
    """A maximum, as a minimum of -f."""
    turned = Problem(Negative(problem.f.taken.f), constraints, start, args)
    stop = minimum_under(turned, start, max_iter)
    if stop.reason:
        return []
    size = _size_of(first, start)
    point = _accepted(problem, stop.p.x, known, first.d, size)
    return [] if point is None else [point]


def _others(problem: Problem, start: Array, first: Stop, known: list[LagrangePoint], most: int) -> list[LagrangePoint]:
    found: list[LagrangePoint] = []
    d = first.d
    size = _size_of(first, start)
    rng = np.random.default_rng(7)
    centre = start if first.reason else first.p.x
    starts = [start, *(centre + size * rng.standard_normal(start.size) / d for _ in range(_OTHERS))]
    for x0 in starts:
        while len(known) + len(found) < most:
            point = _deflated(problem, x0, [*known, *found], d, size)
            if point is None:
                break
            found.append(point)
    return found


def _deflated(problem: Problem, x0: Array, known: list[LagrangePoint], d: Array, size: float) -> LagrangePoint | None:
    """Newton's method on the conditions, divided by the distances from the points that are known."""
    x = x0.copy()
    p = point_at(problem, x)
    if not p.is_finite:
        return None
    multipliers = geometry(p.a, d).multipliers(p.gradient / d)
    moved = np.inf
    for _ in range(_STEPS):
        step, change = _kkt_step(problem, p, multipliers, d)
        if step is None or change is None:
            return None
        length = float(np.linalg.norm(d * step))
        near = np.array([float(np.linalg.norm(d * (x - q.x))) for q in known])
        if length <= 1e-12 * size or (length <= 1e-7 * size and length >= 0.5 * moved):
            return _accepted(problem, x + step, known, d, size)
        factor = _deflation(step * d, [d * (x - q.x) for q in known], near, size)
        factor = np.sign(factor) * min(abs(factor), 2 * size / length)
        x = x + factor * step
        multipliers = multipliers + (change if abs(factor) >= 1 else abs(factor) * change)
        p = point_at(problem, x)
        if not p.is_finite:
            return None
        moved = length
    return None


def _kkt_step(problem: Problem, p: Any, multipliers: Array, d: Array) -> tuple[Array | None, Array | None]:
    """The step of x and the change of the multipliers; least squares where the system is singular."""
    n, m = problem.n, problem.m
    h = np.asarray(problem.hessian(p.x, multipliers)) / d[:, np.newaxis] / d
    a = p.a / d
    rows = np.sqrt(np.sum(a**2, axis=1))
    rows = np.where(rows > 0, rows, 1.0)
    a = a / rows[:, np.newaxis]
    matrix = np.block([[h, -a.T], [a, np.zeros((m, m))]])
    right = -np.concatenate([p.gradient / d - (multipliers * rows) @ a, p.c / rows])
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return None, None
    answer = np.linalg.lstsq(matrix, right, rcond=1e-12)[0]
    return answer[:n] / d, answer[n:] / rows


def _vanishes(problem: Problem, p: Any, d: Array, size: float) -> bool:
    """Whether a constraint has no gradient where it holds (x^2 + y^2 = 0): Lagrange's conditions say nothing there."""
    aside = point_at(problem, p.x + 0.1 * size / np.sqrt(problem.n) / d)
    if not aside.is_finite:
        return False
    here, there = (np.sqrt(np.sum((q.a / d) ** 2, axis=1)) for q in (p, aside))
    return bool((here <= 1e-6 * there).any())


def _deflation(step: Array, away: list[Array], near: Array, size: float) -> float:
    """By what the step is multiplied, for residuals times the product of 1 + (size / distance)**2."""
    if len(near) and near.min() == 0:
        return 1.0
    total = 0.0
    for v, distance in zip(away, near, strict=True):
        push = (size / distance) ** 2
        total += -2 * push / distance**2 * float(v @ step) / (1 + push)
    return 1.0 / (1.0 - total) if total != 1 else 1.0


def _accepted(problem: Problem, x: Array, known: list[LagrangePoint], d: Array, size: float) -> LagrangePoint | None:
    """Polished, if it is another point and the constraints hold there."""
    p = point_at(problem, x)
    if not p.is_finite:
        return None
    g = geometry(p.a, d)
    multipliers = g.multipliers(p.gradient / d)
    for _ in range(3):
        step, change = _kkt_step(problem, p, multipliers, d)
        if step is None or change is None:
            return None
        q = point_at(problem, p.x + step)
        if not q.is_finite:
            break
        p = q
        g = geometry(p.a, d)
        multipliers = g.multipliers(p.gradient / d)
    residual = p.gradient / d - (p.a / d).T @ multipliers
    level = 1e-7 * max(float(np.linalg.norm(p.gradient / d)), float(np.linalg.norm(multipliers @ (p.a / d))), 1e-300)
    if float(np.linalg.norm(p.c / g.rows)) > 1e-8 * size or g.rank == 0 or not p.is_finite:
        return None
    values = max(abs(p.value), abs(float(problem.f.taken.first.reshape(()))))
    extent = max(size, float(np.linalg.norm(d * p.x)))
    if float(np.linalg.norm(residual)) > level and float(np.linalg.norm(residual)) * extent > 1e-12 * values:
        return None
    if any(float(np.linalg.norm(d * (p.x - q.x))) <= 1e-5 * size for q in known):
        return None
    if _vanishes(problem, p, d, size):
        return None
    kind, _, inertia, _ = verdict(problem, p, multipliers, d)
    return LagrangePoint(p.x, p.value, multipliers, kind, inertia)
