"""Whether a matrix is that of an inner product, and its triangular root: decided once for all functions of geometry.

The matrix is scaled to a diagonal near 1 first, by powers of two, so that the units of the coordinates do not matter.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from mmlfast import _core

Array = np.ndarray[Any, Any]

FINE, NOT_FINITE, NOT_SYMMETRIC, NOT_POSITIVE = range(4)

UNIT, UNIT32 = float(np.finfo(np.float64).eps) / 2, float(np.finfo(np.float32).eps) / 2

# Matrices of so many rows are worth a look in float32 first.
LARGE = 64

# Integers of more rows than this are decided like floating-point numbers.
MOST_EXACT = 32


class Roots(NamedTuple):
    """L with L L' = a for each matrix of a stack, and why there is none; L is NaN then."""

    lower: Array  # (..., d, d), lower triangular, float64
    fault: Array  # (...), one of the names above


def triangular_root(matrix: Array) -> Array | None:
    """The root of one ordinary float64 matrix; None for what needs a closer look: `triangular_roots`."""
    d = len(matrix)
    if not d or not (matrix == matrix.T).all() or not (matrix.max() < 1e200 and matrix.diagonal().min() > 1e-200):
        return None
    try:
        if d < LARGE or not _clearly_definite(matrix):
            without = matrix.copy()
            without.reshape(-1)[:: d + 1] *= 1 - rounding(d, UNIT)
            _core.cholesky(without)
        return np.asarray(_core.cholesky(matrix))
    except LinAlgError:
        return None


def _clearly_definite(matrix: Array) -> bool:
    """Whether even the rounding of float32 leaves a matrix definite, which takes half of the time to find out."""
    diagonal = matrix.diagonal()
    if not (diagonal.max() < 1e30 and diagonal.min() > 1e-20):
        return False
    narrow = matrix.astype(np.float32)
    narrow.reshape(-1)[:: len(narrow) + 1] *= 1 - 16 * len(narrow) * UNIT32
    try:
        _core.cholesky(narrow)
    except LinAlgError:
        return False
    return True


@np.errstate(all="ignore")
def triangular_roots(given: Array, numbers: Array) -> Roots:
    """Cholesky factors of symmetric positive definite matrices, given as they are and as floating-point numbers."""
    wide = np.ascontiguousarray(numbers, dtype=np.float64)
    d = wide.shape[-1]
    if wide.size == 0:
        return Roots(wide, np.zeros(wide.shape[:-2], dtype=np.int8))
    unit = float(np.finfo(numbers.dtype).eps) / 2
    diagonal = np.diagonal(wide, axis1=-2, axis2=-1)
    half = half_exponents(diagonal)
    scaled = np.ldexp(wide, -(half[..., :, None] + half[..., None, :]))
    symmetric = (scaled + scaled.mT) / 2
    # No singular matrix within rounding: what is left of it when the rounding is taken off the diagonal is definite.
    without = symmetric.copy()
    np.einsum("...ii->...i", without)[...] *= 1 - rounding(d, unit)
    positive = (diagonal > 0).all(axis=-1) & ~np.isnan(_core.cholesky_nan(without)).any(axis=(-2, -1))
    gap = np.abs(scaled - scaled.mT).max(axis=(-2, -1))
    even = gap <= 32 * unit if given.dtype.kind not in "biu" else gap == 0
    fault = np.where(positive, np.where(even, FINE, NOT_SYMMETRIC), NOT_POSITIVE)
    if not fault.any():
        return Roots(np.ldexp(np.asarray(_core.cholesky(symmetric)), half[..., :, None]), fault)
    lower = np.ldexp(np.asarray(_core.cholesky_nan(symmetric)), half[..., :, None])
    for i in np.ndindex(fault.shape):
        if fault[i] != FINE:
            fault[i] = _second_look(given[i], scaled[i], gap[i], unit, int(fault[i]), lower[i])
    lower[fault != FINE] = np.nan
    return Roots(lower, fault)


def half_exponents(diagonal: Array) -> Array:
    """e such that ``diagonal / 4**e`` is from 1/2 to 2 where it is positive."""
    return np.asarray(np.frexp(diagonal)[1] // 2)


def rounding(d: int, unit: float) -> float:
    """What may be rounding in an eigenvalue of a matrix of `d` rows with a diagonal near 1."""
    return 64 * d * unit


def _second_look(given: Array, scaled: Array, gap: float, unit: float, fault: int, lower: Array) -> int:
    """The fault of one matrix of which the first look took none for granted. A root that is found goes to `lower`."""
    if not np.isfinite(scaled).all():
        return NOT_FINITE if not np.isfinite(given).all() else NOT_POSITIVE
    if given.dtype.kind in "biu":
        if gap > 0:
            return NOT_SYMMETRIC
        exact = exact_root(given) if len(given) <= MOST_EXACT else None
        if exact is None:
            return NOT_POSITIVE
        lower[...] = exact
        return FINE
    # An inverse that was computed is symmetric up to rounding times the condition. Its symmetric part has the digits
    # that it had: the errors are large only in directions that are long.
    values = np.asarray(_core.eigvalsh_nan((scaled + scaled.mT) / 2))
    smallest, largest = float(values[0]), float(values[-1])
    allowed = 32 * unit
    if fault == NOT_SYMMETRIC:
        allowed = max(allowed, min(rounding(len(given), unit) * largest / smallest, sqrt(smallest)))
    elif gap <= sqrt(unit):
        return NOT_POSITIVE
    return FINE if gap <= allowed else NOT_SYMMETRIC


def exact_root(a: Array) -> Array | None:
    """The triangular root of a symmetric matrix of integers, each entry rounded once or twice; None: not definite."""
    from fractions import Fraction

    n = len(a)
    rows = [[Fraction(int(value)) for value in row] for row in a]
    root = np.zeros((n, n))
    for k in range(n):
        pivot = rows[k][k]
        if pivot <= 0:
            return None
        for i in range(k, n):
            # l = row / sqrt(pivot), from its square: neither can leave the range of float64
            square = float(rows[i][k] ** 2 / pivot)
            root[i, k] = sqrt(square) if rows[i][k] >= 0 else -sqrt(square)
        for i in range(k + 1, n):
            factor = rows[i][k] / pivot
            for j in range(k + 1, i + 1):
                rows[i][j] -= factor * rows[j][k]
    return root
