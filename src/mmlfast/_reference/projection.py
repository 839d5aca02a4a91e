"""Orthogonal projection onto the span of the columns of a basis, with the inner product <x, y> = x' metric y."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast._reference.gram_schmidt import gram_schmidt

Array = np.ndarray[Any, Any]


def factors(basis: Array, metric: Array | None = None) -> tuple[Array, Array, Array, Array]:
    """E, F, W, Q: the projection of x is E (F' x); W = Q R is the basis in coordinates where the metric is I."""
    if metric is None:
        q = gram_schmidt(basis)[0]
        return q, q, basis, q
    lower = np.linalg.cholesky(np.diag(metric) if metric.ndim == 1 else metric).astype(basis.dtype)
    w = lower.T @ basis
    q = gram_schmidt(w)[0]
    return np.linalg.solve(lower.T, q), lower @ q, w, q


def projection_matrix(basis: Array, metric: Array | None = None) -> Array:
    e, f, _, _ = factors(basis, metric)
    return e @ f.T


def project(x: Array, basis: Array, metric: Array | None = None) -> Array:
    """x is n x D, one point per row."""
    e, f, _, _ = factors(basis, metric)
    return (x @ f) @ e.T


def coordinates(x: Array, basis: Array, metric: Array | None = None) -> Array:
    """Coordinates of the projections in the (independent) basis, n x M."""
    _, f, w, q = factors(basis, metric)
    return np.linalg.solve(np.triu(q.T @ w), f.T @ x.T).T
