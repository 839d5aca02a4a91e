"""Least squares of minimum norm, one problem at a time, by the singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, int, Array]:
    """x (n, k), rank and singular values: only those above rcond times the largest count."""
    rcond = float(np.finfo(a.dtype).eps) * max(a.shape) if rcond is None else rcond
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    rank = int((s > rcond * s.max(initial=0)).sum())
    return vt[:rank].T @ ((u[:, :rank].T @ b) / s[:rank, None]), rank, s
