"""Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations, one matrix at a time.

Not the algorithm of the kernel (reflections and QL), but the one that is easiest to believe.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def eigh(a: Array, upper: bool = False) -> tuple[Array, Array]:
    """Values in ascending order and vectors as columns, from the lower triangle of `a`, or the upper one."""
    triangle = np.triu(a) if upper else np.tril(a)
    d = triangle + triangle.T - np.diag(np.diag(a))
    n, v = len(d), np.eye(len(d), dtype=d.dtype)
    for _ in range(30):
        if np.abs(d - np.diag(np.diag(d))).max(initial=0) <= np.finfo(d.dtype).eps * np.abs(d).max(initial=0) / 4:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                angle = np.arctan2(2 * d[p, q], d[q, q] - d[p, p]) / 2
                if abs(angle) > np.pi / 4:
                    angle -= np.copysign(np.pi / 2, angle)
                c, s = np.cos(angle).astype(d.dtype), np.sin(angle).astype(d.dtype)
                turn = np.eye(n, dtype=d.dtype)
                turn[[p, p, q, q], [p, q, p, q]] = c, s, -s, c
                d, v = turn.T @ d @ turn, v @ turn
    order = np.argsort(np.diag(d))
    return np.diag(d)[order], v[:, order]
