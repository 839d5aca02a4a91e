"""The inner product ``<x, y> = x' M y`` that the functions of `mmlfast.geometry` take as ``metric``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float
from mmlfast._common.labels import check_labels
from mmlfast.geometry._definite import (
    FINE,
    NOT_FINITE,
    NOT_SYMMETRIC,
    half_exponents,
    triangular_root,
    triangular_roots,
)
from mmlfast.geometry._mahalanobis import Mahalanobis

Array = np.ndarray[Any, Any]


def same_dtype(*arrays: Array) -> tuple[Array, ...]:
    dtype = np.result_type(*arrays)
    return tuple(a.astype(dtype, copy=False) for a in arrays)


def rounded(answer: Any, dtype: Any) -> Any:
    """An array or a scalar in the dtype of the arguments."""
    if answer.dtype == dtype:
        return answer
    with np.errstate(all="ignore"):  # what float32 cannot hold is infinite or 0
        return answer.astype(dtype)


def check_axes(function: str, metric: Any, **arguments: tuple[Any, str, str]) -> None:
    """`check_labels` of points in the dimensions d, and of their metric."""
    labelled = metric.labels if isinstance(metric, Mahalanobis) else metric
    check_labels(function, **arguments, metric=([] if labelled is None else labelled, "dd", "d"))


def root_of_metric(function: str, metric: Any, d: int) -> Array:
    """R with R R' = metric in float64: (..., d, d), (d, rank) of a `Mahalanobis`, or a vector (d,) for weights."""
    if isinstance(metric, Mahalanobis):
        if len(metric.covariance) != d:
            raise ValueError(
                f"{function}: metric is a Mahalanobis of {len(metric.covariance)} dimensions, but the vectors have {d}"
            )
        return metric.whitening
    return _root_of_numbers(function, *_numbers(function, metric, d))


def _root_of_numbers(function: str, given: Array, wide: Array) -> Array:
    if given.ndim == 1:
        if not (np.isfinite(wide) & (wide > 0)).all():
            raise ValueError(f"{function}: a metric given as a vector must hold positive numbers")
        return np.asarray(np.sqrt(wide.astype(np.float64, copy=False)))
    if given.ndim == 2 and given.dtype == np.float64:
        found = triangular_root(np.ascontiguousarray(wide))
        if found is not None:
            return found
    lower, fault = triangular_roots(given, wide)
    if fault.any():
        _refuse(function, given, fault)
    return lower


def one_metric(function: str, metric: Any) -> Any:
    """The metric; ValueError for a stack of them."""
    if isinstance(metric, str | Mahalanobis):
        return metric
    given = as_array(metric, "metric")
    if given.ndim > 2:
        raise ValueError(f"{function}: metric must be one matrix or a vector, got shape {given.shape}")
    return given


def _numbers(function: str, metric: Any, d: int) -> tuple[Array, Array]:
    """A metric as an array as it is and of floating-point numbers, of the right shape."""
    if isinstance(metric, str):
        raise ValueError(
            f"{function}: metric must be a symmetric positive definite matrix, a vector of positive weights, a "
            f"Mahalanobis or None, got {metric!r} (names are for cdist, knn and NearestNeighbors)"
        )
    given = as_array(metric, "metric")
    wide = as_float(given, "metric")
    if given.shape != (d,) and (given.ndim < 2 or given.shape[-2:] != (d, d)):
        raise ValueError(
            f"{function}: metric must have shape ({d}, {d}) or ({d},) for vectors of {d}, got {given.shape}"
        )
    return given, wide


def _refuse(function: str, given: Array, fault: Array) -> None:
    index = np.unravel_index(int(np.argmax(fault != FINE)), fault.shape)
    place = f" (matrix {', '.join(str(int(i)) for i in index)} of metric)" if fault.ndim else ""
    a = given[index]
    if fault[index] == NOT_FINITE:
        raise ValueError(f"{function}: metric must not hold NaN or infinity{place}")
    if fault[index] == NOT_SYMMETRIC:
        i, j = (int(i) for i in np.unravel_index(int(np.argmax(a != a.T)), a.shape))
        what = f"it is not symmetric: entry ({i}, {j}) is {a[i, j]!s} and ({j}, {i}) is {a[j, i]!s}"
    else:
        what = "it has, up to rounding, an eigenvalue that is not positive"
    raise ValueError(
        f"{function}: metric must be symmetric positive definite, but {what}{place}. If it is the inverse of a "
        f"covariance, pass geometry.Mahalanobis(covariance), which takes singular ones too"
    )


def whiten(function: str, metric: Any, **arrays: Array) -> list[Array]:
    """The arrays of points in coordinates in which `metric` is the dot product, in float64."""
    for name, a in arrays.items():
        if a.ndim < 1:
            raise ValueError(f"{function}: {name} must hold vectors in its last axis, got a scalar")
    d = next(iter(arrays.values())).shape[-1]
    root = root_of_metric(function, metric, d)
    if isinstance(metric, Mahalanobis):
        return [metric.whiten(a) for a in arrays.values()]
    return [_times(function, root, name, a) for name, a in arrays.items()]


def whiten_tables(function: str, metric: Any, X: Array, Y: Array) -> list[Array]:
    """Two tables of points in coordinates in which `metric` is the dot product, and around a common centre.

    Distances stay, and the rounding of the change of coordinates becomes relative to the spread of the points.
    """
    metric = one_metric(function, metric)
    if X.shape[-2] and Y.shape[-2]:
        with np.errstate(all="ignore"):
            centre = _centre(X, Y)
            X, Y = X - centre, Y - centre
    return whiten(function, metric, X=X, Y=Y)


_SOME = 11


def _some_rows(n: int) -> Array:
    """`_SOME` of n rows, not in equal steps: tables may have a period."""
    i = np.arange(_SOME)
    return np.asarray(i * n // _SOME + i * 40507 % (n // _SOME))


def _centre(X: Array, Y: Array) -> Array:
    """The median of some rows of both, component by component: no far point moves it, nor does infinity.

    Symmetric in X and Y, so that exchanging them changes no bit.
    """
    some = [a if a.shape[-2] <= _SOME else a[..., _some_rows(a.shape[-2]), :] for a in (X, Y)]
    if X.ndim > 2 or Y.ndim > 2:
        batch = np.broadcast_shapes(*(a.shape[:-2] for a in some))
        some = [np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in some]
    pool = np.concatenate(some, axis=-2, dtype=np.float64)
    middle = (pool.shape[-2] - 1) // 2
    pool.partition(middle, axis=-2)
    centre = pool[..., middle : middle + 1, :]
    return centre if np.isfinite(centre).all() else np.where(np.isfinite(centre), centre, 0.0)


def lowered(function: str, metric: Any, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """x, y, ``metric @ x`` and ``metric @ y`` in float64, in units of which the metric is in range."""
    # Not through the root: products of whole numbers stay exact.
    given, numbers = _numbers(function, metric, x.shape[-1])
    _root_of_numbers(function, given, numbers)  # for its checks
    wide = np.ascontiguousarray(numbers, dtype=np.float64)
    x, y = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    if wide.ndim > 1 and not (wide == wide.mT).all():
        wide = wide / 2 + wide.mT / 2
    diagonal = wide if wide.ndim == 1 else np.diagonal(wide, axis1=-2, axis2=-1)
    if diagonal.size and not (diagonal.max() < 1e60 and diagonal.min() > 1e-60):  # the units do not matter
        with np.errstate(all="ignore"):
            half = half_exponents(diagonal)
            both = 2 * half if wide.ndim == 1 else half[..., :, None] + half[..., None, :]
            x, y, wide = np.ldexp(x, half), np.ldexp(y, half), np.ldexp(wide, -both)
    return x, y, _times(function, wide, "x", x), _times(function, wide, "y", y)


def _times(function: str, root: Array, name: str, a: Array) -> Array:
    """The vectors of `a`, as rows, times a matrix or a diagonal, in float64."""
    if a.shape[-1] != root.shape[0 if root.ndim == 2 else -1]:
        raise ValueError(f"{function}: {name} has shape {a.shape}, which does not fit a metric for {root.shape[-1]}")
    wide = a.astype(np.float64, copy=False)
    if root.ndim == 1:
        with np.errstate(all="ignore"):
            return wide * root
    if root.ndim == 2 and wide.ndim > 1:
        rows = wide.reshape(math.prod(wide.shape[:-1]), wide.shape[-1])
        return np.asarray(_core.projection_coordinates(rows, root)).reshape(*wide.shape[:-1], root.shape[-1])
    try:
        return np.asarray(_core.projection_coordinates(wide, root))
    except ValueError:
        raise ValueError(
            f"{function}: {name} has shape {a.shape} and metric has shape {root.shape}: their leading axes do not "
            f"broadcast"
        ) from None


def is_inner_product(metric: ArrayLike | Mahalanobis) -> Any:
    """Whether ``<x, y> = x' metric y`` is an inner product: the matrix is symmetric and positive definite.

    Parameters
    ----------
    metric : array_like, shape (..., D, D) or (D,), or Mahalanobis
        Matrices, or one vector of weights, the diagonal of a matrix.

    Returns
    -------
    bool, or ndarray of bool, shape (...)
        True where the matrix will do as `metric` of the functions of this module, and False where they refuse it: it
        has to be symmetric, and no singular matrix may lie within ``64 D`` roundings, both relative to its diagonal, so
        that the units of the coordinates do not matter. An inverse that was computed may be as far from symmetric as
        its condition explains. Integer matrices of up to 32 rows are decided exactly. False for NaN and infinity. A
        `Mahalanobis` is one if its covariance is not singular.

    Raises
    ------
    ValueError
        If the matrices are not square.
    TypeError
        If the numbers are complex or no numbers at all.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1 (definiteness).

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
    if isinstance(metric, Mahalanobis):
        return metric.rank == len(metric.covariance)
    given = as_array(metric, "metric")
    wide = as_float(given, "metric")
    if wide.ndim == 1:
        return bool((np.isfinite(wide) & (wide > 0)).all())
    if wide.ndim == 0 or wide.shape[-1] != wide.shape[-2]:
        raise ValueError(f"is_inner_product: metric must hold square matrices or be a vector, got shape {wide.shape}")
    check_axes("is_inner_product", metric)
    if given.ndim == 2 and given.dtype == np.float64 and triangular_root(np.ascontiguousarray(wide)) is not None:
        return True
    fine = triangular_roots(given, wide).fault == FINE
    return bool(fine) if wide.ndim == 2 else fine
