"""Bases of the range and of the null space of a matrix; public as `orth` and `null_space` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast._arrays import as_array, ndarray, raise_for_item
from mmlfast._exact import is_exact, matrix_rank_exact, null_space_exact
from mmlfast._svd import fail_svd, svd

Array = np.ndarray[Any, Any]


def orth(A: ArrayLike, rcond: float | None = None) -> Array:
    """An orthonormal basis of the range, by the singular value decomposition.

    Parameters
    ----------
    A : array_like, shape (..., m, n)
        Matrices, float32 or float64. The matrices of a stack must have the same rank.
    rcond : float, optional
        Singular values of at most `rcond` times the largest one count as zero; the default is ``max(m, n)`` times the
        machine epsilon.

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
    try:
        result = svd(matrix, full_matrices=False)
    except Exception as error:
        fail_svd("orth", error, A=matrix)
    basis: Array = result.U[..., : _common_rank("orth", matrix, result.S, rcond)]
    return basis


def null_space(A: ArrayLike, rcond: float | None = None) -> Array:
    """A basis of the null space: orthonormal, by the singular value decomposition; of integers, exact.

    Parameters
    ----------
    A : array_like, shape (..., m, n)
        Matrices, float32 or float64, or integers. The matrices of a stack must have the same rank.
    rcond : float, optional
        Singular values of at most `rcond` times the largest one count as zero; the default is ``max(m, n)`` times the
        machine epsilon.

    Returns
    -------
    ndarray, shape (..., n, n - rank)
        The basis, in columns. If `A` holds integers and `rcond` is not given, the columns are integers, by exact
        elimination, and not orthonormal.

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
    try:
        if rcond is None and matrix.ndim >= 2 and is_exact(matrix):
            return _null_space_of_integers(matrix)
        result = svd(matrix, full_matrices=True)
    except Exception as error:
        fail_svd("null_space", error, A=matrix)
    rank = _common_rank("null_space", matrix, result.S, rcond)
    basis: Array = np.swapaxes(result.Vh[..., rank:, :], -1, -2)
    return basis


def _null_space_of_integers(matrix: Any) -> Array:
    if matrix.ndim == 2:
        return null_space_exact(matrix)
    rank = np.asarray(matrix_rank_exact(matrix))
    _check_equal("null_space", rank)
    items = [null_space_exact(a) for a in matrix.reshape(-1, *matrix.shape[-2:])]
    n = matrix.shape[-1]
    columns = n - int(rank.flat[0]) if rank.size else 0
    return np.array(items).reshape(*matrix.shape[:-2], n, columns)


def _common_rank(function: str, matrix: Any, s: Any, rcond: float | None) -> int:
    """The one rank of all matrices of a stack."""
    if np.isnan(s).any():
        raise_for_item(function, "NaN or infinity", np.isnan(s).any(axis=-1))
    if rcond is None:
        rcond = max(matrix.shape[-2:]) * float(np.finfo(s.dtype).eps)
    ranks = np.asarray(np.count_nonzero(s > s.max(axis=-1, keepdims=True, initial=0) * s.dtype.type(rcond), axis=-1))
    _check_equal(function, ranks)
    return int(ranks.flat[0]) if ranks.size else min(matrix.shape[-2:])


def _check_equal(function: str, ranks: Array) -> None:
    if ranks.size and (lowest := int(ranks.min())) != (highest := int(ranks.max())):
        raise LinAlgError(
            f"{function}: the ranks in the stack go from {lowest} to {highest}, so that the bases have different "
            f"shapes: take the matrices one by one, or give rcond"
        )
