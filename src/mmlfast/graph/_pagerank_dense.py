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


def _system(a: Array, damping: float, w: Array, nodes: list[Any] | None) -> Array:
    """I - damping P', where P is the matrix of the walk: rows divided by their sums, `w` for rows of zeros."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = a.sum(axis=-1)
    if not (a.min(initial=0) >= 0 and total.max(initial=0) < np.inf and total.min(initial=1, where=total > 0) > 1e-250):
        a = _scaled(a, nodes)
        total = a.sum(axis=-1)
    empty = total == 0
    matrix = a * (-damping / np.where(empty, 1, total))[..., None]
    if empty.any():
        matrix[empty] = -damping * w
    np.einsum("...ii->...i", matrix)[...] += 1
    return matrix.swapaxes(-1, -2)


def _scaled(a: Array, nodes: list[Any] | None) -> Array:
    """The weights, checked, with 1 as the largest of each row: sums can neither overflow nor lose their digits."""
    good = (a >= 0) & (a < np.inf)
    if not good.all():
        where = np.unravel_index(int(np.argmin(good)), a.shape)
        named = where if nodes is None else (*where[:-2], *(nodes[i] for i in where[-2:]))
        place = ", ".join(repr(i.item() if isinstance(i, np.generic) else i) for i in named)
        raise ValueError(
            f"links: the weight of the link ({place}) is {a[where]}: weights must be finite and not negative"
        )
    largest = a.max(axis=-1, keepdims=True)
    return np.asarray(a / np.where(largest > 0, largest, 1))


def _solve(a: Array, b: Array, damping: float) -> Array:
    if damping < 1 - 1e-9:
        return np.asarray(_core.solve(a, b))
    with warnings.catch_warnings():  # that the matrix is next to singular: the bound says it
        warnings.simplefilter("ignore")
        return np.asarray(_core.solve_nan(a, b))


def rank_dense(
    a: Array, damping: float, v: Array, w: Array | None, nodes: list[Any] | None
) -> tuple[Array, Any, Any, float]:
    """Scores, error bound and number of iterations of each matrix of a stack; damping < 1. `nodes` is for messages."""
    n = a.shape[-1]
    system = _system(a.astype(np.float64, copy=False), damping, v if w is None else w, nodes)
    b = np.broadcast_to((1 - damping) * v, a.shape[:-1])
    x = np.maximum(_solve(system, b[..., None], damping)[..., 0], 0)
    total = x.sum(axis=-1, keepdims=True)
    good = (total > 0) & (total < np.inf)  # not if damping is 1 but for the last bits
    x = np.where(good, x / np.where(good, total, 1), v)
    residual = b - _core.matvec(system, x)
    image = np.maximum(x + residual, 0)  # one more step of the power method
    scores = image / image.sum(axis=-1, keepdims=True)
    # Of the walk's matrix, of the products and of their sums.
    error = 2 * damping * np.abs(residual).sum(axis=-1) / (1 - damping)
    bound = np.minimum(error + (n + 8) * _UNIT / (1 - damping), 2)
    return scores, bound, np.zeros(bound.shape, np.int64), float(np.max(bound, initial=0.0))
