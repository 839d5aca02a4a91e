"""R of rows that are added to those already seen, one Householder reflection at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def absorb(r: Array, x: Array) -> Array:
    """The R factor of [r; x]; row j of R and column j of X make the reflector of column j."""
    r, x = r.copy(), x.copy()
    for j in range(len(r)):
        square = x[:, j] @ x[:, j]
        if square == 0:
            continue
        length = np.sqrt(r[j, j] ** 2 + square)
        beta = length if r[j, j] < 0 else -length
        tau, v = (beta - r[j, j]) / beta, x[:, j] / (r[j, j] - beta)
        w = tau * (r[j, j + 1 :] + v @ x[:, j + 1 :])
        r[j, j], r[j, j + 1 :] = beta, r[j, j + 1 :] - w
        x[:, j + 1 :] -= np.outer(v, w)
    return r


def r_of_rows(x: Array, rows: int = 256) -> Array:
    """R of all rows, block by block, with a diagonal that is not negative."""
    r = np.zeros((x.shape[1], x.shape[1]))
    for first in range(0, len(x), rows):
        r = absorb(r, x[first : first + rows])
    return r * np.where(np.diag(r) < 0, -1, 1)[:, None]
