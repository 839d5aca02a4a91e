"""What an affine map does to mean and covariance; public as `mmlfast.stats.affine_moments`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast._common.labels import check_labels, labelled
from mmlfast.linalg._matmul import matmul, matvec

Array = np.ndarray[Any, Any]

_MOST_IN_LANES = 16  # rows and columns of maps; larger ones are products of their own


class AffineMoments(NamedTuple):
    """Mean and covariance after an affine map."""

    mean: Array
    covariance: Array


def affine_moments(mean: ArrayLike, cov: ArrayLike, A: ArrayLike, b: ArrayLike | None = None) -> AffineMoments:
    """Mean and covariance of A x + b, of those of x.

    Parameters
    ----------
    mean : array_like, shape (..., d)
        The mean of x.
    cov : array_like, shape (..., d, d)
        The covariance matrix of x, symmetric.
    A : array_like, shape (..., m, d)
        The linear part of the map.
    b : array_like, shape (..., m), optional
        What is added; by default nothing.

    Returns
    -------
    AffineMoments
        ``AffineMoments(mean, covariance)``: A mean + b, shape (..., m), and A cov A', shape (..., m, m), exactly
        symmetric. Leading axes are those of what each depends on, broadcast; float32 if all arguments are.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or `cov` is not symmetric.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Nothing is assumed of the distribution of x. For the table itself, ``covariance(x @ A.T + b)`` is
    ``affine_moments(mean(x), covariance(x), A, b).covariance`` up to rounding: translation changes no covariance, and
    a linear map acts from both sides.

    Examples
    --------
    Twice the first number minus the second one, plus 10:

    >>> import mmlfast as mf
    >>> mf.stats.affine_moments([1.0, 2.0], [[3.0, 1.0], [1.0, 2.0]], [[2.0, -1.0]], [10.0])
    AffineMoments(mean=array([10.]), covariance=array([[10.]]))
    """
    if labelled(mean, cov, A, b):
        check_labels(
            "affine_moments",
            mean=(mean, "nd", "d"),
            cov=(cov, "dd", "d"),
            A=(A, "ed", "d"),
            b=([] if b is None else b, "ne", "e"),
        )
    m, c, a = as_float(mean, "mean"), as_float(cov, "cov"), as_float(A, "A")
    offset = None if b is None else as_float(b, "b")
    _check_shapes(m, c, a, offset)
    moved = matvec(a, m)
    if offset is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            moved = moved + offset
    return AffineMoments(moved, _mapped(a, c))


@np.errstate(all="ignore")
def _mapped(a: Array, c: Array) -> Array:
    """A C A': exactly symmetric, and where rounding alone makes a variance negative it is 0."""
    dtype = np.result_type(a, c)
    wide = a.astype(np.float64, copy=False)
    if min(a.shape[-2:]) > 0 and max(a.shape[-2:]) <= _MOST_IN_LANES:
        answer, ordinary = _core.affine_covariance(wide, c.astype(np.float64, copy=False))
        if ordinary.all():
            return np.asarray(answer.astype(dtype, copy=False))
    if not np.array_equal(c, np.swapaxes(c, -1, -2), equal_nan=True):
        _check_symmetric(c)
        c = (c + np.swapaxes(c, -1, -2)) / 2
    spread = _symmetric(wide, c.astype(np.float64, copy=False))
    if not np.isfinite(spread.sum()):  # rows of A in another unit
        rows = np.frexp(np.abs(wide).max(axis=-1, initial=0))[1]
        rows = np.where(np.isfinite(wide).all(axis=-1), rows, 0)
        scaled = _symmetric(np.ldexp(wide, -rows[..., None]), c.astype(np.float64, copy=False))
        spread = np.ldexp(scaled, rows[..., :, None] + rows[..., None, :])
    variances = np.diagonal(spread, axis1=-2, axis2=-1)
    if (variances < 0).any():
        size = np.abs(wide)
        bound = np.einsum("...ij,...jk,...ik->...i", size, np.abs(c), size)
        kept = np.where((variances < 0) & (-variances <= 1e3 * np.finfo(dtype).eps * bound), 0, variances)
        spread[..., range(a.shape[-2]), range(a.shape[-2])] = kept
    return spread.astype(dtype, copy=False)


def _symmetric(a: Array, c: Array) -> Array:
    spread = matmul(matmul(a, c), np.swapaxes(a, -1, -2))
    return np.asarray((spread + np.swapaxes(spread, -1, -2)) / 2)  # the same numbers but for rounding


def _check_shapes(m: Array, c: Array, a: Array, offset: Array | None) -> None:
    shapes = f"mean {m.shape}, cov {c.shape}, A {a.shape}" + ("" if offset is None else f", b {offset.shape}")
    if m.ndim < 1 or c.ndim < 2 or a.ndim < 2:
        raise ValueError(f"affine_moments: shapes must be mean (..., d), cov (..., d, d), A (..., m, d); got {shapes}")
    d = m.shape[-1]
    if c.shape[-2:] != (d, d):
        raise ValueError(f"affine_moments: cov must be (..., {d}, {d}) like mean (..., {d}); got {shapes}")
    if a.shape[-1] != d:
        raise ValueError(f"affine_moments: A must be (..., m, {d}), one column per entry of mean; got {shapes}")
    rows = a.shape[-2]
    if offset is not None and (offset.ndim < 1 or offset.shape[-1] != rows):
        raise ValueError(f"affine_moments: b must be (..., {rows}), one entry per row of A; got {shapes}")
    batches = [m.shape[:-1], c.shape[:-2], a.shape[:-2]] + ([] if offset is None else [offset.shape[:-1]])
    try:
        np.broadcast_shapes(*batches)
    except ValueError:
        raise ValueError(f"affine_moments: the leading axes do not broadcast; got {shapes}") from None


def _check_symmetric(c: Array) -> None:
    """Rounding may have touched the two halves differently, not more."""
    scale = np.abs(c).max(axis=(-2, -1), keepdims=True, initial=0)
    with np.errstate(invalid="ignore"):
        different = np.abs(c - np.swapaxes(c, -1, -2)) > 1000 * np.finfo(c.dtype).eps * scale
    if different.any():
        raise ValueError("affine_moments: cov must be symmetric up to rounding")
