"""Singular value decomposition by one-sided Jacobi, one matrix at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def turn(x: Array, v: Array, p: int, q: int, tolerance: float) -> bool:
    """Make columns p and q of x orthogonal, and turn those of v along. False if they were."""
    a, b, dot = x[:, p] @ x[:, p], x[:, q] @ x[:, q], x[:, p] @ x[:, q]
    if abs(dot) <= tolerance * np.sqrt(a * b):
        return False
    tangent = 2 * dot / ((b - a) + np.copysign(np.hypot(b - a, 2 * dot), b - a))
    cosine = 1 / np.sqrt(1 + tangent**2)
    rotation = cosine * np.array([[1, tangent], [-tangent, 1]])
    for m in (x, v):
        m[:, [p, q]] = m[:, [p, q]] @ rotation
    return True


def svd(a: Array) -> tuple[Array, Array, Array]:
    """U, s, V' of an m x n matrix of full column rank, m >= n."""
    x, n = np.array(a), a.shape[1]
    v = np.eye(n, dtype=x.dtype)
    tolerance = max(len(x), 4) * np.finfo(x.dtype).eps / 2
    for _ in range(40):
        turned = [turn(x, v, p, q, tolerance) for p in range(n) for q in range(p + 1, n)]
        if not any(turned):
            break
    s = np.linalg.norm(x, axis=0)
    order = np.argsort(-s, kind="stable")
    return (x / s)[:, order], s[order], v[:, order].T


def pinv(a: Array) -> Array:
    """For full column rank."""
    u, s, vh = svd(a)
    return vh.T @ (u / s).T
