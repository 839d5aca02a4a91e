"""PageRank of small dense graphs, one or a stack of them, by elimination in SIMD lanes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mmlfast import _core

Array = np.ndarray[Any, Any]

# From here on a sweep over the links is cheaper than an elimination.
most_dense_nodes = 64
_UNIT = float(np.finfo(np.float64).eps) / 2


def transition(a: Array, w: Array) -> Array:
    """The matrices of the walk: rows divided by their sums, `w` for rows of zeros. Checks the weights."""
    a = a.astype(np.float64, copy=False)
    good = (a >= 0) & (a < np.inf)
    if not good.all():
        where = np.unravel_index(int(np.argmin(good)), a.shape)
        place = ", ".join(str(int(i)) for i in where)
        raise ValueError(
            f"links: the weight of the link ({place}) is {a[where]}: weights must be finite and not negative"
        )
    largest = a.max(axis=-1, keepdims=True)
    scaled = a / np.where(largest > 0, largest, 1)  # sums can neither overflow nor lose their digits
    total = scaled.sum(axis=-1, keepdims=True)
    return np.where(total > 0, scaled / np.where(total > 0, total, 1), w)


def _solve(a: Array, b: Array, damping: float) -> Array:
    if damping < 1 - 1e-9:
        return np.asarray(_core.solve(a, b))
    with warnings.catch_warnings():  # that the matrix is next to singular: the bound says it
        warnings.simplefilter("ignore")
        return np.asarray(_core.solve_nan(a, b))


def rank_dense(a: Array, damping: float, v: Array, w: Array | None) -> tuple[Array, Any, Any, float]:
    """Scores, error bound and number of iterations of each matrix of a stack; damping < 1."""
    p = transition(a, v if w is None else w)
    n = a.shape[-1]
    pt = p.swapaxes(-1, -2)
    b = np.broadcast_to((1 - damping) * v, p.shape[:-1])
    system = np.eye(n) - damping * pt
    x = np.maximum(_solve(system, b[..., None], damping)[..., 0], 0)
    total = x.sum(axis=-1, keepdims=True)
    good = (total > 0) & (total < np.inf)  # not if damping is 1 but for the last bits
    x = np.where(good, x / np.where(good, total, 1), v)
    image = b + damping * _core.matvec(pt, x)
    residual = np.abs(image - x).sum(axis=-1)
    scores = image / image.sum(axis=-1, keepdims=True)
    # Of the walk's matrix, of the products and of their sums.
    bound = np.minimum(2 * damping * residual / (1 - damping) + (n + 8) * _UNIT / (1 - damping), 2)
    return scores, bound, np.zeros(bound.shape, np.int64), float(np.max(bound, initial=0.0))
