"""PageRank of a dense matrix of links: by elimination, and as everybody knows it, by power iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast._reference.links import walk

Array = np.ndarray[Any, Any]


def pagerank(links: Array, damping: float, personalization: Array, dangling: Array | None = None) -> Array:
    """The scores for damping < 1; the distributions have sum 1."""
    p = walk(links, personalization if dangling is None else dangling)
    return np.asarray(np.linalg.solve(np.eye(len(p)) - damping * p.T, (1 - damping) * personalization))


def pagerank_power(
    links: Array, damping: float, personalization: Array, tol: float, dangling: Array | None = None
) -> tuple[Array, float, int]:
    """(scores, error_bound, n_iter) for damping < 1: steps of the walk, until what is left to change is small."""
    p = walk(links, personalization if dangling is None else dangling)
    x, n_iter, error_bound = personalization, 0, np.inf
    while error_bound > tol:
        before, n_iter = x, n_iter + 1
        x = damping * (p.T @ x) + (1 - damping) * personalization
        error_bound = damping / (1 - damping) * float(np.abs(x - before).sum())
    return x, error_bound, n_iter


def stationary(links: Array, personalization: Array, tol: float, dangling: Array | None = None) -> Array:
    """The scores at damping 1: half steps, which do not go round in circles, from the personalization."""
    p = walk(links, personalization if dangling is None else dangling)
    x = personalization
    while np.abs(p.T @ x - x).sum() > tol:
        x = (x + p.T @ x) / 2
    return x
