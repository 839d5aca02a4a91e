"""Gaussian elimination with partial pivoting, one matrix at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

Array = np.ndarray[Any, Any]


def factor(a: Array) -> tuple[Array, Array, float]:
    """U on and above the diagonal, multipliers below it; the order of the rows; the sign of that order."""
    u = np.array(a)
    order = np.arange(len(u))
    sign = 1.0
    for k in range(len(u)):
        p = k + int(np.argmax(np.abs(u[k:, k])))
        if u[p, k] == 0:
            raise LinAlgError("Singular matrix")
        if p != k:
            u[[k, p]] = u[[p, k]]
            order[[k, p]] = order[[p, k]]
            sign = -sign
        u[k + 1 :, k] /= u[k, k]
        u[k + 1 :, k + 1 :] -= np.outer(u[k + 1 :, k], u[k, k + 1 :])
    return u, order, sign


def solve(a: Array, b: Array) -> Array:
    """x with a @ x = b; b is n x m."""
    u, order, _ = factor(a)
    x = np.array(b)[order]
    for k in range(len(u)):
        x[k + 1 :] -= np.outer(u[k + 1 :, k], x[k])
    for k in reversed(range(len(u))):
        x[k] /= u[k, k]
        x[:k] -= np.outer(u[:k, k], x[k])
    return x


def inv(a: Array) -> Array:
    return solve(a, np.eye(len(a), dtype=a.dtype))


def slogdet(a: Array) -> tuple[float, float]:
    try:
        u, _, sign = factor(a)
    except LinAlgError:
        return 0.0, -np.inf
    diagonal = np.diag(u)
    return float(sign * np.prod(np.sign(diagonal))), float(np.sum(np.log(np.abs(diagonal))))
