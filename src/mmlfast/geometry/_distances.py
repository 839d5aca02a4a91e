"""Distances between all points of two sets; public as `mmlfast.geometry.cdist`."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, explain
from mmlfast._common.labels import labelled
from mmlfast.geometry._inner_product import in_range
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import check_axes, rounded, whiten_tables

Array = np.ndarray[Any, Any]
ndarray = np.ndarray

NAMES = ("euclidean", "sqeuclidean", "cosine")


def cdist(X: ArrayLike, Y: ArrayLike, metric: ArrayLike | Mahalanobis | str | None = None) -> Array:
    """Distance of every point of one set to every point of another.

    Parameters
    ----------
    X : array_like, shape (..., N, D)
        Points in rows, float32 or float64.
    Y : array_like, shape (..., M, D)
        Points in rows; the leading axes broadcast with those of `X`.
    metric : array_like, shape (D, D) or (D,), or Mahalanobis, or {"euclidean", "sqeuclidean", "cosine"}, optional
        The matrix of an inner product, see the module; a `Mahalanobis` for the distances in the inverse of a
        covariance, which may be singular; or a name of SciPy. Default: the Euclidean distance.

    Returns
    -------
    ndarray, shape (..., N, M)
        Distances, of the dtype of the points; with "sqeuclidean" their squares; with "cosine" one minus the cosine of
        the angle between them, from 0 to 2, and NaN for the zero vector, which has no angle.

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
    is relative to the distances from the centre. The cosine distance is half the square of the difference of the unit
    vectors, which is right for small angles too, where of ``1 - cos`` nothing would be left.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1, on inner products.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.cdist([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0], [3.0, 0.0]])
    array([[4., 3.],
           [5., 0.]])
    """
    if (type(X) is not ndarray or type(Y) is not ndarray or metric is not None) and labelled(X, Y, metric):
        check_axes("cdist", None if isinstance(metric, str) else metric, X=(X, "nd", "d"), Y=(Y, "md", "d"))
    a, b = as_float(X, "X"), as_float(Y, "Y")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        _refuse_tables(a, b)
    dtype = np.result_type(a, b)
    loop = _core.cdist
    if isinstance(metric, str):
        check_name("cdist", metric)
        if metric != "euclidean":
            loop = _core.cdist_squared
        if metric == "cosine":
            a, b = unit_vectors(a), unit_vectors(b)
    elif metric is not None:
        try:
            a, b = whiten_tables("cdist", metric, a, b)
        except ValueError as error:
            if "broadcast" in str(error):
                explain("cdist", error, X=a, Y=b)
            raise
    try:
        answer = np.asarray(loop(a, b))
    except ValueError as error:
        explain("cdist", error, X=a, Y=b)
    return np.asarray(
        rounded(half_squares(answer) if isinstance(metric, str) and metric == "cosine" else answer, dtype)
    )


def _refuse_tables(a: Array, b: Array) -> NoReturn:
    for name, points in (("X", a), ("Y", b)):
        if points.ndim < 2:
            way_out = f": {name}[None] makes one point a table of one" if points.ndim == 1 else ""
            raise ValueError(f"cdist: {name} must hold points in rows, got shape {points.shape}{way_out}")
    raise ValueError(f"cdist: X has shape {a.shape} and Y has shape {b.shape}: their last axes must be equal")


def check_name(function: str, metric: str, names: tuple[str, ...] = NAMES) -> None:
    if metric in names:
        return
    what = f"{function}: metric must be one of {', '.join(map(repr, names))}, a symmetric positive definite matrix, a "
    if metric == "mahalanobis":
        raise ValueError(f"{what}vector of positive weights or geometry.Mahalanobis(covariance), got 'mahalanobis'")
    raise ValueError(f"{what}vector of positive weights, a Mahalanobis or None, got {metric!r}")


def unit_vectors(a: Array) -> Array:
    """Vectors of length one in float64; NaN for the zero vector."""
    a, length = in_range(a)
    with np.errstate(all="ignore"):
        return np.asarray(a / length[..., None])


@np.errstate(all="ignore")
def half_squares(squares: Array) -> Array:
    """``1 - cos`` from the squares of the differences of unit vectors, in place."""
    return np.minimum(np.multiply(squares, 0.5, out=squares), 2.0, out=squares)
