"""The nearest points of each point; public as `mmlfast.geometry.knn`."""

from __future__ import annotations

from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, contiguous
from mmlfast._common.labels import labelled
from mmlfast.geometry._distances import check_name, half_squares, unit_vectors
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import check_axes, rounded, same_dtype, whiten_tables
from mmlfast.geometry._neighbors_far import neighbors_of_any_range

Array = np.ndarray[Any, Any]
ndarray = np.ndarray


class Neighbors(NamedTuple):
    """The nearest points of each query, the nearest first."""

    distances: Array
    indices: Array


def knn(X: ArrayLike, Y: ArrayLike, k: SupportsIndex, metric: ArrayLike | Mahalanobis | str | None = None) -> Neighbors:
    """The `k` nearest points in `Y` of every point in `X`, exactly.

    Parameters
    ----------
    X : array_like, shape (N, D) or (D,)
        Queries in rows, float32 or float64, or one query.
    Y : array_like, shape (M, D)
        Points in rows.
    k : int
        How many neighbours, from 1 to M.
    metric : array_like, shape (D, D) or (D,), or Mahalanobis, or {"euclidean", "sqeuclidean", "cosine"}, optional
        The matrix of an inner product, see the module, or a name as for `cdist`. Default: the Euclidean distance.

    Returns
    -------
    Neighbors
        NamedTuple of `distances` (N, k), of the dtype of the points, and `indices` (N, k) of rows of `Y`; of shape (k,)
        for one query. Among points at the same distance, the one with the smaller index comes first.

    Raises
    ------
    ValueError
        If the shapes do not fit together, `k` is out of range, a number is NaN or infinite, the metric is not
        symmetric positive definite or its name is not known, or a vector is zero, which has no cosine distance.
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

    Many queries of few dimensions (up to about six) go down a k-d tree [2]_ instead, whose boxes rule out points that
    are farther than those found already; what is left is measured as before, so the answer is the same.

    References
    ----------
    .. [1] J. Johnson, M. Douze and H. Jegou, Billion-scale similarity search with GPUs, IEEE Trans. Big Data 7 (2021).
    .. [2] J. H. Friedman, J. L. Bentley and R. A. Finkel, An algorithm for finding best matches in logarithmic expected
       time, ACM TOMS 3 (1977).

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
    if metric is None and type(X) is type(Y) is ndarray and type(k) is int:
        quick = _core.quick_neighbors(X, Y, k)
        if quick is not None:
            return Neighbors(*quick)
    elif labelled(X, Y, metric):
        check_axes("knn", None if isinstance(metric, str) else metric, X=(X, "nd", "d"), Y=(Y, "md", "d"))
    queries, points = as_float(X, "X"), as_float(Y, "Y")
    one = queries.ndim == 1
    if queries.ndim not in (1, 2):
        raise ValueError(f"knn: X must hold points in rows or be one point, got shape {queries.shape}")
    if points.ndim != 2:
        way_out = ": Y[:, None] makes points of one coordinate of it" if points.ndim == 1 else ""
        raise ValueError(f"knn: Y must hold points in rows, got shape {points.shape}{way_out}")
    if queries.shape[-1] != points.shape[1]:
        raise ValueError(
            f"knn: X has shape {queries.shape} and Y has shape {points.shape}: their last axes must be equal"
        )
    n_neighbors = as_integer(k, "knn: k")
    if not 1 <= n_neighbors <= len(points):
        raise ValueError(f"knn: k must be from 1 to the number of points, {len(points)}, got {n_neighbors}")
    if isinstance(metric, str):
        check_name("knn", metric)
    longest = max(_longest("X", queries), _longest("Y", points))
    found = nearest("knn", queries[None] if one else queries, points, n_neighbors, metric, longest)
    return Neighbors(found.distances[0], found.indices[0]) if one else found


def nearest(
    function: str,
    queries: Array,
    points: Array,
    k: int,
    metric: ArrayLike | Mahalanobis | str | None,
    longest: float | None = None,
) -> Neighbors:
    """knn of arguments that have been checked; `longest` is the length of the longest row, if it is known."""
    dtype = np.result_type(queries, points)
    name = metric if isinstance(metric, str) else "euclidean"
    if name == "cosine":
        queries, points = _directions(function, "X", queries), _directions(function, "Y", points)
    elif metric is not None and not isinstance(metric, str):
        queries, points = whiten_tables(function, metric, queries, points)
    queries, points = (contiguous(a) for a in same_dtype(queries, points))
    if points.shape[1] == 0:
        indices = np.broadcast_to(np.arange(k), (len(queries), k)).copy()
        return Neighbors(np.zeros((len(queries), k), dtype), indices)
    squared = name != "euclidean"
    if points.dtype == np.float32:  # whose squares float64 holds, whatever they are
        distances, indices = _core.neighbors(queries, points, k, squared)
    else:
        known = longest if metric is None else None
        distances, indices = neighbors_of_any_range(queries, points, k, squared, known)
    if name == "cosine":
        distances = half_squares(distances)
    return Neighbors(rounded(distances, dtype), indices)


def _directions(function: str, name: str, a: Array) -> Array:
    units = unit_vectors(a)
    if np.isnan(units).any():
        row = int(np.argmax(np.isnan(units).any(axis=1)))
        raise ValueError(
            f"{function}: {name} must not hold the zero vector, which has no cosine distance, but does in row {row}"
        )
    return units


def _longest(name: str, a: Array) -> float:
    """The length of the longest row; ValueError if a number is not finite."""
    # Lengths are finite nearly always if all numbers are, and all threads measure them.
    longest = float(_core.norm(a).max(initial=0.0))
    if longest < np.inf:
        return longest
    finite = np.isfinite(a)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"knn: {name} must not hold NaN or infinity, but does at {place if a.ndim > 1 else place[0]}")
    return longest
