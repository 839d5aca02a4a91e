"""Inner products, lengths, distances and angles of the vectors in the last axis, without care for the range."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def inner(x: Array, y: Array) -> Array:
    return np.asarray((x * y).sum(axis=-1))


def norm(x: Array) -> Array:
    return np.asarray(np.sqrt(inner(x, x)))


def distance(x: Array, y: Array) -> Array:
    return norm(x - y)


def angle(x: Array, y: Array) -> Array:
    u, v = x / norm(x)[..., None], y / norm(y)[..., None]
    return np.asarray(2 * np.arctan2(norm(u - v), norm(u + v)))
