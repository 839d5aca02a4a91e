"""Inner products and what follows from them; public as `inner`, `norm`, `distance`, `angle`, `scalar_projection` of
`mmlfast.geometry`.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, check_errors, explain
from mmlfast._common.fast_path import fast_path
from mmlfast._common.labels import labelled
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import check_axes, lowered, rounded, whiten

Array = np.ndarray[Any, Any]
ndarray = np.ndarray


@fast_path(_core.inner)
def inner(x: ArrayLike, y: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Any:
    """Inner product of vectors: ``x' metric y``.

    Parameters
    ----------
    x, y : array_like, shape (..., D)
        Vectors, float32 or float64; the leading axes broadcast.
    metric : array_like, shape (..., D, D) or (D,), or Mahalanobis, optional
        The inner product, see the module. Default: the dot product.

    Returns
    -------
    ndarray, shape (...), or a scalar
        The inner products, summed in float64, of the dtype of the vectors.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or the metric is not symmetric positive definite.
    TypeError
        If the numbers are complex or no numbers at all.

    See Also
    --------
    is_inner_product : whether a matrix will do as `metric`.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1 (inner products).

    Examples
    --------
    >>> import mmlfast as mf
    >>> float(mf.geometry.inner([1.0, 2.0], [3.0, 4.0]))
    11.0
    >>> float(mf.geometry.inner([1.0, 2.0], [3.0, 4.0], metric=[[2.0, 1.0], [1.0, 2.0]]))
    32.0
    """
    if metric is None:
        return _of_pairs("inner", _core.inner, x, y, None)
    a, b = _vectors("inner", x, y, metric)
    dtype = np.result_type(a, b)
    if isinstance(metric, Mahalanobis):
        return _of_pairs("inner", _core.inner, a, b, metric)
    # Both ways, so that exchanging the two changes no bit.
    a, b, lowered_a, lowered_b = lowered("inner", metric, a, b)
    try:
        one, other = _core.inner(a, lowered_b), _core.inner(lowered_a, b)
    except ValueError as error:
        explain("inner", error, x=a, y=b)
    if isinstance(one, np.float64):
        return rounded(np.float64(0.5 * float(one) + 0.5 * float(other)), dtype)
    with np.errstate(all="ignore"):
        return rounded(0.5 * one + 0.5 * other, dtype)


@fast_path(_core.norm)
def norm(x: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Any:
    """Length of vectors: the square root of ``inner(x, x, metric)``.

    Parameters
    ----------
    x : array_like, shape (..., D)
        Vectors, float32 or float64.
    metric : array_like or Mahalanobis, optional
        As for `inner`.

    Returns
    -------
    ndarray, shape (...), or a scalar
        The lengths, of the dtype of the vectors. Neither large nor small components over- or underflow on the way.

    Raises
    ------
    ValueError, TypeError
        As `inner` does.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 27.5.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.norm([[3.0, 4.0], [3e200, 4e200]])
    array([5.e+000, 5.e+200])
    """
    vectors = as_float(x, "x")
    dtype = vectors.dtype
    if metric is not None:
        if labelled(x, metric):
            check_axes("norm", metric, x=(x, "nd", "d"))
        (vectors,) = whiten("norm", metric, x=vectors)
    try:
        return rounded(_core.norm(vectors), dtype)
    except ValueError:
        raise ValueError(f"norm: x must hold vectors in its last axis, got shape {vectors.shape}") from None


@fast_path(_core.distance)
def distance(x: ArrayLike, y: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Any:
    """Distance between points: ``norm(x - y, metric)``.

    For the distances of every point to every other, see `cdist`.

    Parameters
    ----------
    x, y : array_like, shape (..., D)
        Points, float32 or float64; the leading axes broadcast.
    metric : array_like or Mahalanobis, optional
        As for `inner`.

    Returns
    -------
    ndarray, shape (...), or a scalar
        The distances, of the dtype of the points; integers, unsigned ones too, are subtracted as float64.

    Raises
    ------
    ValueError, TypeError
        As `inner` does.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> float(mf.geometry.distance(np.array([0, 0], np.uint8), np.array([3, 4], np.uint8)))
    5.0
    """
    if metric is None:
        return _of_pairs("distance", _core.distance, x, y, None)
    # The difference first: close points would come out of the change of coordinates with its rounding between them.
    a, b = _vectors("distance", x, y, metric)
    try:
        with np.errstate(all="ignore"):
            difference = np.subtract(a, b, dtype=np.float64)
    except ValueError as error:
        explain("distance", error, x=a, y=b)
    (difference,) = whiten("distance", metric, x=difference)
    return rounded(_core.norm(difference), np.result_type(a, b))


@fast_path(_core.angle)
def angle(x: ArrayLike, y: ArrayLike, metric: ArrayLike | Mahalanobis | None = None, *, errors: str = "raise") -> Any:
    """Angle between vectors, in radians.

    Parameters
    ----------
    x, y : array_like, shape (..., D)
        Vectors, float32 or float64; the leading axes broadcast.
    metric : array_like or Mahalanobis, optional
        As for `inner`.
    errors : {"raise", "nan"}
        What to do about the zero vector, which has no angle: raise, or give NaN.

    Returns
    -------
    ndarray, shape (...), or a scalar
        Angles from 0 to pi, of the dtype of the vectors.

    Raises
    ------
    ValueError
        If a vector is zero.
    ValueError, TypeError
        As `inner` does.

    Notes
    -----
    It is twice the arc tangent of ``|u - v| / |u + v|`` for the unit vectors u and v, which is right to a few units of
    rounding for all angles. The arc cosine of their product loses half of the digits of a small angle, and is NaN where
    the product comes out above 1.

    References
    ----------
    .. [1] W. Kahan, How futile are mindless assessments of roundoff in floating-point computation?, 2006, section 12.

    Examples
    --------
    >>> import mmlfast as mf
    >>> float(mf.geometry.angle([1.0, 0.0], [1.0, 1e-9]))
    1e-09
    """
    check_errors(errors)
    answer = _of_pairs("angle", _core.angle_nan, x, y, metric)
    if errors == "raise" and np.isnan(answer).any():
        for name, a in (("x", as_float(x, "x")), ("y", as_float(y, "y"))):
            zero = (a == 0).all(axis=-1)
            if zero.any():
                place = "" if a.ndim == 1 else f" (vector {_first(zero)} of {name})"
                raise ValueError(f"angle: {name} must not be the zero vector, which has no angle{place}")
            if isinstance(metric, Mahalanobis) and not norm(a, metric).all():
                raise ValueError(f"angle: {name} has a vector without length in this metric (a singular Mahalanobis)")
    return answer


@fast_path(_core.scalar_projection)
def scalar_projection(x: ArrayLike, onto: ArrayLike, metric: ArrayLike | Mahalanobis | None = None) -> Any:
    """Component of vectors in a direction: ``inner(x, onto) / norm(onto)``, positive where they point the same way.

    Parameters
    ----------
    x : array_like, shape (..., D)
        Vectors, float32 or float64.
    onto : array_like, shape (..., D)
        Directions of any length but 0; the leading axes broadcast with those of `x`.
    metric : array_like or Mahalanobis, optional
        As for `inner`.

    Returns
    -------
    ndarray, shape (...), or a scalar
        Signed lengths of the projections, of the dtype of the vectors.

    Raises
    ------
    ValueError
        If a direction is the zero vector.
    ValueError, TypeError
        As `inner` does.

    See Also
    --------
    project : the vector, and projections onto spans of several vectors.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 2.5.1 (orthogonal projections).

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.geometry.scalar_projection([[2.0, 1.0], [-3.0, 5.0]], onto=[10.0, 0.0])
    array([ 2., -3.])
    """
    vectors, directions = _vectors("scalar_projection", x, onto, metric, second="onto")
    dtype = np.result_type(vectors, directions)
    if metric is not None:
        given = directions
        directions, length = in_range(directions)
        if not length.all() and directions.shape[-1]:
            _refuse_zero_direction(given)
        vectors, directions = whiten("scalar_projection", metric, x=vectors, onto=directions)
    try:
        return rounded(_core.scalar_projection(vectors, directions), dtype)
    except np.linalg.LinAlgError:
        if metric is not None:
            raise ValueError("scalar_projection: onto has no length in this metric (a singular Mahalanobis)") from None
        _refuse_zero_direction(directions)
    except ValueError as error:
        explain("scalar_projection", error, x=vectors, onto=directions)


def in_range(vectors: Array) -> tuple[Array, Array]:
    """Vectors in float64 whose lengths do not matter: by a power of two each is brought to where nothing underflows.

    And their lengths.
    """
    wide = vectors.astype(np.float64, copy=False)
    length = np.asarray(_core.norm(wide))
    if 1e-100 < length < 1e100 if length.ndim == 0 else ((length > 1e-100) & (length < 1e100)).all():
        return wide, length
    with np.errstate(all="ignore"):
        wide = np.ldexp(wide, -np.frexp(np.abs(wide).max(axis=-1, initial=0, keepdims=True))[1])
    return wide, np.asarray(_core.norm(wide))


def _vectors(function: str, x: Any, y: Any, metric: Any, second: str = "y") -> tuple[Array, Array]:
    """Two arguments that hold vectors, checked for their kind, their labels and their last axes."""
    if (type(x) is not ndarray or type(y) is not ndarray or metric is not None) and labelled(x, y, metric):
        check_axes(function, metric, **{"x": (x, "nd", "d"), second: (y, "nd", "d")})
    a, b = as_float(x, "x"), as_float(y, second)
    if a.ndim < 1 or b.ndim < 1 or a.shape[-1] != b.shape[-1]:
        _refuse_vectors(function, **{"x": a, second: b})
    return a, b


def _of_pairs(function: str, loop: Any, x: ArrayLike, y: ArrayLike, metric: ArrayLike | Mahalanobis | None) -> Any:
    a, b = _vectors(function, x, y, metric)
    dtype = np.result_type(a, b)
    if metric is not None:
        a, b = whiten(function, metric, x=a, y=b)
    try:
        return rounded(loop(a, b), dtype)
    except ValueError as error:
        explain(function, error, x=a, y=b)


def _refuse_vectors(function: str, **arrays: Array) -> NoReturn:
    for name, a in arrays.items():
        if a.ndim < 1:
            raise ValueError(f"{function}: {name} must hold vectors in its last axis, got a scalar")
    shapes = " and ".join(f"{name} has shape {a.shape}" for name, a in arrays.items())
    raise ValueError(f"{function}: {shapes}: their last axes must be equal")


def _refuse_zero_direction(onto: Array) -> NoReturn:
    place = "" if onto.ndim == 1 else f" (vector {_first((onto == 0).all(axis=-1))} of onto)"
    raise ValueError(f"scalar_projection: onto must not be the zero vector{place}") from None


def _first(bad: Array) -> str:
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return ", ".join(str(int(i)) for i in index)
