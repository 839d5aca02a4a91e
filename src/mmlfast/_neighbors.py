"""The nearest points of each point; public as `mmlfast.geometry.knn`."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_float
from mmlfast._metric import same_dtype, whiten_tables

Array = np.ndarray[Any, Any]


class Neighbors(NamedTuple):
    """The nearest points of each query, the nearest first."""

    distances: Array
    indices: Array


def knn(X: ArrayLike, Y: ArrayLike, k: SupportsIndex, metric: ArrayLike | None = None) -> Neighbors:
    """The `k` nearest points in `Y` of every point in `X`, exactly.

    Parameters
    ----------
    X : array_like, shape (N, D)
        Queries in rows, float32 or float64.
    Y : array_like, shape (M, D)
        Points in rows.
    k : int
        How many neighbours, from 1 to M.
    metric : array_like, shape (D, D) or (D,), optional
        The matrix of an inner product, see the module. Default: the Euclidean distance.

    Returns
    -------
    Neighbors
        NamedTuple of `distances` (N, k), of the dtype of the points, and `indices` (N, k) of rows of `Y`. Among points
        at the same distance, the one with the smaller index comes first.

    Raises
    ------
    ValueError
        If the shapes do not fit together, `k` is out of range, a number is NaN or infinite, or the metric is not
        symmetric positive definite.
    TypeError
        If the numbers are complex or no numbers at all.

    See Also
    --------
    NearestNeighbors : the same with scikit-learn's interface.
    cdist : all distances.

    Notes
    -----
    Every point is compared with every query: points as 16-bit integers around a common centre, whose products are exact
    and twice as fast as those of float32. What the rounding to integers cannot rule out, by the triangle inequality, is
    measured by differences in float64. So the answer is that of measuring all, for near duplicates and far from the
    origin too, and does not change if all points are moved (where that is exact) or columns of zeros are added.

    References
    ----------
    .. [1] J. Johnson, M. Douze and H. Jegou, Billion-scale similarity search with GPUs, IEEE Trans. Big Data 7 (2021).

    Examples
    --------
    >>> import mmlfast as mf
    >>> points = [[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]]
    >>> distances, indices = mf.geometry.knn([[0.0, 1.0]], points, 2)
    >>> indices
    array([[0, 1]])
    >>> distances
    array([[1.        , 1.41421356]])
    """
    queries, points = as_float(X, "X"), as_float(Y, "Y")
    for name, a in (("X", queries), ("Y", points)):
        if a.ndim != 2:
            raise ValueError(f"knn: {name} must hold points in rows, got shape {a.shape}")
    if queries.shape[1] != points.shape[1]:
        raise ValueError(
            f"knn: X has shape {queries.shape} and Y has shape {points.shape}: their last axes must be equal"
        )
    n_neighbors = operator.index(k)
    if not 1 <= n_neighbors <= len(points):
        raise ValueError(f"knn: k must be from 1 to the number of points, {len(points)}, got {n_neighbors}")
    for name, a in (("X", queries), ("Y", points)):
        _check_finite(name, a)
    return nearest(queries, points, n_neighbors, metric)


def nearest(queries: Array, points: Array, k: int, metric: ArrayLike | None) -> Neighbors:
    """knn of arguments that have been checked."""
    dtype = np.result_type(queries, points)
    if metric is not None:
        queries, points = whiten_tables("knn", metric, queries, points)
    queries, points = (np.require(a, requirements=["C", "A"]) for a in same_dtype(queries, points))
    if points.shape[1] == 0:
        indices = np.broadcast_to(np.arange(k), (len(queries), k)).copy()
        return Neighbors(np.zeros((len(queries), k), dtype), indices)
    exponent = _exponent(queries, points)
    if exponent:
        queries, points = np.ldexp(queries, -exponent), np.ldexp(points, -exponent)
    distances, indices = _core.neighbors(queries, points, k)
    if exponent:
        distances = np.ldexp(distances, exponent)
    return Neighbors(distances.astype(dtype, copy=False), indices)


def _check_finite(name: str, a: Array) -> None:
    # Lengths are finite nearly always if all numbers are, and all threads measure them.
    if np.isfinite(_core.norm(a)).all():
        return
    finite = np.isfinite(a)
    if not finite.all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"knn: {name} must not hold NaN or infinity, but does at ({row}, {column})")


def _exponent(*arrays: Array) -> int:
    """A power of two that brings float64 numbers to where their squares are in range; 0 as a rule."""
    if arrays[0].dtype != np.float64:
        return 0
    largest = max((max(a.max(), -a.min()) for a in arrays if a.size), default=0.0)
    return 0 if largest == 0 or 1e-100 < largest < 1e140 else int(np.frexp(largest)[1])
