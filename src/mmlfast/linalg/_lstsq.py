"""Least squares; public as `mmlfast.linalg.lstsq`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import (
    as_array,
    as_float,
    check_errors,
    check_matrix,
    explain,
    is_dask,
    ndarray,
    raise_for_item,
)
from mmlfast._common.labels import check_labels

Array = np.ndarray[Any, Any]

# For m >= n, for m < n, and for stacks.
_RAISE = (_core.lstsq, _core.lstsq_wide, _core.lstsq_many)
_NAN = (_core.lstsq_nan, _core.lstsq_wide_nan, _core.lstsq_many_nan)

# NaN asks the kernel for its default.
_NO_RCOND = {True: np.array(np.nan, np.float32), False: np.array(np.nan)}


class LstsqResult(NamedTuple):
    """Solution of a least-squares problem, with what is known of it."""

    x: Array
    residuals: Array
    rank: Any
    s: Array | None


_result = tuple.__new__


def lstsq(
    a: ArrayLike,
    b: ArrayLike,
    rcond: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    errors: str = "raise",
) -> LstsqResult:
    """Least squares: the x that minimises the norm of ``b - a @ x``, of several problems at once.

    Where columns of `a` depend on each other to rounding, there are many such x; this is the one of least norm, in the
    units of the columns as they are given, and `rank` says how many columns are independent.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Coefficients, float32 or float64.
    b : array_like, shape (m,) or (..., m, k)
        Right-hand sides. As in `solve`, `b` is a vector only if it has one dimension; else it is a stack of matrices.
    rcond : float or array_like of shape (...), optional
        What counts as zero when the rank is decided: of the columns of `a` scaled to length one, singular values of at
        most `rcond` times the largest. So neither the units of the columns nor the number of rows matter. The default
        is ``n * u``, u being ``eps / 2`` of the dtype, and in float64, where errors of the factorization come on top
        of those of the data, at least ``16 * u``. As in LAPACK, numbers not between 0 and 1 stand for u.
    weights : array_like, shape (m,) or (..., m), optional
        How often each row counts: what is minimised is the sum of squares of ``b - a @ x`` with these weights. A row of
        weight zero is not looked at, even if it holds NaN.
    errors : {"raise", "nan"}
        What to do with NaN and infinity: raise, or fill the answer of that problem with NaN and go on with the others.

    Returns
    -------
    x : ndarray, shape (..., n) or (..., n, k)
        The solutions. With full rank and m >= n, the columnwise backward error is at most 10 max(m, n) u: whatever the
        units of the columns, they are as good as the condition of `a` with columns of length one lets them be.
    residuals : ndarray, shape (..., k), or (..., 1) for a vector
        The (weighted) sums of squares of the columns of ``b - a @ x``; shape (..., 0) if m <= n. As in NumPy it is
        empty for a single problem without full rank. In a stack it is there for every problem: ``lstsq(a[None], b)``.
    rank : int, or ndarray of int64 of shape (...)
        The rank as `rcond` says. Where it is less than n, `x` is one of many solutions, and no coefficient of columns
        that depend on each other means anything by itself.
    s : ndarray of shape (min(m, n),), or None
        The singular values of `a` as it is (with `weights`, of `a` with its rows times their roots), for a single
        problem. None for a stack of problems, where they would take several times as long as all the rest.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has less than two dimensions, if the shapes do not fit together, or if a problem holds NaN or infinity
        (the message names the first batch index).
    ValueError
        If `weights` does not fit, is negative, infinite or NaN, or if labels (pandas, xarray) of rows differ.
    TypeError
        If the numbers are complex or no numbers at all, or for a single problem in Dask arrays
        (`mmlfast.dask.lstsq` takes them).

    Notes
    -----
    `numpy.linalg.lstsq` decides the rank on the columns as they are, and by ``eps * max(m, n)``: a line through time
    stamps, or float32 columns of different sizes in a long table, lose columns there.

    Problems of up to 32 unknowns (or equations) and 2048 numbers are worked on in SIMD lanes, by QR. Those of them that
    may not have full rank, and larger ones with more equations than unknowns, go by R of a and b together, found in
    float64; large ones with fewer equations go to LAPACK's xGELSD. Without full rank, as many columns are kept as the
    rank says, the others are combinations of them, and the solution of least norm is found from these by another
    QR factorization; with an `rcond` that leaves out more than rounding, the singular triples that count take their
    place.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 5.3 and 5.5.
    .. [2] A. van der Sluis, Condition numbers and equilibration of matrices, Numer. Math. 14 (1969).
    .. [3] A. J. Cox and N. J. Higham, Stability of Householder QR factorization for weighted least squares problems,
       1998.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> t = np.arange(4.0)
    >>> lines = np.stack([1 + 2 * t, 5 - t])                      # two series
    >>> design = np.stack([np.ones(4), t], axis=1)                # intercept and slope
    >>> mf.linalg.lstsq(design, lines[..., None]).x[..., 0].round(12)
    array([[ 1.,  2.],
           [ 5., -1.]])
    """
    if type(a) is ndarray and type(b) is ndarray:
        left, right = a, b
    else:
        left, right = _arrays(a, b, weights)
    if errors == "raise":
        loops = _RAISE
    else:
        check_errors(errors)
        loops = _NAN
    if weights is not None:
        return _weighted(left, right, rcond, weights, errors)
    vector = right.ndim == 1
    columns = right[:, None] if vector else right
    many = left.ndim > 2 or columns.ndim > 2
    try:
        m, n = left.shape[-2:]
        limit: Any = _NO_RCOND[left.dtype.char == "f"] if rcond is None else _as_limit(rcond, left, right)
        found: Any = loops[2 if many else m < n](left, columns, limit)
    except Exception as error:
        _explain(error, left, right)
    x, residuals, rank = found[:3]
    if vector:
        x = x[..., 0]
    if m <= n or (not many and rank < n):
        residuals = residuals[..., :0]
    return _result(LstsqResult, (x, residuals, rank, None) if many else (x, residuals, int(rank), found[3]))


def _arrays(a: Any, b: Any, weights: Any) -> tuple[Any, Any]:
    """a and b as arrays, if their labels agree."""
    check_labels("lstsq", a=(a, "mn", "n"), b=(b, "mk", "m"), weights=(weights, "im", "m"))
    left, right = as_array(a, "a"), as_array(b, "b")
    if (is_dask(left) or is_dask(right)) and left.ndim <= 2 and right.ndim <= 2:
        raise TypeError("lstsq: a and b are one problem in Dask arrays: mmlfast.dask.lstsq(a, b) takes them")
    return left, right


def _weighted(a: Any, b: Any, rcond: Any, weights: Any, errors: str) -> LstsqResult:
    """Rows times the roots of their weights, in float64, by a power of two off so that nothing overflows."""
    a, b = as_float(a, "a"), as_float(b, "b")
    _check_shapes(a, b)
    w = as_float(weights, "weights").astype(np.float64, copy=False)
    m, n = a.shape[-2:]
    if w.ndim == 0 or w.shape[-1] != m:
        raise ValueError(f"lstsq: weights must have one number per row of a, shape ({m},) or (..., {m}), got {w.shape}")
    wrong = ~((w >= 0) & (w < np.inf))
    if wrong.any():
        at = np.unravel_index(int(np.argmax(wrong)), w.shape)
        place = ", ".join(str(int(i)) for i in at)
        raise ValueError(
            f"lstsq: weights must not be negative, infinite or NaN, got weights[{place}] = {w[at]}: "
            f"a row of weight 0 is left out"
        )
    roots = np.sqrt(w)
    powers = np.frexp(roots.max(axis=-1, initial=0))[1]
    roots = np.ldexp(roots, -powers[..., None])[..., None]
    columns = b[:, None] if b.ndim == 1 else b
    narrow = a.dtype.char == b.dtype.char == "f"
    if rcond is None and narrow:
        rcond = n * 2.0**-24 if n > 0 else None
    with np.errstate(all="ignore"):
        left, right = (np.where(roots > 0, y, y.dtype.type(0)) * roots for y in (a, columns))
        found: Any = lstsq(left, right, rcond, errors=errors)
        x, residuals, rank, s = found
        residuals = np.ldexp(residuals, 2 * powers[..., None])
        s = None if s is None else np.ldexp(s, powers)
        if narrow:
            x, residuals, s = (None if y is None else y.astype(np.float32) for y in (x, residuals, s))
    return _result(LstsqResult, (x[..., 0] if b.ndim == 1 else x, residuals, rank, s))


def _as_limit(rcond: ArrayLike, a: Any, b: Any) -> Array:
    """`rcond` in a type that does not widen float32 problems."""
    narrow = a.dtype.char == b.dtype.char == "f"
    limit = as_float(rcond, "rcond").astype(np.float32 if narrow else np.float64)
    return np.where(np.isnan(limit), limit.dtype.type(-1), limit)


def _explain(error: Exception, a: Any, b: Any) -> Any:
    """What went wrong, in the words of the caller: shapes, types, or the first problem with NaN or infinity."""
    _check_shapes(a, b)
    if not isinstance(error, LinAlgError):
        explain("lstsq", error, a=a, b=b)
    bad = ~np.isfinite(a).all(axis=(-2, -1))
    bad = bad | (~np.isfinite(b).all() if b.ndim == 1 else ~np.isfinite(b).all(axis=(-2, -1)))
    raise_for_item("lstsq", "NaN or infinity in a or b", np.asarray(bad))


def _check_shapes(a: Any, b: Any) -> None:
    check_matrix("lstsq", a=a)
    if b.ndim == 0:
        raise LinAlgError("lstsq: b must be a vector, a matrix or a stack of matrices, got shape ()") from None
    if b.shape[-1 if b.ndim == 1 else -2] != a.shape[-2]:
        raise LinAlgError(
            f"lstsq: Incompatible dimensions: a and b must have as many rows, got shapes {a.shape} and {b.shape}"
        ) from None
