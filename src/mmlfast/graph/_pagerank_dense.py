"""PageRank of small dense graphs, one or a stack of them, by elimination in SIMD lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core

Array = np.ndarray[Any, Any]

# From here on a sweep over the links is cheaper than an elimination.
most_dense_nodes = 64


def rank_dense(
    a: Array, damping: float, v: Array, w: Array | None, nodes: list[Any] | None
) -> tuple[Array, Any, Any, float]:
    """Scores, error bound and number of iterations of each matrix of a stack; damping < 1. `nodes` is for messages."""
    a = a.astype(np.float64, copy=False)
    w, d = v if w is None else w, np.array(damping)
    scores, bound = _core.pagerank_dense(a, v, w, d)
    worst = float(bound if bound.ndim == 0 else bound.max(initial=0.0))
    if worst != worst:  # a NaN: weights that do not do as they are, or do not do
        scores, bound = _core.pagerank_dense(_scaled(a, nodes), v, w, d)
        worst = float(bound.max(initial=0.0))
    return scores, bound, np.zeros(bound.shape, np.int64), worst


def _scaled(a: Array, nodes: list[Any] | None) -> Array:
    """The weights, checked, times powers of two that bring the largest of each row next to 1.

    Sums can then neither overflow nor lose their digits.
    """
    good = (a >= 0) & (a < np.inf)
    if not good.all():
        where = np.unravel_index(int(np.argmin(good)), a.shape)
        named = where if nodes is None else (*where[:-2], *(nodes[i] for i in where[-2:]))
        place = ", ".join(repr(i.item() if isinstance(i, np.generic) else i) for i in named)
        raise ValueError(
            f"links: the weight of the link ({place}) is {a[where]}: weights must be finite and not negative"
        )
    exponent = np.frexp(a.max(axis=-1, keepdims=True))[1]
    return np.asarray(np.ldexp(a, -exponent))
