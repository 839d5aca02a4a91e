"""Echelon forms and what they decide; public as `row_echelon`, `is_singular` and `characteristic_polynomial` of
`mmlfast.linalg`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import (
    as_array,
    as_float,
    as_operator,
    as_real,
    check_matrix,
    check_real,
    check_square,
    float_dtype,
    refuse_dask,
)
from mmlfast._common.lazy import of_stacks
from mmlfast.linalg._exact_elimination import characteristic_polynomial_exact, is_exact, row_echelon_exact

Array = np.ndarray[Any, Any]

# Rows or columns further apart than this, as a power of two, are brought to the same size with more care.
_FAR = 24


class RowEchelon(NamedTuple):
    """A row echelon form, its pivots, and how clear the decisions were."""

    form: Array
    pivots: Any
    rank: Any
    gap: Any


def row_echelon(a: ArrayLike, *, reduced: bool = True, tol: float | None = None) -> RowEchelon:
    """Row echelon form: exact for integers, with decisions that backward error justifies for floating point.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Matrices. Integers and booleans are worked on exactly.
    reduced : bool
        True: each pivot is 1 and alone in its column. False: only what is below the pivots is eliminated.
    tol : float, optional
        For floating point: what is at most `tol` times the size of its row is taken for zero (see Notes), after
        columns and rows are brought to about the same size by powers of two: neither the unit of a column nor the
        factor of an equation has a say. The default is ``max(m, n) * eps``. Integers have no tolerance.

    Returns
    -------
    form : ndarray, shape (..., m, n)
        The echelon form. For integers it is float64, each entry the rational number rounded once (infinite if too
        large).
    pivots : tuple of int, or ndarray of bool, shape (..., n)
        The columns of the pivots; for a stack of matrices a mask of the columns.
    rank : int, or ndarray of int
        The number of pivots.
    gap : float, or ndarray of float
        How clear the rank is: the smallest pivot that was accepted over the largest number that was taken for zero,
        both relative to their rows. Infinite if only exact zeros were rejected, and for integers. A gap near 1 means
        that a slightly different `tol` would give another rank.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has fewer than two dimensions.
    ValueError
        If `tol` is negative or NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Integers are eliminated modulo as many primes as Hadamard's bound asks for, so rank and pivots are proved; the pivot
    of a column is its first nonzero number, as on paper.

    A matrix with NaN or infinity has a form of NaN, no pivots and a gap of NaN.

    Floating point: the pivot is the largest number of its column relative to the size of its row. The size of a row is
    that of the backward error: its largest entry, and with each elimination step the multiplier times the largest entry
    of the pivot row. The form found is the exact form of a matrix whose rows differ from those of `a` by at most a few
    `tol` times these sizes [1]_, and taking a number of that size for zero changes no more than rounding did.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 9.3 and section 9.7.
    .. [2] J. von zur Gathen and J. Gerhard, Modern Computer Algebra, 3rd ed., section 5.5.

    Examples
    --------
    >>> import mmlfast as mf
    >>> form, pivots, rank, gap = mf.linalg.row_echelon([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    >>> form
    array([[ 1.,  0., -1.],
           [ 0.,  1.,  2.],
           [ 0.,  0.,  0.]])
    >>> pivots, rank
    ((0, 1), 2)
    >>> mf.linalg.row_echelon([[0.1, 0.2], [0.3, 0.6]]).rank
    1
    """
    matrix: Any = as_array(a, "a")
    check_real(matrix, "a")
    if matrix.ndim < 2:
        check_matrix("row_echelon", a=matrix)
    if tol is not None:
        tol = _checked_tol("row_echelon", tol)
    if is_exact(matrix):
        if type(matrix) is not np.ndarray:
            refuse_dask("a")
        return _exact_forms(matrix, reduced)
    if tol is None:
        loop = _core.row_echelon if reduced else _core.row_echelon_upper
        form, mask, rank, gap = loop(matrix)
    else:
        loop = _core.row_echelon_tol if reduced else _core.row_echelon_upper_tol
        form, mask, rank, gap = loop(matrix, tol)
    if matrix.ndim == 2 and type(matrix) is np.ndarray:
        return RowEchelon(form, tuple(np.flatnonzero(mask).tolist()), int(rank), float(gap))
    return RowEchelon(form, mask, rank, gap)


def is_singular(a: ArrayLike, *, tol: float | None = None) -> Any:
    """Whether square matrices are singular: proved for integers, up to rounding for floating point.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices. Integers and booleans are decided exactly.
    tol : float, optional
        For floating point: the relative perturbation of each entry that is allowed for. The default is n u, with u the
        unit roundoff.

    Returns
    -------
    bool or ndarray of bool, shape (...)
        For integers: True if and only if the determinant is zero. For floating point: False where every matrix whose
        entries are within `tol` relative to those of `a` is nonsingular by the criterion below, else True. NaN or
        infinity in a matrix: True, it has no inverse.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.
    ValueError, TypeError
        As `row_echelon` does.

    Notes
    -----
    A matrix a + e with ``|e| <= tol |a|``, entry by entry, is nonsingular if ``tol * norm(|inv(a)| |a|) < 1`` [1]_; the
    norm is the smaller of those by rows and by columns. The scale of rows or columns does not matter, so a diagonal
    matrix with the entries 1 and 1e-30 is not singular.

    References
    ----------
    .. [1] J. W. Demmel, The componentwise distance to the nearest singular matrix, SIAM J. Matrix Anal. Appl. 13(1),
       1992.

    Examples
    --------
    >>> import mmlfast as mf
    >>> bool(mf.linalg.is_singular([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    True
    >>> bool(mf.linalg.is_singular([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]))
    True
    >>> bool(mf.linalg.is_singular([[1.0, 0.0], [0.0, 1e-30]]))
    False
    """
    matrix: Any = as_array(a, "a")
    if type(matrix) is not np.ndarray:
        return of_stacks(is_singular, "(n,n)->()", "b", matrix, tol=tol)[0]
    check_real(matrix, "a")
    check_square("is_singular", a=matrix)
    if tol is not None:
        tol = _checked_tol("is_singular", tol)
    if is_exact(matrix):
        return _core.is_exactly_singular(matrix)
    x = as_float(matrix, "a")
    n = x.shape[-1]
    if tol is None:
        tol = n * float(np.finfo(x.dtype).eps) / 2
    with np.errstate(all="ignore"):
        size = np.abs(x)
        # Columns and rows of about the same size, by powers of two: so nothing overflows on the way.
        size, scaled = _balanced(size, x)
        inverse = np.abs(_core.inv_unwarned_nan(scaled))
        # Of a product without negative numbers only the sums of rows and of columns are wanted.
        by_rows = _core.matvec(inverse, size.sum(axis=-1)).max(axis=-1, initial=0)
        by_columns = _core.matvec(inverse.mT, size.sum(axis=-2)).max(axis=-1, initial=0)
        condition = np.minimum(by_rows, by_columns)
        return ~(tol * condition < 1)


def characteristic_polynomial(a: ArrayLike) -> Array:
    """Coefficients of det(x I - a), from the highest power: exact for integers.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices. Integers and booleans are worked on exactly, one matrix at a time.

    Returns
    -------
    ndarray, shape (..., n + 1)
        The coefficients, in the order of `numpy.poly`. For integers they are exact: int64, or Python integers (dtype
        object) if one of them does not fit.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square; if there is a stack of integer matrices.
    ValueError
        If a matrix of floating point holds NaN or infinity.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Integers: det(a - x) for x = 0 .. n modulo as many primes as the coefficients need, then interpolation.

    Floating point: the matrix is reduced to Hessenberg form by orthogonal transformations, then La Budde's recursion
    gives the coefficients [1]_. Small coefficients of matrices with large eigenvalues are as uncertain as the
    polynomial itself is sensitive; do not compute eigenvalues from them.

    References
    ----------
    .. [1] R. Rehman and I. C. F. Ipsen, La Budde's method for computing characteristic polynomials, arXiv:1104.3769,
       2011.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.characteristic_polynomial([[2, 1], [1, 2]])
    array([ 1, -4,  3])
    """
    matrix: Any = as_operator("characteristic_polynomial", a)
    check_real(matrix, "a")
    check_square("characteristic_polynomial", a=matrix)
    if type(matrix) is not np.ndarray:
        sizes = {"p": matrix.shape[-1] + 1}
        lazy: Array = of_stacks(
            characteristic_polynomial, "(n,n)->(p)", "f", matrix.astype(float_dtype(matrix)), sizes=sizes
        )[0]
        return lazy
    if is_exact(matrix):
        return characteristic_polynomial_exact(np.asarray(matrix))
    x = as_float(matrix, "a")
    if not np.isfinite(x).all():
        raise ValueError("characteristic_polynomial: a must not hold NaN or infinity")
    n = x.shape[-1]
    found = np.empty((math.prod(x.shape[:-2]), n + 1))
    for item, row in zip(x.reshape(len(found), n, n), found, strict=True):
        row[:] = _la_budde(item.astype(np.float64))
    with np.errstate(over="ignore"):
        return found.reshape(*x.shape[:-2], n + 1).astype(x.dtype)


def _checked_tol(function: str, tol: Any) -> float:
    number = as_real(tol, f"{function}: tol")
    if not number >= 0:
        raise ValueError(f"{function}: tol must not be negative, got {number}")
    return number


def _exact_forms(matrix: Array, reduced: bool) -> RowEchelon:
    """One by one; a stack gets masks instead of lists of columns."""
    if matrix.ndim == 2:
        form, pivots = row_echelon_exact(matrix, reduced)
        return RowEchelon(form, pivots, len(pivots), math.inf)
    batch, shape = matrix.shape[:-2], matrix.shape[-2:]
    forms = np.zeros((math.prod(batch), *shape))
    mask = np.zeros((math.prod(batch), shape[1]), bool)
    for item, form, columns in zip(matrix.reshape(len(forms), *shape), forms, mask, strict=True):
        form[:], pivots = row_echelon_exact(item, reduced)
        columns[list(pivots)] = True
    mask = mask.reshape(*batch, shape[1])
    return RowEchelon(forms.reshape(matrix.shape), mask, mask.sum(axis=-1), np.full(batch, math.inf))


def _balanced(size: Array, x: Array) -> tuple[Array, Array]:
    """(|x|, x) with columns, then rows, scaled by powers of two to a largest entry in [1/2, 1)."""
    size, x, rows_apart = _levelled(size, x)
    if rows_apart > _FAR:
        size, x, _ = _levelled(*_centred(size, x))
    return size, x


def _levelled(size: Array, x: Array) -> tuple[Array, Array, int]:
    """And how far the largest entries of the rows were below one when the columns were done, as a power of two."""
    exponent = np.zeros((), int)
    for axis in (-2, -1):
        exponent = -np.frexp(size.max(axis=axis, keepdims=True, initial=0))[1]
        size, x = np.ldexp(size, exponent), np.ldexp(x, exponent)
    return size, x, int(exponent.max(initial=0))


def _centred(size: Array, x: Array) -> tuple[Array, Array]:
    """Rows and columns by the powers of two that bring the entries nearest to one, by the squares of their exponents:
    to the same matrix, but for rounding, from any other units [Curtis and Reid, J. Inst. Maths Applics 10, 1972]."""
    there = (size > 0) & np.isfinite(size)
    exponent = np.where(there, np.frexp(size)[1], 0).astype(np.float64)
    rows = columns = np.zeros(())
    for _ in range(40):
        rows = _mean(np.where(there, exponent - columns, 0), there, -1)
        columns = _mean(np.where(there, exponent - rows, 0), there, -2)
    shift = -(np.rint(rows) + np.rint(columns)).astype(np.int64)
    return np.ldexp(size, shift), np.ldexp(x, shift)


def _mean(values: Array, there: Array, axis: int) -> Array:
    count: Array = there.sum(axis=axis, keepdims=True)
    mean: Array = values.sum(axis=axis, keepdims=True) / np.maximum(count, 1)
    return mean


def _la_budde(a: Array) -> Array:
    """Coefficients from the highest power, by the recursion for the leading blocks of a Hessenberg matrix."""
    from scipy.linalg import hessenberg

    n = len(a)
    largest = np.abs(a).max(initial=0)
    exponent = int(np.frexp(largest)[1]) if largest else 0
    h = hessenberg(np.ldexp(a, -exponent)) if n > 2 else np.ldexp(a, -exponent)
    # polynomials[k, i]: the coefficient of x^i in that of the leading block of order k.
    polynomials = np.zeros((n + 1, n + 1))
    polynomials[0, 0] = 1
    for k in range(1, n + 1):
        new = polynomials[k]
        new[1:] = polynomials[k - 1, :-1]
        below = 1.0
        for i in range(k - 1, -1, -1):  # entry (i, k - 1) times the subdiagonal entries from i on
            new -= h[i, k - 1] * below * polynomials[i]
            below *= h[i, i - 1] if i else 0.0
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(polynomials[n, ::-1], exponent * np.arange(n + 1))
