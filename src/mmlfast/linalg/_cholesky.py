"""The Cholesky factor; public as `cholesky` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_operator, check_errors, explain_square, failed_matrix, ndarray, raise_failed
from mmlfast._common.fast_path import fast_path

Array = np.ndarray[Any, Any]


@fast_path(_core.cholesky)
def cholesky(a: ArrayLike, /, *, upper: bool = False, errors: str = "raise", out: Array | None = None) -> Array:
    """Cholesky factor of symmetric positive definite matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Symmetric matrices, float32 or float64. Only the lower triangle is read (the upper one with `upper`); whether
        the other one agrees is not checked.
    upper : bool
        Return U with ``a = U.T @ U`` instead of L with ``a = L @ L.T``.
    errors : {"raise", "nan"}
        What to do if a matrix is not positive definite: raise, or fill its factor with NaN and go on with the others.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (..., n, n)
        The factors, the other triangle zero, with a normwise backward error of at most 10 n u.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or is not positive definite (the message names the first batch index, and the order
        of its first leading minor that is not).
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Not positive definite means that the factorization meets a pivot that is not greater than zero. A matrix with NaN in
    the triangle that is read has such a pivot, so it is refused too; `numpy.linalg.cholesky` returns NaN for it on some
    LAPACKs and raises on others.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1, theorem 10.3.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.cholesky([[4.0, 2.0], [2.0, 10.0]])
    array([[2., 0.],
           [1., 3.]])
    """
    matrix: Any = a if type(a) is ndarray else as_operator("cholesky", a)
    if errors == "raise":
        loop = _core.cholesky_upper if upper else _core.cholesky
    else:
        check_errors(errors)
        loop = _core.cholesky_upper_nan if upper else _core.cholesky_nan
    # What is written over cannot be looked at again.
    kept = (
        matrix if out is None or type(matrix) is not ndarray or not np.may_share_memory(matrix, out) else matrix.copy()
    )
    try:
        x: Array = loop(matrix) if out is None else loop(matrix, out=out)
        return x
    except Exception as error:
        explain_square("cholesky", error, a=matrix)
        _raise_not_definite(error, kept, upper)


def _raise_not_definite(error: Exception, a: Any, upper: bool) -> NoReturn:
    """LinAlgError that names the first matrix without a factor, and the order of the minor where it ends."""
    loop = _core.cholesky_upper_nan if upper else _core.cholesky_nan
    first, not_finite = failed_matrix(error, a, upper)
    if not_finite:
        what = f"Matrix is not positive definite: {not_finite}"
    else:
        matrix = a[first]
        good, order = 0, len(matrix)  # of leading minors that are positive definite, and that are not
        while order - good > 1:
            middle = (good + order) // 2
            if np.isnan(loop(matrix[:middle, :middle])[0, 0]):
                order = middle
            else:
                good = middle
        what = f"Matrix is not positive definite (its leading minor of order {order} is not)"
    raise_failed("cholesky", what, a.shape[:-2], error)
