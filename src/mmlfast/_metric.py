"""The inner product ``<x, y> = x' M y`` that the functions of `mmlfast.geometry` take as ``metric``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_float
from mmlfast._elimination import det
from mmlfast._row_echelon import is_singular

Array = np.ndarray[Any, Any]


def same_dtype(*arrays: Array) -> tuple[Array, ...]:
    dtype = np.result_type(*arrays)
    return tuple(a.astype(dtype, copy=False) for a in arrays)


def rounded(answer: Any, dtype: Any) -> Any:
    """An array or a scalar in the dtype of the arguments."""
    return answer if answer.dtype == dtype else answer.astype(dtype)


def root_of_metric(function: str, metric: ArrayLike, d: int) -> Array:
    """L with L L' = metric in float64: lower triangular, (..., d, d), or a vector (d,) for positive weights."""
    given = as_float(metric, "metric")
    if given.shape != (d,) and (given.ndim < 2 or given.shape[-2:] != (d, d)):
        raise ValueError(
            f"{function}: metric must have shape ({d}, {d}) or ({d},) for vectors of {d}, got {given.shape}"
        )
    wide = given.astype(np.float64, copy=False)
    if wide.ndim == 1:
        if not (np.isfinite(wide) & (wide > 0)).all():
            raise ValueError(f"{function}: a metric given as a vector must hold positive numbers")
        return np.asarray(np.sqrt(wide))
    if not np.isfinite(wide).all():
        raise ValueError(f"{function}: metric must not hold NaN or infinity")
    if not _symmetric(wide, given.dtype).all():
        raise ValueError(f"{function}: metric must be symmetric positive definite, but it is not symmetric")
    try:
        return np.asarray(_core.cholesky(wide))
    except LinAlgError:
        raise ValueError(
            f"{function}: metric must be symmetric positive definite, but it has an eigenvalue that is not positive"
        ) from None


def whiten(function: str, metric: ArrayLike, **arrays: Array) -> list[Array]:
    """The arrays of points in coordinates in which `metric` is the dot product, in float64."""
    for name, a in arrays.items():
        if a.ndim < 1:
            raise ValueError(f"{function}: {name} must hold vectors in its last axis, got a scalar")
    d = next(iter(arrays.values())).shape[-1]
    root = root_of_metric(function, metric, d)
    return [_times(function, root, name, a) for name, a in arrays.items()]


def whiten_tables(function: str, metric: ArrayLike, X: Array, Y: Array) -> list[Array]:
    """Two tables of points in coordinates in which `metric` is the dot product, and around a common centre.

    Distances stay, and the rounding of the change of coordinates becomes relative to the spread of the points.
    """
    if np.ndim(metric) > 2:
        raise ValueError(f"{function}: metric must be one matrix or a vector, got shape {np.shape(metric)}")
    if X.shape[-2] and Y.shape[-2]:
        # Symmetric in X and Y, so that exchanging them changes no bit.
        with np.errstate(all="ignore"):
            centre = (X.mean(axis=-2, keepdims=True, dtype=float) + Y.mean(axis=-2, keepdims=True, dtype=float)) / 2
        X, Y = X - centre, Y - centre
    return whiten(function, metric, X=X, Y=Y)


def lowered(function: str, metric: ArrayLike, name: str, a: Array) -> Array:
    """``metric @ v`` for the vectors v of `a`, in float64."""
    root_of_metric(function, metric, a.shape[-1])  # for its checks
    return _times(function, as_float(metric, "metric").astype(np.float64, copy=False), name, a)


def _times(function: str, root: Array, name: str, a: Array) -> Array:
    """The vectors of `a`, as rows, times a matrix or a diagonal, in float64."""
    if a.shape[-1] != root.shape[-1]:
        raise ValueError(f"{function}: {name} has shape {a.shape}, which does not fit a metric for {root.shape[-1]}")
    wide = a.astype(np.float64, copy=False)
    if root.ndim == 1:
        return wide * root
    if root.ndim == 2 and wide.ndim > 1:
        rows = wide.reshape(-1, wide.shape[-1])
        return np.asarray(_core.projection_coordinates(rows, root)).reshape(wide.shape)
    try:
        return np.asarray(_core.projection_coordinates(wide, root))
    except ValueError:
        raise ValueError(
            f"{function}: {name} has shape {a.shape} and metric has shape {root.shape}: their leading axes do not "
            f"broadcast"
        ) from None


def _symmetric(a: Array, dtype: Any) -> Array:
    """Whether each matrix is symmetric up to the rounding of `dtype`."""
    largest = np.abs(a).max(axis=(-2, -1), initial=0, keepdims=True)
    return np.asarray((np.abs(a - a.mT) <= 16 * float(np.finfo(dtype).eps) * largest).all(axis=(-2, -1)))


def is_inner_product(metric: ArrayLike) -> Any:
    """Whether ``<x, y> = x' metric y`` is an inner product: the matrix is symmetric and positive definite.

    Parameters
    ----------
    metric : array_like, shape (..., D, D) or (D,)
        Matrices, or one vector of weights, the diagonal of a matrix.

    Returns
    -------
    bool, or ndarray of bool, shape (...)
        True where the matrix is symmetric (up to 16 roundings of its largest entry), its Cholesky factor exists, and
        no singular matrix lies within rounding of it. Integer matrices of up to 32 rows are decided exactly. False for
        NaN and infinity.

    Raises
    ------
    ValueError
        If the matrices are not square.
    TypeError
        If the numbers are complex or no numbers at all.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.is_inner_product([[2, 1], [1, 2]])
    True
    >>> mf.geometry.is_inner_product([[1, 2], [2, 1]])  # (1, -1) would have the square of its length negative
    False
    >>> mf.geometry.is_inner_product([[1, 2], [2, 4]])  # and (2, -1) the length 0
    False
    """
    given = np.asarray(metric)
    wide = as_float(metric, "metric")
    if wide.ndim == 1:
        return bool((np.isfinite(wide) & (wide > 0)).all())
    if wide.ndim == 0 or wide.shape[-1] != wide.shape[-2]:
        raise ValueError(f"is_inner_product: metric must hold square matrices or be a vector, got shape {wide.shape}")
    items = wide.reshape(-1, *wide.shape[-2:])
    exact = given.dtype.kind in "iu" and wide.shape[-1] <= 32
    decide = _is_positive_exactly if exact else _is_positive
    found = [decide(a) for a in (given.reshape(items.shape) if exact else items)]
    return found[0] if wide.ndim == 2 else np.array(found, dtype=bool).reshape(wide.shape[:-2])


def _is_positive(a: Array) -> bool:
    wide = a.astype(np.float64, copy=False)
    if not (np.isfinite(wide).all() and _symmetric(wide, a.dtype)):
        return False
    return not np.isnan(_core.cholesky_nan(wide)).any() and not (a.size and is_singular(a))


def _is_positive_exactly(a: Array) -> bool:
    """Sylvester's criterion: all leading minors are positive."""
    return bool((a == a.T).all()) and all(det(a[:k, :k]) > 0 for k in range(1, len(a) + 1))
