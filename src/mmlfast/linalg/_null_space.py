"""Bases of the range and of the null space of a matrix; public as `orth` and `null_space` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, as_real, explain_matrix, ndarray, raise_for_item, refuse_dask
from mmlfast.linalg._column_units import default_rtol, length_exponents, orthonormal, unevenness
from mmlfast.linalg._exact_elimination import is_exact, matrix_rank_exact, null_space_exact
from mmlfast.linalg._svd import svd

Array = np.ndarray[Any, Any]

# Columns further apart than this, as a power of two, are brought to the same size for their singular vectors.
_FAR = 12


def orth(A: ArrayLike, rcond: float | None = None) -> Array:
    """An orthonormal basis of the range, by the singular value decomposition.

    Parameters
    ----------
    A : array_like, shape (..., m, n)
        Matrices, float32 or float64. The matrices of a stack must have the same rank.
    rcond : float, optional
        Singular values of at most `rcond` times the largest one count as zero. By default the rank is that of
        `matrix_rank`, which does not depend on the units of the columns.

    Returns
    -------
    ndarray, shape (..., m, rank)
        The basis, in columns.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix holds a NaN or an infinity, or if the ranks in a stack differ: the bases would have different
        shapes.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> np.abs(mf.linalg.orth([[1.0, 2.0], [1.0, 2.0]])) * np.sqrt(2)
    array([[1.],
           [1.]])
    """
    matrix: Any = A if type(A) is ndarray else as_array(A, "A")
    if type(matrix) is not ndarray:
        refuse_dask("A")
    try:
        result = svd(matrix, full_matrices=False)
    except Exception as error:
        explain_matrix("orth", error, A=matrix)
    rank, again = _common_rank("orth", matrix, result.S, rcond)
    basis: Array = result.U[..., :rank]
    for index in again:  # the columns span the same at any length
        a = np.asarray(matrix)[index]
        basis[index] = svd(np.ldexp(a, -length_exponents(a)), full_matrices=False).U[:, :rank]
    return basis


def null_space(A: ArrayLike, rcond: float | None = None) -> Array:
    """A basis of the null space: orthonormal, by the singular value decomposition; of integers, exact.

    Parameters
    ----------
    A : array_like, shape (..., m, n)
        Matrices, float32 or float64, or integers. The matrices of a stack must have the same rank.
    rcond : float, optional
        As for `orth`.

    Returns
    -------
    ndarray, shape (..., n, n - rank)
        The basis, in columns. If `A` holds integers and `rcond` is not given, the columns are integers, by exact
        elimination, and not orthonormal.

    Raises
    ------
    numpy.linalg.LinAlgError, TypeError
        As `orth` does.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> z = mf.linalg.null_space([[1.0, 1.0], [1.0, 1.0]])
    >>> np.round(z / z[0], 12) + 0.0
    array([[ 1.],
           [-1.]])
    >>> mf.linalg.null_space([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[ 1],
           [-2],
           [ 1]])
    """
    matrix: Any = A if type(A) is ndarray else as_array(A, "A")
    if type(matrix) is not ndarray:
        refuse_dask("A")
    try:
        if rcond is None and matrix.ndim >= 2 and is_exact(matrix):
            return _null_space_of_integers(matrix)
        result = svd(matrix, full_matrices=True)
    except Exception as error:
        explain_matrix("null_space", error, A=matrix)
    rank, again = _common_rank("null_space", matrix, result.S, rcond)
    basis: Array = np.swapaxes(result.Vh[..., rank:, :], -1, -2)
    for index in again if rank < basis.shape[-2] else ():
        basis[index] = _null_space_of_units(np.asarray(matrix)[index], rank)
    return basis


def _null_space_of_units(a: Array, rank: int) -> Array:
    """That of `a` with columns of length one, back in the units of `a`."""
    power = length_exponents(a)
    vectors = svd(np.ldexp(a, -power), full_matrices=True).Vh[rank:].T
    # A column of zeros has no unit: its own axis is in the null space at any.
    lengths = np.where(np.abs(a).max(axis=0) > 0, -power[0], -power[0][np.abs(a).max(axis=0) > 0].max(initial=0))
    return orthonormal(np.ldexp(vectors, (lengths - lengths.max(initial=-5000))[:, None]))[0]


def _null_space_of_integers(matrix: Any) -> Array:
    if matrix.ndim == 2:
        return null_space_exact(matrix)
    rank = np.asarray(matrix_rank_exact(matrix))
    _check_equal("null_space", rank)
    items = [null_space_exact(a) for a in matrix.reshape(-1, *matrix.shape[-2:])]
    n = matrix.shape[-1]
    columns = n - int(rank.flat[0]) if rank.size else 0
    return np.array(items).reshape(*matrix.shape[:-2], n, columns)


@np.errstate(over="ignore", under="ignore")
def _common_rank(function: str, matrix: Any, s: Any, rcond: float | None) -> tuple[int, list[Any]]:
    """The one rank of all matrices of a stack, and the indices of those whose columns are too far apart in size for
    the singular vectors to show it."""
    rtol = default_rtol(matrix) if rcond is None else as_real(rcond, f"{function}: rcond")
    if rcond is None and s.size and (s[..., -1] > s[..., 0] * (4 * rtol * matrix.shape[-1] ** 0.5)).all():
        return s.shape[-1], []  # well above the limit it is full, whatever the lengths of the columns
    return _rank_of_each(function, matrix, s, rtol, rcond is None)


def _rank_of_each(function: str, matrix: Any, s: Any, rtol: float, by_units: bool) -> tuple[int, list[Any]]:
    if np.isnan(s).any():
        raise_for_item(function, "NaN or infinity", np.isnan(s).any(axis=-1))
    limit = s.max(axis=-1, keepdims=True, initial=0) * s.dtype.type(rtol)
    ranks = np.asarray(np.count_nonzero(s > limit, axis=-1))
    again: list[Any] = []
    if by_units and s.size:
        a = as_float(matrix, "A")
        uneven = np.asarray(unevenness(a))
        if uneven.any():
            right = np.asarray(_core.rank_of_units_nan(a, s.dtype.type(rtol)))
            again = [tuple(i) for i in np.argwhere((uneven > _FAR) | (ranks != right))]
            ranks = right
    _check_equal(function, ranks)
    return (int(ranks.flat[0]) if ranks.size else min(matrix.shape[-2:])), again


def _check_equal(function: str, ranks: Array) -> None:
    if ranks.size and (lowest := int(ranks.min())) != (highest := int(ranks.max())):
        raise LinAlgError(
            f"{function}: the ranks in the stack go from {lowest} to {highest}, so that the bases have different "
            f"shapes: take the matrices one by one, or give rcond"
        )
