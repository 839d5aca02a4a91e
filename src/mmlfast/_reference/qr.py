"""Householder QR, one matrix at a time, with LAPACK's signs."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def qr(a: Array, complete: bool = False) -> tuple[Array, Array]:
    """Q and R: reflection k maps what is left of column k to -sign(first element) times its length."""
    m, n = a.shape
    q, r = np.eye(m, dtype=a.dtype), a.copy()
    for k in range(min(m - 1, n)):
        v = r[k:, k].copy()
        if not v[1:].any():  # nothing to map to zero
            continue
        v[0] += np.copysign(np.linalg.norm(v), v[0])
        v /= np.linalg.norm(v)
        r[k:, k:] -= 2 * np.outer(v, v @ r[k:, k:])
        q[:, k:] -= 2 * np.outer(q[:, k:] @ v, v)
    rows = m if complete else min(m, n)
    return q[:, :rows], np.triu(r[:rows])
