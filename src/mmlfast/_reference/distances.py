"""Distances of every row of x to every row of y."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def distances(x: Array, y: Array) -> Array:
    return np.asarray(np.sqrt(((x[:, None] - y) ** 2).sum(axis=-1)))
