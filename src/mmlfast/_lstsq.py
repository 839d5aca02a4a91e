"""Least squares; public as `mmlfast.linalg.lstsq`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_array, as_float, check_errors, explain, ndarray, raise_for_item

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


def lstsq(a: ArrayLike, b: ArrayLike, rcond: ArrayLike | None = None, *, errors: str = "raise") -> LstsqResult:
    """Least squares: the x that minimises the norm of ``b - a @ x``, of several problems at once.

    Where `a` has not full rank, there are many such x; this is the one of least norm.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Coefficients, float32 or float64.
    b : array_like, shape (m,) or (..., m, k)
        Right-hand sides. As in `solve`, `b` is a vector only if it has one dimension; else it is a stack of matrices.
    rcond : float or array_like of shape (...), optional
        Singular values of at most `rcond` times the largest count as zero. The default is ``eps * max(m, n)``. As in
        LAPACK, numbers not between 0 and 1 stand for u = eps / 2.
    errors : {"raise", "nan"}
        What to do with NaN and infinity: raise, or fill the answer of that problem with NaN and go on with the others.

    Returns
    -------
    x : ndarray, shape (..., n) or (..., n, k)
        The solutions, with a normwise backward error of at most 10 max(m, n) u.
    residuals : ndarray, shape (..., k), or (..., 1) for a vector
        The squared norms of the columns of ``b - a @ x``. NaN in problems without full rank, and shape (..., 0) if
        m <= n. For a single problem without full rank it is empty, as in NumPy.
    rank : int, or ndarray of int64 of shape (...)
        The number of singular values that count.
    s : ndarray of shape (min(m, n),), or None
        The singular values of `a`, for a single problem. None for a stack of problems, where they would take several
        times as long as all the rest: the rank is decided by norm(R) norm(R^-1) where this leaves no doubt.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has less than two dimensions, if the shapes do not fit together, or if a problem holds NaN or infinity
        (the message names the first batch index).
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Problems of up to 32 unknowns (or equations) and 2048 numbers are worked on in SIMD lanes, by QR. Of larger ones
    with more equations than unknowns, R of a and b together is found on all threads, in float64, and solved where the
    rank is full; the others go to LAPACK's xGELSD.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 5.3 and 5.5.

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
    left: Any = a if type(a) is ndarray else as_array(a, "a")
    right: Any = b if type(b) is ndarray else as_array(b, "b")
    if errors == "raise":
        loops = _RAISE
    else:
        check_errors(errors)
        loops = _NAN
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


def _as_limit(rcond: ArrayLike, a: Any, b: Any) -> Array:
    """`rcond` in a type that does not widen float32 problems."""
    narrow = a.dtype.char == b.dtype.char == "f"
    limit = as_float(rcond, "rcond").astype(np.float32 if narrow else np.float64)
    return np.where(np.isnan(limit), limit.dtype.type(-1), limit)


def _explain(error: Exception, a: Any, b: Any) -> Any:
    """What went wrong, in the words of the caller: shapes, types, or the first problem with NaN or infinity."""
    if a.ndim < 2:
        raise LinAlgError(f"lstsq: a must be a matrix or a stack of matrices, got shape {a.shape}") from None
    if b.ndim == 0:
        raise LinAlgError("lstsq: b must be a vector, a matrix or a stack of matrices, got shape ()") from None
    if b.shape[-1 if b.ndim == 1 else -2] != a.shape[-2]:
        raise LinAlgError(
            f"lstsq: Incompatible dimensions: a and b must have as many rows, got shapes {a.shape} and {b.shape}"
        ) from None
    if not isinstance(error, LinAlgError):
        explain("lstsq", error, a=a, b=b)
    bad = ~np.isfinite(a).all(axis=(-2, -1))
    bad = bad | (~np.isfinite(b).all() if b.ndim == 1 else ~np.isfinite(b).all(axis=(-2, -1)))
    raise_for_item("lstsq", "NaN or infinity in a or b", np.asarray(bad))
