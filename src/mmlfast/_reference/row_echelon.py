"""Row echelon form by elimination with row-scaled partial pivoting, one matrix at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def row_echelon(a: Array, tol: float, reduced: bool = True) -> tuple[Array, tuple[int, ...], float]:
    """The form, the columns of its pivots, and the smallest accepted over the largest rejected ratio."""
    unit = np.frexp(np.abs(a).max(axis=0, initial=0))[1]
    u = np.ldexp(a, -unit)
    size = np.abs(u).max(axis=1, initial=0)
    size[size == 0] = 1
    pivots: list[int] = []
    accepted, rejected = np.inf, 0.0
    for j in range(u.shape[1]):
        r = len(pivots)
        ratios = np.abs(u[r:, j]) / size[r:]
        if ratios.max(initial=0) <= tol:
            rejected = max(rejected, float(ratios.max(initial=0)))
            u[r:, j] = 0
            continue
        accepted = min(accepted, float(ratios.max()))
        best = r + int(np.argmax(ratios))
        u[[r, best]], size[[r, best]] = u[[best, r]], size[[best, r]]
        factors = u[r + 1 :, j] / u[r, j]
        u[r + 1 :] -= np.outer(factors, u[r])
        u[r + 1 :, j] = 0
        size[r + 1 :] += np.abs(factors) * np.abs(u[r]).max()
        pivots.append(j)
    if reduced:
        for t, j in reversed(list(enumerate(pivots))):
            u[t] /= u[t, j]
            u[:t] -= np.outer(u[:t, j], u[t])
            u[:t, j] = 0
        u[: len(pivots)] = np.ldexp(u[: len(pivots)], -unit[pivots][:, None])
    return np.ldexp(u, unit), tuple(pivots), accepted / rejected if rejected else np.inf
