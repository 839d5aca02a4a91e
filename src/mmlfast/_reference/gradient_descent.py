"""Gradient descent with momentum, one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gradient_descent(
    gradient: Callable[[Array], Array], x: Array, rate: float, momentum: float, nesterov: bool, steps: int
) -> Array:
    """All x on the way, (steps + 1, n)."""
    path, v = [x], np.zeros_like(x)
    for _ in range(steps):
        at = x + momentum * v if nesterov else x
        v = momentum * v - rate * gradient(at)
        x = x + v
        path.append(x)
    return np.array(path)
