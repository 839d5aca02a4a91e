"""The BFGS method with backtracking, in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def updated(b: Array, s: Array, y: Array) -> Array:
    """The inverse Hessian that takes y to s, nearest to b."""
    rho = 1 / (s @ y)
    q = b @ y
    return np.asarray(b + (1 + y @ q * rho) * rho * np.outer(s, s) - rho * (np.outer(q, s) + np.outer(s, q)))


def bfgs(f: Callable[[Array], tuple[float, Array]], x: Array, max_iter: int) -> Array:
    """f gives value and gradient."""
    b = np.eye(len(x))
    value, g = f(x)
    for _ in range(max_iter):
        p, t = -b @ g, 1.0
        while f(x + t * p)[0] > value + 1e-4 * t * (g @ p) and t > 1e-20:
            t /= 2
        s = t * p
        value, after = f(x + s)
        y = after - g
        if not s @ y > 0:
            break
        x, g, b = x + s, after, updated(b, s, y)
    return x
