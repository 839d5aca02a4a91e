"""The lowest point of a quadratic model within a ball: by eigenvalues, or by factorisations of shifted matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.optimize._stationary_points import curvature_scales

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Up to so many variables all eigenvalues are computed.
MOST_BY_EIGENVALUES = 40


class Found(NamedTuple):
    """A step, whether it is the model's own minimum, inside of the ball, how much the model falls, and whether there is
    a direction with no curvature but rounding."""

    step: Array
    inside: bool
    predicted: float
    flat: bool = False


def scaled_model(hessian: Any, gradient: Array, before: Array, free: Array) -> tuple[Array, Any, Array]:
    """(scales, Hessian and gradient of the free variables in units of which the curvature is about one)."""
    if isinstance(hessian, np.ndarray):
        d = curvature_scales(hessian)
    else:
        d = np.sqrt(np.abs(hessian.diagonal()))
        d = np.where(d > 0, d, 0.0)
    d = np.maximum(d, 0.5 * before)
    d = np.where(d > 0, d, 1.0)
    if isinstance(hessian, np.ndarray):
        scaled: Any = hessian / d[:, np.newaxis] / d
        return (d, scaled, gradient / d) if free.all() else (d, scaled[np.ix_(free, free)], (gradient / d)[free])
    from scipy.sparse import csr_array, diags_array

    inverse = diags_array(1 / d)
    scaled = csr_array(inverse @ hessian @ inverse)
    return (d, scaled, gradient / d) if free.all() else (d, scaled[free][:, free], (gradient / d)[free])


def trust_step(h: Any, g: Array, radius: float) -> Found:
    """The step p, |p| <= radius, with the smallest g'p + p'h p / 2."""
    if not g.size or not radius:
        return Found(np.zeros_like(g), not g.any(), 0.0)
    if not isinstance(h, np.ndarray):
        return _by_factors(_SparseFactors(h), h, g, radius)
    if len(h) <= MOST_BY_EIGENVALUES:
        with np.errstate(all="ignore"):  # of directions along which nothing pulls
            values, vectors = _core.eigh(h)
            return _by_eigenvalues(values, vectors, g, radius)
    return _by_factors(_DenseFactors(h), h, g, radius)


def _by_eigenvalues(values: Array, vectors: Array, g: Array, radius: float) -> Found:
    slopes = g @ vectors
    size = max(abs(float(values[0])), abs(float(values[-1])))
    floor = len(values) * _EPS * size
    if values[0] > floor:
        parts = -slopes / values
        if (length := float(np.sqrt(parts @ parts))) <= radius:
            return Found(vectors @ parts, True, float(-0.5 * (slopes @ parts)), bool(values[0] <= 1e3 * floor))
    elif values[0] >= -floor:  # flat: without the flat directions, if nothing pulls along them
        flat = values <= floor
        parts = np.where(flat, 0.0, -slopes / np.where(flat, 1.0, values))
        pulls = np.abs(slopes[flat]).max() > 1e3 * _EPS * np.abs(slopes).max(initial=0.0) if slopes.any() else False
        if not pulls and (length := float(np.sqrt(parts @ parts))) <= radius:
            return Found(vectors @ parts, True, float(-0.5 * (slopes @ parts)), True)
    # |p(shift)| = radius, p = -slopes / (values + shift), shift > -values[0]
    least = max(0.0, -float(values[0]))
    shift = least + float(np.sqrt(slopes @ slopes)) / radius
    low = least
    for _ in range(50):
        parts = np.where(slopes == 0, 0.0, -slopes / (values + shift))
        length = float(np.sqrt(parts @ parts))
        if abs(length - radius) <= 1e-3 * radius:
            break
        if length > radius:
            low = shift
        # Newton's method for 1 / |p| = 1 / radius, which is nearly linear in the shift.
        change = float((length - radius) / radius * length**2 / np.float64(parts @ (parts / (values + shift))))
        if not np.isfinite(change):
            break
        shift = shift + change if shift + change > low else 0.5 * (low + shift)
        if shift <= least * (1 + 4 * _EPS) + 1e-300:
            break
    if values[0] < 0 and not abs(length - radius) <= 0.1 * radius:  # the hard case: along the lowest direction
        apart = values - values[0] > floor
        parts = np.where(apart, -slopes / np.where(apart, values - values[0], 1.0), 0.0)
        length = min(float(np.sqrt(parts @ parts)), radius)
        parts[0] = -np.copysign(np.sqrt(max(radius**2 - length**2, 0.0)), slopes[0])
    predicted = float(-(slopes @ parts) - 0.5 * (parts @ (values * parts)))
    return Found(vectors @ parts, False, predicted, bool(abs(values[0]) <= 1e3 * floor))


# ---- large matrices ----


class _DenseFactors:
    """h + shift I, factored; None if it is not positive definite."""

    def __init__(self, h: Array) -> None:
        self.h = h
        self.size = float(np.abs(h).sum(axis=1).max())
        self.lowest_diagonal = float(h.diagonal().min())

    def solver(self, shift: float) -> Any:
        from scipy.linalg import cho_factor, cho_solve

        try:
            factor = cho_factor(self.h + shift * np.eye(len(self.h)), lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        return lambda b: cho_solve(factor, b, check_finite=False)


class _SparseFactors:
    def __init__(self, h: Any) -> None:
        self.h = h
        self.size = float(abs(h).sum(axis=1).max())
        self.lowest_diagonal = float(h.diagonal().min())

    def solver(self, shift: float) -> Any:
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import splu

        shifted = csc_array(self.h + shift * eye_array(self.h.shape[0]))
        try:
            lu = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError:  # singular
            return None
        # Without row exchanges of its own the factorisation is L D L', and the signs in U are those of D.
        if not np.array_equal(lu.perm_r, lu.perm_c) or not np.all(lu.U.diagonal() > 0):
            return None
        return lu.solve


def _by_factors(factors: Any, h: Any, g: Array, radius: float) -> Found:
    """Moré and Sorensen's iteration: the shift for which the step has the length of the radius."""
    solve = factors.solver(0.0)
    shift, low, length = 0.0, 0.0, np.inf
    if solve is not None:
        p = -solve(g)
        length = float(np.linalg.norm(p))
        if length <= radius:
            return Found(p, True, float(-0.5 * (g @ p)))
    size = float(np.linalg.norm(g))
    high = size / radius + factors.size
    if solve is None:
        low = max(0.0, -factors.lowest_diagonal)
        shift = max(low, 1e-3 * high)
    for _ in range(60):
        solve = factors.solver(shift) if solve is None or shift else solve
        if solve is None:
            low = shift
            shift = max(float(np.sqrt(low * high)), low + 0.01 * (high - low))
            continue
        p = -solve(g)
        length = float(np.linalg.norm(p))
        if abs(length - radius) <= 0.1 * radius or (shift == 0 and length <= radius):
            break
        if length < radius:
            high = shift
            if high - low <= 1e-3 * max(high, _EPS * factors.size):  # the hard case
                p = _with_lowest(solve, h, g, p, radius)
                break
        else:
            low = shift
        change = (length - radius) / radius * length**2 / max(float(p @ solve(p)), 1e-300)
        following = shift + change
        shift = following if low < following < high else max(float(np.sqrt(low * high)), low + 0.01 * (high - low))
        if not size:
            shift = low + 1e-3 * (high - low)
    p = p * min(1.0, radius / max(float(np.linalg.norm(p)), 1e-300))
    return Found(p, False, float(-(g @ p) - 0.5 * (p @ (h @ p))))


def _with_lowest(solve: Any, h: Any, g: Array, p: Array, radius: float) -> Array:
    """p and as much of the lowest direction as there is room."""
    z = np.random.default_rng(0).standard_normal(len(g))
    for _ in range(4):
        z = solve(z)
        z /= np.linalg.norm(z)
    along = float(p @ z)
    room = float(np.sqrt(max(along**2 + radius**2 - float(p @ p), 0.0)))
    ends = [p + (-along + room) * z, p + (-along - room) * z]
    heights = [float(g @ e + 0.5 * (e @ (h @ e))) for e in ends]
    return ends[int(np.argmin(heights))]
