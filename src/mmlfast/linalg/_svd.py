"""The singular value decomposition; public as functions of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, check_errors, explain_matrix, ndarray, raise_for_item
from mmlfast._common.fast_path import fast_path
from mmlfast._common.lazy import of_stacks
from mmlfast.linalg._column_units import default_rtol
from mmlfast.linalg._exact_elimination import is_exact, matrix_rank_exact

Array = np.ndarray[Any, Any]


# Norms below this may have lost digits to squares that vanish.
_FAR_BELOW_ONE = 1e-130


class SVDResult(NamedTuple):
    """Left singular vectors, singular values and the transpose of the right singular vectors."""

    U: Any
    S: Any
    Vh: Any


@overload
def svd(
    a: ArrayLike, full_matrices: bool = True, compute_uv: Literal[True] = True, hermitian: bool = False
) -> SVDResult: ...
@overload
def svd(a: ArrayLike, full_matrices: bool, compute_uv: Literal[False], hermitian: bool = False) -> Array: ...
@overload
def svd(a: ArrayLike, full_matrices: bool = True, *, compute_uv: Literal[False], hermitian: bool = False) -> Array: ...
@fast_path(
    _core.svd_tall_whole,
    wide=(_core.svd_wide_whole,),
    result=SVDResult,
    keyword=("full_matrices", False, (_core.svd_tall,), (_core.svd_wide,)),
)
def svd(
    a: ArrayLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> SVDResult | Array:
    """Singular value decomposition: ``a = U @ diag(S) @ Vh``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Matrices, float32 or float64.
    full_matrices : bool
        Whether U and Vh are square, (m, m) and (n, n), or (m, k) and (k, n) with k = min(m, n).
    compute_uv : bool
        False returns S alone.
    hermitian : bool
        Take `a` to be symmetric, and only look at its lower triangle: by its eigenvalues.

    Returns
    -------
    U : ndarray, shape (..., m, m) or (..., m, k)
        Orthonormal columns, also for singular values of zero.
    S : ndarray, shape (..., k)
        Singular values, descending.
    Vh : ndarray, shape (..., n, n) or (..., k, n)
        Orthonormal rows.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has fewer than two dimensions.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    A matrix that holds a NaN or an infinity gets NaN in all its results, at once, and the other matrices of a stack
    what they get without it. (NumPy raises for a NaN, and may never return for an infinity.)

    Matrices with ``k <= 12``, and stacks of matrices with ``k <= 64`` (without vectors 32), are done by one-sided
    Jacobi, whose small singular values are right to nearly all digits where scaling the columns (``m >= n``; else the
    rows) makes the matrix well-conditioned. Others are reduced to bidiagonal form, which is divided and conquered [2]_;
    LAPACK does it all (gesdd) for ``k <= 48`` and where one side is more than four times the other. Values alone are
    LAPACK's from that form on (dqds), or altogether for ``k <= 16`` and from twice as long as wide on. Signs of
    singular vectors may differ from NumPy's.

    References
    ----------
    .. [1] J. Demmel and K. Veselic, Jacobi's method is more accurate than QR, SIAM J. Matrix Anal. Appl. 13 (1992).
    .. [2] M. Gu and S. C. Eisenstat, A divide-and-conquer algorithm for the bidiagonal SVD, SIAM J. Matrix Anal. Appl.
       16 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> a = np.array([[3.0, 0.0], [4.0, 5.0]])
    >>> u, s, vh = mf.linalg.svd(a)
    >>> s**2
    array([45.,  5.])
    >>> np.allclose(u @ np.diag(s) @ vh, a)
    True
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    try:
        m, n = matrix.shape[-2:]
        if hermitian:
            result: SVDResult | Array = _svd_of_symmetric(matrix, compute_uv)
            return result
        if not compute_uv:
            values: Array = (_core.svdvals_wide if m < n else _core.svdvals_tall)(matrix)
            return values
        if full_matrices:
            loop = _core.svd_wide_whole if m < n else _core.svd_tall_whole
        else:
            loop = _core.svd_wide if m < n else _core.svd_tall
        return SVDResult._make(loop(matrix))
    except Exception as error:
        explain_matrix("svd", error, a=matrix)


@fast_path(_core.svdvals_tall, wide=(_core.svdvals_wide,))
def svdvals(x: ArrayLike, /) -> Array:
    """Singular values, descending.

    Parameters
    ----------
    x : array_like, shape (..., m, n)
        Matrices, float32 or float64.

    Returns
    -------
    ndarray, shape (..., min(m, n))
        The singular values, see `svd`; NaN for a matrix that holds a NaN or an infinity.

    Raises
    ------
    numpy.linalg.LinAlgError, TypeError
        As `svd` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.svdvals([[0.0, 2.0], [3.0, 0.0]])
    array([3., 2.])
    """
    matrix: Any = x if type(x) is ndarray else as_array(x, "x")
    try:
        m, n = matrix.shape[-2:]
        values: Array = (_core.svdvals_wide if m < n else _core.svdvals_tall)(matrix)
        return values
    except Exception as error:
        explain_matrix("svdvals", error, x=matrix)


def matrix_rank(
    A: ArrayLike,
    tol: ArrayLike | None = None,
    hermitian: bool = False,
    *,
    rtol: ArrayLike | None = None,
    errors: str = "raise",
) -> Any:
    """The rank: how many singular values count as more than zero.

    Parameters
    ----------
    A : array_like, shape (..., m, n)
        Matrices, float32 or float64. With fewer than two dimensions, the rank is 0 if all numbers are zero, else 1.
        The rank of integers is exact, by elimination, unless a tolerance is given.
    tol : array_like, shape (...), optional
        Singular values of at most `tol` count as zero.
    hermitian : bool
        Take `A` to be symmetric, see `svd`.
    rtol : array_like, shape (...), optional
        The same relative to the largest singular value. Only one of `tol` and `rtol` may be given. If neither is, the
        columns are brought to lengths of about one by powers of two first, so that the rank does not depend on their
        units, and what is above ``max(m, n)`` times the machine epsilon counts (of a side longer than 1024 no more
        than 1024, or the other side, so that columns do not disappear in many rows).
    errors : {"raise", "nan"}
        What to do with a matrix that holds a NaN or an infinity: raise, or give it the rank -1 and go on.

    Returns
    -------
    int or ndarray of int, shape (...)
        The ranks.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix holds a NaN or an infinity (the message names the first batch index).
    ValueError
        If both `tol` and `rtol` are given.
    TypeError
        If the numbers are complex or no numbers at all.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 5.4.1 (numerical rank and the SVD).

    Examples
    --------
    >>> import mmlfast as mf
    >>> int(mf.linalg.matrix_rank([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
    2
    """
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: `tol` and `rtol` can't be both set.")
    check_errors(errors)
    matrix: Any = A if type(A) is ndarray else as_array(A, "A")
    if type(matrix) is not ndarray:
        options: dict[str, Any] = {"tol": tol, "hermitian": hermitian, "rtol": rtol, "errors": errors}
        return of_stacks(matrix_rank, "(m,n)->()", "i", matrix, **options)[0]
    if matrix.ndim < 2:
        return int(bool((as_float(matrix, "A") != 0).any()))
    try:
        if rtol is None and tol is None:
            if is_exact(matrix):
                return matrix_rank_exact(matrix)
            rank = _core.rank_of_units_nan(
                _mirrored(matrix) if hermitian else matrix, _as_weak(default_rtol(matrix), matrix)
            )
        elif hermitian:
            limit = tol if rtol is None else rtol
            rank = _rank_of_symmetric(matrix, limit, rtol is not None)
        else:
            loop = _core.rank_tol_nan if rtol is None else _core.rank_rtol_nan
            rank = loop(matrix, _as_weak(tol, matrix, "tol") if rtol is None else _as_weak(rtol, matrix))
    except Exception as error:
        explain_matrix("matrix_rank", error, A=matrix)
    if errors == "raise" and (rank.min(initial=0) if rank.ndim else rank) < 0:
        raise_for_item("matrix_rank", "NaN or infinity", np.asarray(rank) < 0)
    return rank


def cond(x: ArrayLike, p: float | str | None = None) -> Any:
    """The condition number: how much larger a relative error can get in solving equations.

    Parameters
    ----------
    x : array_like, shape (..., m, n)
        Matrices, float32 or float64; square unless `p` is None, 2 or -2.
    p : {None, 2, -2, 1, -1, inf, -inf, "fro", "nuc"}
        The norm, as for `numpy.linalg.norm`. None and 2: the largest singular value by the smallest; -2: the smallest
        by the largest.

    Returns
    -------
    scalar or ndarray, shape (...)
        The condition numbers: infinite for a singular matrix, NaN only for one that holds a NaN.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is empty, or is not square where it has to be.
    TypeError
        If the numbers are complex or no numbers at all.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 2.6.2 (condition).

    Examples
    --------
    >>> import mmlfast as mf
    >>> float(mf.linalg.cond([[4.0, 0.0], [0.0, 0.5]]))
    8.0
    """
    matrix: Any = x if type(x) is ndarray else as_array(x, "x")
    try:
        if 0 in matrix.shape[-2:] and matrix.ndim >= 2:
            raise LinAlgError(f"cond: not defined for empty matrices, got shape {matrix.shape}")
        m, n = matrix.shape[-2:]
        if p is None or p == 2:
            return _core.cond(matrix)
        if p == -2:
            return _core.cond_inverse(matrix)
    except Exception as error:
        explain_matrix("cond", error, x=matrix)
    if p not in _ORDERS:
        raise ValueError(f"cond: p must be one of None, 2, -2, 1, -1, inf, -inf, 'fro' and 'nuc', got {p!r:.60}")
    if m != n:
        raise LinAlgError(f"cond: the last two dimensions of x must be equal for p = {p!r}, got shape {matrix.shape}")
    return _cond_by_norms(as_float(matrix, "x"), p)


def _mirrored(matrix: Any) -> Any:
    """The lower triangle on both sides of the diagonal."""
    below = np.tril(matrix)
    return below + np.swapaxes(np.tril(matrix, -1), -1, -2)


def _as_weak(limit: Any, matrix: Any, name: str = "rtol") -> Any:
    """A tolerance in the precision of the matrices: it must not turn float32 into float64."""
    given = limit if type(limit) is float else as_float(limit, name)
    return np.asarray(given, np.float32 if matrix.dtype.type is np.float32 else np.float64)


def _svd_of_symmetric(matrix: Any, compute_uv: bool) -> SVDResult | Array:
    """Singular values are the absolute eigenvalues, and their signs go to the right vectors."""
    a = as_float(matrix, "a")
    if a.shape[-1] != a.shape[-2]:
        raise LinAlgError(f"svd: the last two dimensions of a must be equal if hermitian, got shape {a.shape}")
    bad = np.asarray(~np.isfinite(a).all(axis=(-1, -2)))
    values, vectors = np.linalg.eigh(np.where(bad[..., None, None], a.dtype.type(0), a))
    order = np.argsort(-np.abs(values), axis=-1, kind="stable")
    values = np.take_along_axis(values, order, axis=-1)
    s: Array = np.abs(values)
    s[bad] = np.nan
    if not compute_uv:
        return s
    u = np.take_along_axis(vectors, order[..., None, :], axis=-1)
    u[bad] = np.nan
    signed = u * np.copysign(a.dtype.type(1), values)[..., None, :]
    return SVDResult(u, s, np.swapaxes(signed, -1, -2))


def _rank_of_symmetric(matrix: Any, limit: Any, relative: bool) -> Any:
    s = svd(matrix, compute_uv=False, hermitian=True)
    bound = np.asarray(limit)[..., None]
    if relative:
        bound = bound * s.max(axis=-1, keepdims=True, initial=0)
    return np.where(np.isnan(s).any(axis=-1), -1, np.count_nonzero(s > bound, axis=-1))


_ORDERS = (1, -1, np.inf, -np.inf, "fro", "nuc")


def _cond_by_norms(a: Array, p: Any) -> Any:
    """By the inverse, in float64 whatever the input, as in NumPy. A singular matrix has no inverse: infinite."""
    wide = a.astype(np.float64, order="C")  # the sums of a norm would else run in another order
    with np.errstate(all="ignore"):
        norm, other = _norm(wide, p), _norm(_core.inv_unwarned_nan(wide), p)
        product = norm * other
        if a.ndim == 2:
            least, most = min(norm, other), product
        else:
            least, most = min(norm.min(initial=1), other.min(initial=1)), product.max(initial=0)
        if not (least > _FAR_BELOW_ONE and most < 1 / _FAR_BELOW_ONE):
            wide, _ = _near_one(wide)
            inverse, power = _near_one(_core.inv_unwarned_nan(wide))
            product = np.ldexp(_norm(wide, p) * _norm(inverse, p), power)
        product = np.asarray(product, a.dtype)
    hopeless = np.isnan(product) & ~np.isnan(a).any(axis=(-2, -1))
    return np.where(hopeless, a.dtype.type(np.inf), product)[()]


def _norm(a: Array, p: Any) -> Any:
    return np.linalg.norm(a, p, axis=(-2, -1)) if np.isfinite(a).all() else _norm_of_any(a, p)


def _near_one(a: Array) -> tuple[Array, Array]:
    """Each matrix times a power of two, so that its squares stay in range, and the exponent that undoes it."""
    power = np.asarray(np.frexp(np.abs(a).max(axis=(-2, -1), initial=0))[1])
    return np.ldexp(a, -power[..., None, None]), power


def _norm_of_any(a: Array, p: Any) -> Any:
    """Norms of matrices, NaN where one holds a NaN or an infinity (on which NumPy's nuclear norm may never end)."""
    bad = np.asarray(~np.isfinite(a).all(axis=(-2, -1)))
    return np.where(bad, np.nan, np.linalg.norm(np.where(bad[..., None, None], 0.0, a), p, axis=(-2, -1)))
