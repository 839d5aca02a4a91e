"""The Cholesky factor; public as `cholesky` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_array, check_errors, check_square, explain, ndarray, raise_for_item
from mmlfast._short_way import short_way

Array = np.ndarray[Any, Any]


@short_way(_core.cholesky)
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
        If a matrix is not square, or is not positive definite (the message names the first batch index).
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Not positive definite means that the factorization meets a pivot that is not greater than zero. A matrix with NaN in
    the triangle that is read has such a pivot, so it is refused too; `numpy.linalg.cholesky` returns NaN for it on some
    LAPACKs and raises on others.

    References
    ----------
    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 10.1.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.cholesky([[4.0, 2.0], [2.0, 10.0]])
    array([[2., 0.],
           [1., 3.]])
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    if errors == "raise":
        loop = _core.cholesky_upper if upper else _core.cholesky
    else:
        check_errors(errors)
        loop = _core.cholesky_upper_nan if upper else _core.cholesky_nan
    try:
        x: Array = loop(matrix) if out is None else loop(matrix, out=out)
        return x
    except Exception as error:
        check_square("cholesky", a=matrix)
        if not isinstance(error, LinAlgError):
            explain("cholesky", error, a=matrix)
        # What was written to `out` tells it already, and may stand in the place of the matrix.
        found = out if out is not None else (_core.cholesky_upper_nan if upper else _core.cholesky_nan)(matrix)
        raise_for_item("cholesky", "Matrix is not positive definite", np.isnan(found[..., 0, 0]))
