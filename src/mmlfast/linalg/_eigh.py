"""Symmetric eigenproblems; public as `eigh` and `eigvalsh` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_operator, check_errors, explain_square, failed_matrix, ndarray, raise_failed
from mmlfast._common.fast_path import fast_path

Array = np.ndarray[Any, Any]


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and the unit eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


_EIGH = {
    ("L", "raise"): _core.eigh,
    ("U", "raise"): _core.eigh_upper,
    ("L", "nan"): _core.eigh_nan,
    ("U", "nan"): _core.eigh_upper_nan,
}
_EIGVALSH = {
    ("L", "raise"): _core.eigvalsh,
    ("U", "raise"): _core.eigvalsh_upper,
    ("L", "nan"): _core.eigvalsh_nan,
    ("U", "nan"): _core.eigvalsh_upper_nan,
}


@fast_path(_core.eigh, result=EighResult)
def eigh(a: ArrayLike, UPLO: str = "L", *, errors: str = "raise") -> EighResult:
    """Eigenvalues and eigenvectors of symmetric matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, float32 or float64. Only one triangle is read.
    UPLO : {"L", "U"}
        The triangle that is read: the lower or the upper one.
    errors : {"raise", "nan"}
        What to do if a matrix has no answer (NaN or infinity in the triangle that is read): raise, or fill its results
        with NaN and go on with the others.

    Returns
    -------
    eigenvalues : ndarray, shape (..., n)
        In ascending order.
    eigenvectors : ndarray, shape (..., n, n)
        Column k is a unit vector of eigenvalue k. With V the eigenvectors and L the diagonal matrix of the eigenvalues,
        norm(A V - V L) is at most 10 n u norm(A) and norm(V'V - I) at most 10 n u, for every matrix.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or if one of more than two rows is not finite (the message names the first batch
        index).
    ValueError
        If `UPLO` is neither "L" nor "U".
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Matrices of 2 and 3 rows are solved in closed form, larger ones by reduction to tridiagonal form and QL,
    all in SIMD lanes. Those of more than 128 rows (20, if there are few) are done one by one, all threads working:
    panels of reflections [3]_ make the tridiagonal form, whose eigenvectors come from QL up to 96 rows, else from
    divide and conquer [2]_. As in NumPy, NaN in a matrix of one or two rows gives NaN and in a larger one
    an error. NumPy's LAPACK does not always find it from 33 rows on; here it is found.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 8.3 (the symmetric QR algorithm).
    .. [2] M. Gu and S. C. Eisenstat, A divide-and-conquer algorithm for the symmetric tridiagonal eigenproblem,
       SIAM J. Matrix Anal. Appl. 16 (1995).
    .. [3] J. J. Dongarra, D. C. Sorensen and S. J. Hammarling, Block reduction of matrices to condensed forms for
       eigenvalue computations, J. Comput. Appl. Math. 27 (1989).

    Examples
    --------
    >>> import mmlfast as mf
    >>> values, vectors = mf.linalg.eigh([[2.0, 1.0], [1.0, 2.0]])
    >>> values
    array([1., 3.])
    >>> (vectors * values @ vectors.T).round(12)
    array([[2., 1.],
           [1., 2.]])
    """
    matrix: Any = a if type(a) is ndarray else as_operator("eigh", a)
    try:
        return EighResult(*_EIGH[UPLO, errors](matrix))
    except KeyError:
        _check_options(UPLO, errors)
        return eigh(matrix, UPLO.upper(), errors=errors)
    except Exception as error:
        _explain("eigh", error, matrix, UPLO)


@fast_path(_core.eigvalsh)
def eigvalsh(a: ArrayLike, UPLO: str = "L", *, errors: str = "raise") -> Array:
    """Eigenvalues of symmetric matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, float32 or float64.
    UPLO, errors : str
        As for `eigh`.

    Returns
    -------
    ndarray, shape (..., n)
        The eigenvalues in ascending order, each right to 10 n u norm(a).

    Raises
    ------
    numpy.linalg.LinAlgError, ValueError, TypeError
        As `eigh` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.eigvalsh([[2.0, 1.0], [1.0, 2.0]])
    array([1., 3.])
    """
    matrix: Any = a if type(a) is ndarray else as_operator("eigvalsh", a)
    try:
        values: Array = _EIGVALSH[UPLO, errors](matrix)
        return values
    except KeyError:
        _check_options(UPLO, errors)
        return eigvalsh(matrix, UPLO.upper(), errors=errors)
    except Exception as error:
        _explain("eigvalsh", error, matrix, UPLO)


def _check_options(uplo: str, errors: str) -> None:
    check_errors(errors)
    if str(uplo).upper() not in ("L", "U"):
        raise ValueError(f"UPLO must be 'L' or 'U', got {uplo!r}")


def _explain(function: str, error: Exception, a: Any, uplo: str) -> NoReturn:
    """Raise for a failed call: name the item without an answer, or explain shapes and dtypes."""
    if not isinstance(uplo, str):
        raise TypeError(
            f"{function}: UPLO must be 'L' or 'U', got {type(uplo).__name__}; for the generalized problem with "
            f"b = L L', pass the symmetric matrix inv(L) @ a @ inv(L).T with L = cholesky(b)"
        ) from None
    explain_square(function, error, a=a)
    _, not_finite = failed_matrix(error, a, uplo == "U")
    what = f"a must be finite, but {not_finite}" if not_finite else "Eigenvalues did not converge"
    raise_failed(function, what, a.shape[:-2], error)
