"""Power iteration, one matrix at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def start_vector(n: int) -> Array:
    """The fixed pseudo-random start: entries in [-1/2, 1) with 24 bits, from the mixing step of splitmix64."""
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * (1.5 / 2**24) - 0.5


def power_iteration(a: Array, x0: Array, tol: float, max_iter: int) -> tuple[float, Array, float, int, bool]:
    """(value, vector, residual, n_iter, converged) of the dominant eigenpair."""
    x = x0 / np.linalg.norm(x0)
    for n_iter in range(1, max_iter + 1):
        y = a @ x
        value = x @ y
        residual = np.linalg.norm(y - value * x)
        converged = residual <= tol * abs(value)
        if converged or n_iter == max_iter:
            break
        x = y / np.linalg.norm(y)
    if x[np.argmax(np.abs(x))] < 0:
        x = -x
    return float(value), x, float(residual), n_iter, bool(converged)
