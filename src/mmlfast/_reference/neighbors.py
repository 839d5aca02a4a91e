"""The k nearest points of each query: all of them measured and sorted."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def neighbors(x: Array, y: Array, k: int) -> tuple[Array, Array]:
    """Distances and indices, in float64; equal distances in the order of the indices."""
    squares = np.zeros((len(x), len(y)))
    for a, b in zip(x.T.astype(np.float64), y.T.astype(np.float64), strict=True):
        squares += (a[:, None] - b) ** 2
    indices = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(squares, indices, axis=1)), indices
