"""Distances between all points of two sets; public as `mmlfast.geometry.cdist`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_float, explain
from mmlfast._metric import whiten_tables

Array = np.ndarray[Any, Any]


def cdist(X: ArrayLike, Y: ArrayLike, metric: ArrayLike | str | None = None) -> Array:
    """Distance of every point of one set to every point of another.

    Parameters
    ----------
    X : array_like, shape (..., N, D)
        Points in rows, float32 or float64.
    Y : array_like, shape (..., M, D)
        Points in rows; the leading axes broadcast with those of `X`.
    metric : array_like, shape (D, D) or (D,), or {"euclidean", "sqeuclidean"}, optional
        The matrix of an inner product, see the module; with the inverse of a covariance these are Mahalanobis
        distances. Or one of two names of SciPy. Default: the Euclidean distance.

    Returns
    -------
    ndarray, shape (..., N, M)
        Distances, of the dtype of the points; with "sqeuclidean" their squares.

    Raises
    ------
    ValueError
        If the shapes do not fit together, the metric is not symmetric positive definite, or its name is not known.
    TypeError
        If the numbers are complex or no numbers at all.

    See Also
    --------
    distance : of points in pairs.
    knn : the nearest points without the table of distances.

    Notes
    -----
    The differences themselves are squared and added, not ``|x|**2 - 2 * x @ y + |y|**2``, of which nothing is left for
    points that are close together or far from the origin. Every distance is right to about ``sqrt(D)`` units of
    rounding, the distance of equal points is 0, and ``cdist(X, Y)`` is ``cdist(Y, X).T`` to the bit. With a matrix as
    metric, the points are brought to coordinates around a common centre in which it is the dot product; that rounding
    is relative to the distances from the centre.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.cdist([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0], [3.0, 0.0]])
    array([[4., 3.],
           [5., 0.]])
    """
    a, b = as_float(X, "X"), as_float(Y, "Y")
    for name, points in (("X", a), ("Y", b)):
        if points.ndim < 2:
            raise ValueError(f"cdist: {name} must hold points in rows, got shape {points.shape}")
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: X has shape {a.shape} and Y has shape {b.shape}: their last axes must be equal")
    dtype = np.result_type(a, b)
    loop = _core.cdist
    if isinstance(metric, str):
        if metric not in ("euclidean", "sqeuclidean"):
            raise ValueError(
                f"cdist: metric must be a symmetric positive definite matrix, a vector of weights, None, 'euclidean' "
                f"or 'sqeuclidean', got {metric!r}"
            )
        loop = _core.cdist_squared if metric == "sqeuclidean" else loop
    elif metric is not None:
        try:
            a, b = whiten_tables("cdist", metric, a, b)
        except ValueError as error:
            if "broadcast" in str(error):
                explain("cdist", error, X=a, Y=b)
            raise
    try:
        return np.asarray(loop(a, b)).astype(dtype, copy=False)
    except ValueError as error:
        explain("cdist", error, X=a, Y=b)
