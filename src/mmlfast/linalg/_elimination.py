"""Gaussian elimination; public as `solve`, `inv`, `det` and `slogdet` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import (
    as_array,
    check_digits,
    check_errors,
    check_square,
    explain,
    explain_matrix,
    explain_square,
    ndarray,
    raise_failed,
)
from mmlfast._common.fast_path import fast_path
from mmlfast._common.labels import check_labels, labelled

Array = np.ndarray[Any, Any]


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


class LUResult(NamedTuple):
    """Permutation (matrix or row indices), unit lower and upper triangular factors."""

    P: Any
    L: Any
    U: Any


class PermutedLUResult(NamedTuple):
    """The lower factor with its rows permuted, and the upper one."""

    PL: Any
    U: Any


@fast_path(_core.solve_vector, _core.solve)
def solve(a: ArrayLike, b: ArrayLike, *, errors: str = "raise", out: Array | None = None) -> Array:
    """Solve ``a @ x = b`` by Gaussian elimination with partial pivoting.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Coefficients: float32, float64, or integers and booleans, which are worked on exactly.
    b : array_like, shape (n,) or (..., n, m)
        Right-hand sides. As in NumPy 2, `b` is a vector only if it has one dimension; else it is a stack of matrices.
    errors : {"raise", "nan"}
        What to do if a matrix is exactly singular: raise, or fill its solution with NaN and go on with the others.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (..., n) or (..., n, m)
        The solutions, with a normwise backward error of at most 10 n u. Where `a` holds integers: the float64 next to
        the exact solution, for integers on the right (also beyond 2**53) and for floating point, taken for what it is.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or is singular (the message names the first batch index).
    ValueError
        If the shapes do not fit together, or labels of the rows (pandas, xarray) are not the same.
    TypeError
        If the numbers are complex or no numbers at all.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If `a` is one matrix (not a batch) of floating point and the answer has no digit left: its condition number is
        beyond 1 / (4 u), whatever the units of its rows and columns are, or elimination lost an equation whose numbers
        are small beside those of another.

    Notes
    -----
    Singular means that elimination meets a pivot of exactly zero, as in LAPACK. A matrix that is singular only up to
    rounding gives a large answer, and a warning if it is alone. Whether a matrix of integers is singular is decided
    exactly.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 3.4 (pivoting).

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.solve([[[2.0, 1.0], [1.0, 3.0]], [[0.0, 1.0], [1.0, 0.0]]], [3.0, 5.0])
    array([[0.8, 1.4],
           [5. , 3. ]])
    >>> mf.linalg.solve([[2**60 + 1, 2**60], [2**60 + 2, 2**60 + 1]], [2**61 + 1, 2**61 + 3])
    array([1., 1.])
    """
    if (type(a) is not ndarray or type(b) is not ndarray) and labelled(a, b):
        _check_rows("solve", a, b)
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    rhs: Any = b if type(b) is ndarray else as_array(b, "b")
    if rhs.dtype.char not in "df" and matrix.dtype.kind == "f" and type(rhs) is ndarray:
        check_digits(rhs, "b")  # integers are exact beside integers only
    if errors == "raise":
        loop = _core.solve_vector if rhs.ndim == 1 else _core.solve
    else:
        check_errors(errors)
        loop = _core.solve_vector_nan if rhs.ndim == 1 else _core.solve_nan
    try:
        x: Array = loop(matrix, rhs) if out is None else loop(matrix, rhs, out=out)
        return x
    except Exception as error:
        check_square("solve", a=matrix)
        if rhs.ndim == 0:
            raise ValueError(
                f"solve: a has shape {matrix.shape}, b has shape (): b must be a vector or matrices"
            ) from None
        as_vectors = 1 < rhs.ndim < matrix.ndim and rhs.shape[-2] != matrix.shape[-1] == rhs.shape[-1]
        if as_vectors and not isinstance(error, LinAlgError | TypeError):
            raise ValueError(
                f"solve: a has shape {matrix.shape}, b has shape {rhs.shape}, which is a stack of matrices, as in "
                f"NumPy 2: for a stack of vectors pass b[..., None] and take [..., 0] of the result"
            ) from None
        _raise_singular("solve", error, a=matrix, b=rhs)


@fast_path(_core.inv)
def inv(a: ArrayLike, *, errors: str = "raise", out: Array | None = None) -> Array:
    """Invert square matrices by Gaussian elimination with partial pivoting.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices: float32, float64, or integers and booleans, which are worked on exactly.
    errors : {"raise", "nan"}
        What to do with exactly singular matrices, see `solve`.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (..., n, n)
        The inverses. To solve equations use `solve`: it is faster and more accurate. Of integers: each entry is the
        float64 next to the exact one.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or is singular (the message names the first batch index); for integers this is
        decided exactly.
    TypeError
        If the numbers are complex or no numbers at all.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If `a` is one matrix and no digit of the inverse is left, see `solve`.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.inv([[2, 1], [1, 1]])
    array([[ 1., -1.],
           [-1.,  2.]])
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    if errors == "raise":
        loop = _core.inv
    else:
        check_errors(errors)
        loop = _core.inv_nan
    try:
        x: Array = loop(matrix) if out is None else loop(matrix, out=out)
        return x
    except Exception as error:
        check_square("inv", a=matrix)
        _raise_singular("inv", error, a=matrix)


@fast_path(_core.det)
def det(a: ArrayLike, *, out: Array | None = None) -> Any:
    """Determinant of square matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices: float32, float64, or integers and booleans, which are worked on exactly.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    scalar or ndarray, shape (...)
        The determinants. Of floating point: exactly 0 where elimination meets a pivot of zero; the product of the
        pivots is kept as mantissa and exponent, so it overflows only where the determinant does. For entries below
        2^250 and determinants above 2^-499 (float32: 2^30 and 2^-59) 2 x 2 are right to two units in the last place,
        3 x 3 are those of a matrix whose first column differs by a few rounding errors of each entry. Of a matrix that
        is exactly singular elimination may leave a rounding error instead of a pivot of zero, hence so does this. Of
        integers: the float64 next to the exact value, so 0 if and only if the matrix is singular.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import mmlfast as mf
    >>> float(mf.linalg.det([[2.0, 1.0], [1.0, 3.0]]))
    5.0
    >>> float(mf.linalg.det([[9007199254740994, 9007199254740992], [9007199254740996, 9007199254740994]]))
    4.0
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    try:
        return _core.det(matrix) if out is None else _core.det(matrix, out=out)
    except Exception as error:
        explain_square("det", error, a=matrix)
        raise


@fast_path(_core.slogdet, result=SlogdetResult)
def slogdet(a: ArrayLike) -> SlogdetResult:
    """Sign and logarithm of the determinant of square matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices: float32, float64, or integers and booleans, which are worked on exactly.

    Returns
    -------
    sign : scalar or ndarray, shape (...)
        -1, 0 or 1.
    logabsdet : scalar or ndarray, shape (...)
        The natural logarithm of the absolute value, -inf for a determinant of zero.

    Raises
    ------
    numpy.linalg.LinAlgError, TypeError
        As `det` does.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> sign, logabsdet = mf.linalg.slogdet(1e-200 * np.eye(3))
    >>> float(sign), round(float(logabsdet), 6)
    (1.0, -1381.551056)
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    try:
        return SlogdetResult(*_core.slogdet(matrix))
    except Exception as error:
        explain_square("slogdet", error, a=matrix)
        raise


@fast_path(_core.lu_tall, wide=(_core.lu_wide,), result=LUResult)
def lu(
    a: ArrayLike,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = False,
    p_indices: bool = False,
) -> LUResult | PermutedLUResult:
    """LU factors of matrices by Gaussian elimination with partial pivoting: ``a = P @ L @ U``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Matrices, float32 or float64.
    permute_l : bool
        Return ``P @ L`` as one array.
    overwrite_a : bool
        Accepted for the sake of SciPy's signature; `a` is never changed.
    check_finite : bool
        Raise ValueError if there is NaN or infinity anywhere. Unlike SciPy's the default is not to look: they stay in
        their item of the batch.
    p_indices : bool
        Return the permutation as row indices: ``a = L[P] @ U`` for one matrix.

    Returns
    -------
    P : ndarray, shape (..., m, m), or (..., m) of int32
        The permutation; not there with `permute_l`.
    L : ndarray, shape (..., m, k)
        Lower triangular with a unit diagonal, k = min(m, n); with `permute_l` this is ``P @ L``, called ``PL``.
    U : ndarray, shape (..., k, n)
        Upper triangular. A zero on its diagonal means that the matrix is singular, which is not an error here.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has fewer than two dimensions.
    ValueError
        If `check_finite` finds something.
    TypeError
        As `solve` does.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 3.4, on pivoting.

    Examples
    --------
    >>> import mmlfast as mf
    >>> p, l, u = mf.linalg.lu([[1.0, 2.0], [4.0, 4.0]])
    >>> u
    array([[4., 4.],
           [0., 1.]])
    >>> p @ l @ u
    array([[1., 2.],
           [4., 4.]])
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    if check_finite and not np.isfinite(matrix).all():
        raise ValueError("lu: a must not contain infs or NaNs")
    try:
        tall = matrix.shape[-2] >= matrix.shape[-1]
        if permute_l:
            return PermutedLUResult(*(_core.lu_tall_permuted if tall else _core.lu_wide_permuted)(matrix))
        if p_indices:
            return LUResult(*(_core.lu_tall_indices if tall else _core.lu_wide_indices)(matrix))
        return LUResult(*(_core.lu_tall if tall else _core.lu_wide)(matrix))
    except Exception as error:
        explain_matrix("lu", error, a=matrix)


def _check_rows(function: str, a: Any, b: Any) -> None:
    """The rows of a are the equations, and so are those of b."""
    if getattr(a, "ndim", 0) <= 2 and getattr(b, "ndim", 0) <= 2:
        check_labels(function, a=(a, "mn", "m"), b=(b, "mk", "m"))


def _raise_singular(function: str, error: Exception, a: Any, **others: Any) -> NoReturn:
    """Raise for a failed elimination: name the singular item, or explain shapes and dtypes."""
    if not isinstance(error, LinAlgError):
        explain(function, error, a=a, **others)
    # A vector counts for all items; a stack of matrices has batch axes of its own.
    batch = np.broadcast_shapes(a.shape[:-2], *(x.shape[:-2] for x in others.values()))
    if not batch:
        raise LinAlgError(
            f"{function}: Singular matrix: a of shape {a.shape} has no inverse; pinv and lstsq take it"
        ) from None
    raise_failed(f"{function}: a of shape {a.shape}", "Singular matrix", batch, error)
