"""Orthogonal projections; public as `project`, `projection_matrix`, `reconstruction_error` of `mmlfast.geometry`."""

from __future__ import annotations

from math import frexp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, check_errors, raise_for_item
from mmlfast._common.labels import labelled
from mmlfast.geometry._inner_product import distance
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import check_axes, one_metric, root_of_metric, rounded, same_dtype

Array = np.ndarray[Any, Any]
ndarray = np.ndarray


def project(
    x: ArrayLike,
    basis: ArrayLike,
    metric: ArrayLike | Mahalanobis | None = None,
    *,
    coordinates: bool = False,
    errors: str = "raise",
) -> Array:
    """Project points orthogonally onto the span of a basis.

    The answer comes through an orthonormal basis of the span, never through the inverse of ``basis.T @ basis``, so it
    is right for nearly dependent basis vectors too; dependent ones are left out.

    Parameters
    ----------
    x : array_like, shape (..., D)
        Points, float32 or float64.
    basis : array_like, shape (..., D, M) or (D,)
        Basis vectors in the columns. One basis for all points, or a stack of bases whose leading axes broadcast
        with those of `x`. A vector is one direction: M is 1.
    metric : array_like, shape (D, D) or (D,), or Mahalanobis, optional
        The inner product, see the module. Default: the dot product.
    coordinates : bool
        Return the coordinates of the projections in `basis` instead of points of the whole space.
    errors : {"raise", "nan"}
        What to do if coordinates are asked for and a basis is dependent (they are not unique): raise, or give NaN
        for the points of this basis.

    Returns
    -------
    ndarray, shape (..., D) or, with ``coordinates=True``, (..., M)
        The nearest points of the span, or their coordinates. In the metric of a singular `Mahalanobis`, basis vectors
        count as dependent that its distances cannot tell apart.

    Raises
    ------
    numpy.linalg.LinAlgError
        If coordinates are asked for and a basis is dependent (the message names the first batch index).
    ValueError, TypeError
        As `inner` does.

    See Also
    --------
    mmlfast.linalg.gram_schmidt : the orthonormal basis, and when a vector counts as dependent.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 2.5.1 (projections) and 5.3.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> plane = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    >>> mf.geometry.project([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], plane)
    array([[1., 2., 0.],
           [4., 5., 0.]])
    >>> mf.geometry.project([1.0, 2.0, 3.0], plane, coordinates=True)
    array([-1.,  2.])
    """
    check_errors(errors)
    if (type(x) is not ndarray or type(basis) is not ndarray or metric is not None) and labelled(x, basis, metric):
        check_axes("project", metric, x=(x, "nd", "d"), basis=(basis, "dm", "d"))
    vectors = as_float(basis, "basis")
    points, vectors = same_dtype(as_float(x, "x"), vectors if vectors.ndim > 1 else _one_column("project", vectors))
    _check_points("project", points, vectors)
    f = _factors("project", vectors, metric)
    if not coordinates:
        answer = np.asarray(_core.projection_apply(points, f.dual, f.primal))
        return answer if metric is None else np.asarray(rounded(answer, vectors.dtype))
    deficient = f.rank < vectors.shape[-1]
    if errors == "raise" and deficient.any():
        raise_for_item("project", "coordinates in a dependent basis are not unique", deficient)
    return np.asarray(_core.projection_coordinates(points, _coordinate_factor(f, vectors.dtype)))


def projection_matrix(basis: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Array:
    """Matrix P that projects orthogonally onto the span of a basis: P @ x is the nearest point of the span.

    To project points use `project`: it needs no D x D matrix.

    Parameters
    ----------
    basis : array_like, shape (..., D, M) or (D,)
        Basis vectors in the columns, float32 or float64, or one vector. Dependent ones are left out.
    metric : array_like or Mahalanobis, optional
        As for `project`.

    Returns
    -------
    ndarray, shape (..., D, D)
        P with P P = P, and ``metric @ P`` symmetric (without a metric P itself is, to the bit).

    Raises
    ------
    ValueError, TypeError
        As `project` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.projection_matrix([[0.0], [2.0]])
    array([[0., 0.],
           [0., 1.]])
    """
    if labelled(basis, metric):
        check_axes("projection_matrix", metric, basis=(basis, "dm", "d"))
    vectors = as_float(basis, "basis")
    if vectors.ndim < 2:
        vectors = _one_column("projection_matrix", vectors)
    f = _factors("projection_matrix", vectors, metric)
    answer = np.asarray(_core.projection_matrix(f.primal, f.dual))
    return answer if metric is None else np.asarray(rounded(answer, vectors.dtype))


def reconstruction_error(x: ArrayLike, basis: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Any:
    """Distance of points from the span of a basis: how much of them the projection loses.

    Parameters
    ----------
    x : array_like, shape (..., D)
        Points, float32 or float64.
    basis : array_like, shape (..., D, M) or (D,)
        Basis vectors in the columns; the leading axes broadcast with those of `x`. A vector is one direction.
    metric : array_like or Mahalanobis, optional
        As for `project`.

    Returns
    -------
    ndarray, shape (...)
        The length of ``x - project(x, basis, metric)``, or a scalar for one point.

    Raises
    ------
    ValueError, TypeError
        As `project` does.

    Notes
    -----
    It is the length of the residual, less what rounding has left of the span in it, and not the root of
    ``|x|**2 - |p|**2``, of which nothing would be left for a point near the span: the error is a small multiple of
    ``u * norm(x)``, that of `u` of float64 for float32 too.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.reconstruction_error([[3.0, 4.0], [0.0, 2.0]], [[1.0], [0.0]])
    array([4., 2.])
    """
    if (type(x) is not ndarray or type(basis) is not ndarray or metric is not None) and labelled(x, basis, metric):
        check_axes("reconstruction_error", metric, x=(x, "nd", "d"), basis=(basis, "dm", "d"))
    points, vectors = as_float(x, "x"), as_float(basis, "basis")
    if vectors.ndim < 2:
        vectors = _one_column("reconstruction_error", vectors)
    dtype = np.result_type(points, vectors)
    _check_points("reconstruction_error", points, vectors)
    f = _factors("reconstruction_error", vectors.astype(np.float64, copy=False), metric)
    if metric is None and vectors.ndim == 2:
        return rounded(_core.projection_residual(points, f.primal), dtype)
    wide = points.astype(np.float64, copy=False)
    within = np.asarray(_core.projection_apply(wide, f.dual, f.primal))
    with np.errstate(all="ignore"):
        residual = np.subtract(wide, within, out=within)  # fresh memory costs more than the subtraction
    within = np.asarray(_core.projection_apply(residual, f.dual, f.primal))
    return rounded(_core.distance(residual, within) if metric is None else distance(residual, within, metric), dtype)


class _Factors(NamedTuple):
    """The projection of x is primal @ (dual.T @ x)."""

    primal: Array
    dual: Array
    orthonormal: Array  # of the span of `vectors`, the basis in coordinates in which the metric is the identity
    vectors: Array
    wide_dual: Array  # in the dtype of the two above
    rank: Array


def _factors(function: str, basis: Array, metric: ArrayLike | Mahalanobis | None) -> _Factors:
    if metric is None:
        q, rank, _ = _core.gram_schmidt_cgs2(basis)
        return _Factors(q, q, q, basis, q, np.asarray(rank))
    return _factors_in_metric(function, basis, metric)


@np.errstate(all="ignore")
def _factors_in_metric(function: str, basis: Array, metric: ArrayLike | Mahalanobis) -> _Factors:
    # In float64: in a metric, rounding grows with the root of its condition.
    vectors = basis.astype(np.float64, copy=False)
    root = _root(function, metric, vectors)
    if isinstance(metric, Mahalanobis):
        root = np.pad(root, ((0, 0), (0, len(root) - root.shape[1])))  # square, for the kernels
        w = np.zeros(vectors.shape)
        w[..., : metric.rank, :] = metric.whiten(vectors.mT).mT
        q, rank, _ = _core.gram_schmidt_cgs2(w)
        primal, dual = _within_span(vectors, w, q), np.asarray(_core.matmul(root, q))
    else:
        matrix = root.ndim == 2
        w = _core.projection_to_metric(vectors, root) if matrix else _core.projection_to_weighted(vectors, root)
        q, rank, _ = _core.gram_schmidt_cgs2(w)
        primal, dual = (_core.projection_from_metric if matrix else _core.projection_from_weighted)(q, root)
    narrow = basis.dtype
    if narrow == np.float32 and not max(np.abs(a).max(initial=0) for a in (primal, dual)) < 1e18:
        narrow = np.dtype(np.float64)  # units too far apart for float32; the answers are rounded
    return _Factors(rounded(primal, narrow), rounded(dual, narrow), q, w, dual, np.asarray(rank))


def _within_span(basis: Array, w: Array, q: Array) -> Array:
    """E with ``E @ (q.T @ w) = basis`` on the columns that count: the orthonormal basis q as vectors of the span."""
    left_out = np.asarray(~q.any(axis=-2))  # columns of zeros: the metric sees nothing in them, or nothing new
    m = basis.shape[-1]
    r = np.asarray(np.triu(q.mT @ w))
    r[np.broadcast_to(left_out[..., None, :], r.shape)] = 0
    r[..., range(m), range(m)] += left_out
    columns = np.where(left_out[..., None, :], 0, basis)
    return np.ascontiguousarray(np.linalg.solve(r.mT, columns.mT).mT) if m else columns


def _coordinate_factor(f: _Factors, dtype: Any) -> Array:
    return np.asarray(rounded(_core.projection_dual(f.orthonormal, f.vectors, f.wide_dual), dtype))


def _root(function: str, metric: ArrayLike | Mahalanobis, vectors: Array) -> Array:
    """The root of one metric for vectors in columns, whose unit does not matter: it is brought to near 1."""
    root = root_of_metric(function, one_metric(function, metric), vectors.shape[-2])
    exponent = frexp(root.max(initial=0.0))[1]  # its diagonal is positive; a whitening is near 1 if not
    return root if abs(exponent) < 100 else np.ldexp(root, -exponent)


def _one_column(function: str, vector: Array) -> Array:
    """A basis of one vector."""
    if vector.ndim == 0:
        raise ValueError(f"{function}: basis must hold vectors in the columns of a matrix or be a vector, got a scalar")
    return vector[:, None]


def _check_points(function: str, points: Array, vectors: Array) -> None:
    if points.ndim < 1:
        raise ValueError(f"{function}: x must hold points in its last axis, got a scalar")
    if points.shape[-1] != vectors.shape[-2]:
        raise ValueError(
            f"{function}: x has shape {points.shape} and basis has shape {vectors.shape}: points of {points.shape[-1]} "
            f"coordinates do not fit vectors of {vectors.shape[-2]}"
        )
    try:
        np.broadcast_shapes(points.shape[:-1], vectors.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{function}: x has shape {points.shape} and basis has shape {vectors.shape}: their leading axes do not "
            f"broadcast"
        ) from None
