"""Least squares one problem at a time: the rank of columns of length one, and the solution of least norm."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, int, Array]:
    """x (n, k), rank, and the singular values of a: of unit columns, those above rcond times the largest count."""
    n = a.shape[1]
    u = float(np.finfo(a.dtype).eps) / 2
    rcond = u * (n if a.dtype.char == "f" else max(n, 16)) if rcond is None else rcond
    lengths = np.linalg.norm(a, axis=0)
    left, s, right = np.linalg.svd(a / np.where(lengths > 0, lengths, 1), full_matrices=False)
    rank = int((s > rcond * s.max(initial=0)).sum())
    # All that minimise |A x - b|, A being its first `rank` triples, solve `conditions` x = given.
    conditions = right[:rank] * lengths
    given = (left[:, :rank].T @ b) / s[:rank, None]
    q, r = np.linalg.qr(conditions.T)
    return q @ np.linalg.solve(r.T, given), rank, np.linalg.svd(a, compute_uv=False)
