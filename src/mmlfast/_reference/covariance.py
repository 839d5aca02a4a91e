"""Mean and centred second moments, block of rows by block of rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Node(NamedTuple):
    """What is left of a set of rows: total weight, mean, and the sum of w z z' over the centred rows z."""

    weight: float
    mean: Array
    m2: Array


def reduce_block(x: Array, w: Array) -> Node:
    x, w = np.asarray(x, float)[w > 0], w[w > 0]  # a row of weight 0 counts for nothing, NaN too
    if len(w) == 0:
        return Node(0.0, np.full(x.shape[1], np.nan), np.zeros((x.shape[1], x.shape[1])))
    mean = x[0] + w @ (x - x[0]) / w.sum()
    z = x - mean
    z -= w @ z / w.sum()
    return Node(float(w.sum()), mean, (w * z.T) @ z)


def merge(a: Node, b: Node) -> Node:
    """Chan, Golub and LeVeque's update."""
    if a.weight == 0 or b.weight == 0:
        return b if a.weight == 0 else a
    weight = a.weight + b.weight
    delta = b.mean - a.mean
    return Node(
        weight,
        a.mean + delta * (b.weight / weight),
        a.m2 + b.m2 + np.outer(delta, delta) * (a.weight * (b.weight / weight)),
    )


def covariance(x: Array, ddof: float = 1, weights: Array | None = None, block: int = 512) -> Array:
    w = np.ones(len(x)) if weights is None else np.asarray(weights, float)
    total = reduce_block(x[:0], w[:0])
    for first in range(0, len(x), block):
        total = merge(total, reduce_block(x[first : first + block], w[first : first + block]))
    with np.errstate(divide="ignore", invalid="ignore"):
        divisor = max(total.weight - ddof, 0.0) if total.weight > 0 else np.nan
        return total.m2 / divisor
