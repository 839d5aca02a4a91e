"""Newton's method from many starts, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def newton_many(f: Callable[[Array], Array], jacobian: Callable[[Array], Array], x0: Array, max_iter: int) -> Array:
    """x0: (starts, n). The roots, NaN for a start that has found none."""
    found = np.full(x0.shape, np.nan)
    for i, start in enumerate(x0):
        x, moved = start, np.inf
        for _ in range(max_iter):
            if not np.any(f(x)):
                found[i] = x
                break
            try:
                step = np.linalg.solve(jacobian(x), f(x))
            except np.linalg.LinAlgError:
                break
            size, length = np.abs(x - step).max(), np.abs(step).max()
            if length <= 4 * np.finfo(float).eps * size or (length <= 1e-5 * size and length >= moved):
                found[i] = x - step
                break
            x, moved = x - step, length
    return found
