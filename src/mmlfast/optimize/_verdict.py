"""What kind of stationary point a point under equations is: by the eigenvalues of the Hessian of the Lagrangian along
the constraints, and where there is next to no curvature by how f goes on to both sides."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast.optimize._kkt import Geometry, Point, Problem, geometry, point_at

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Curvatures that are so small beside those of the start, or of other directions, may be what is left of x**3 near 0.
FLAT = 1e-3
_MOST_LOOKED_AT = 6  # directions
_LENGTHS = (1e-3, 1e-2, 0.1)  # of the steps to both sides, beside the variables
_ACROSS = 5  # steps of Newton's method back to the constraints

ISOLATED = "an isolated point: the constraints leave no direction"
ALL_POSITIVE = "all curvatures along the constraints are positive"


class Verdict(NamedTuple):
    """What kind of stationary point it is, a sentence, and the inertia of its KKT matrix (positive, negative, zero)."""

    kind: str
    sentence: str
    inertia: tuple[int, int, int]
    g: Geometry


def verdict(problem: Problem, p: Point, multipliers: Array, d: Array) -> Verdict:
    """By curvatures, in variables times d."""
    h = np.asarray(problem.hessian(p.x, multipliers)) / d[:, np.newaxis] / d
    g = geometry(p.a, d)
    z = g.along
    if not z.shape[1]:
        return Verdict("minimum", ISOLATED, (g.rank, g.rank, problem.m - g.rank), g)
    reduced = z.T @ h @ z
    size = float(np.abs(h).max(initial=0.0))
    values, vectors = np.linalg.eigh((reduced + reduced.T) / 2)
    zero = size * (256 * problem.n * _EPS if problem.derivatives == "exact" else 1e-5)
    signs = np.where(values > zero, 1, np.where(values < -zero, -1, 0))
    positive, negative = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    inertia = (positive + g.rank, negative + g.rank, problem.n + problem.m - positive - negative - 2 * g.rank)
    flat = np.flatnonzero(np.abs(values) <= FLAT * max(size, 1.0))
    decided = ""
    if 0 < flat.size <= _MOST_LOOKED_AT and not (positive and negative):
        for i in flat:
            sides = _sides(problem, p, multipliers, d, z @ vectors[:, i])
            if sides is None:
                continue
            if sides == (1, -1) or sides == (-1, 1):
                sentence = (
                    "along the constraints there is a direction with next to no curvature in which f rises to one "
                )
                return Verdict("saddle", sentence + "side and falls to the other", inertia, g)
            # With other flat directions, one that rises does not say that all between them do.
            if flat.size == 1 or (sides[0] != signs[i] and signs[i]):
                signs[i] = sides[0]
                decided = ", or next to nothing where f goes on in the same way to both sides"
    return _by_signs(signs, decided, inertia, g)


def _by_signs(signs: Array, decided: str, inertia: tuple[int, int, int], g: Geometry) -> Verdict:
    positive, negative = int(np.sum(signs > 0)), int(np.sum(signs < 0))
    if positive == len(signs):
        return Verdict("minimum", ALL_POSITIVE + decided, inertia, g)
    if negative == len(signs):
        return Verdict("maximum", "all curvatures along the constraints are negative" + decided, inertia, g)
    if positive and negative:
        sentence = f"{negative} of {len(signs)} curvatures along the constraints are negative"
        return Verdict("saddle", sentence + decided, inertia, g)
    return Verdict("degenerate", "some curvatures along the constraints are zero to rounding", inertia, g)


def _sides(problem: Problem, p: Point, multipliers: Array, d: Array, v: Array) -> tuple[int, int] | None:
    """The signs of what f changes by to both sides along v, on the constraints and where it is stationary across v;
    None if that is rounding, or nothing is found there."""
    size = max(float(np.linalg.norm(d * p.x)), float(np.linalg.norm(d * problem.f.start))) or 1.0
    level = max(abs(p.value), abs(problem.f.first))
    for length in _LENGTHS:
        changes = [_change(problem, p, multipliers, d, v, sign * length * size) for sign in (1.0, -1.0)]
        if any(c is None for c in changes):
            return None
        found = [c for c in changes if c is not None and abs(c) > 1e-12 * level]
        if len(found) == 2:
            return (1 if found[0] > 0 else -1), (1 if found[1] > 0 else -1)
    return None


def _change(problem: Problem, p: Point, multipliers: Array, d: Array, v: Array, length: float) -> float | None:
    """By Newton's method on Lagrange's conditions with one more equation, which holds the step along v."""
    x, forces, n = p.x + length * v / d, np.append(multipliers, 0.0), problem.n
    for _ in range(_ACROSS):
        q = point_at(problem, x)
        h = np.asarray(problem.hessian(x, forces[:-1])) / d[:, np.newaxis] / d
        a = np.vstack([q.a / d, v])
        rows = np.sqrt(np.sum(a**2, axis=1))
        rows = np.where(rows > 0, rows, 1.0)
        a /= rows[:, np.newaxis]
        c = np.append(q.c, float(v @ (d * (x - p.x))) - length) / rows
        matrix = np.block([[h, -a.T], [a, np.zeros((len(a), len(a)))]])
        right = -np.concatenate([q.gradient / d - (forces * rows) @ a, c])
        if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
            return None
        step = np.linalg.lstsq(matrix, right, rcond=1e-12)[0]
        x = x + step[:n] / d
        forces = forces + step[n:] / rows
        if float(np.linalg.norm(step[:n])) <= 1e-12 * abs(length):
            break
    q = point_at(problem, x)
    away = float(np.linalg.norm(d * (x - p.x)))
    met = float(np.linalg.norm(q.c / rows[:-1])) <= 1e-6 * abs(length) ** 2 if q.is_finite else False
    return q.value - p.value if met and away <= 3 * abs(length) else None
