"""General eigenproblems through LAPACK; public as `eig`, `diagonalize` and `matrix_power` of `mmlfast.linalg`."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast._arrays import as_array, as_float, check_errors, check_real, check_square, raise_for_item
from mmlfast._eigh import eigh
from mmlfast._elimination import inv
from mmlfast._matmul import matmul

Array = np.ndarray[Any, Any]


class EigResult(NamedTuple):
    """Eigenvalues in no particular order, and the unit eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class Diagonalization(NamedTuple):
    """The factors of ``a = eigenvectors @ diag(eigenvalues) @ inverse``."""

    eigenvectors: Any
    eigenvalues: Any
    inverse: Any


def eig(a: ArrayLike) -> EigResult:
    """Eigenvalues and right eigenvectors of square matrices.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices, float32 or float64. For symmetric ones `eigh` is faster and more accurate.

    Returns
    -------
    eigenvalues : ndarray, shape (..., n)
        In no particular order. Complex if one of the matrices has complex eigenvalues, else real.
    eigenvectors : ndarray, shape (..., n, n)
        Column k is a unit vector of eigenvalue k. The columns of a defective matrix are linearly dependent up to
        rounding: `diagonalize` decides.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square or not finite, or the iteration does not converge.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> values, vectors = mf.linalg.eig([[0.0, -1.0], [1.0, 0.0]])
    >>> values
    array([0.+1.j, 0.-1.j])
    """
    x = as_float(a, "a")
    check_square("eig", a=x)
    return EigResult(*np.linalg.eig(x))


def diagonalize(a: ArrayLike, *, errors: str = "raise") -> Diagonalization:
    """Diagonalize square matrices: ``a = eigenvectors @ diag(eigenvalues) @ inverse``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Matrices, float32 or float64.
    errors : {"raise", "nan"}
        What to do with matrices that are defective or not finite: raise, or fill their results with NaN and go on with
        the others.

    Returns
    -------
    eigenvectors : ndarray, shape (..., n, n)
        Unit vectors as columns, orthonormal for a symmetric matrix.
    eigenvalues : ndarray, shape (..., n)
        In the order of the columns; ascending for a symmetric matrix. Complex if one of the matrices has complex
        eigenvalues, and so are then the vectors.
    inverse : ndarray, shape (..., n, n)
        The inverse of the matrix of eigenvectors; its transpose for a symmetric matrix.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, not finite or defective (the message names the first batch index).
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    A matrix is defective if it has fewer than n independent eigenvectors; rounding makes the computed ones independent
    again, but only just. If the matrix V of unit eigenvectors has condition k, then a defective matrix is about
    ``norm(a) / k**2`` away. So a matrix is refused from ``k = 1 / sqrt(10 n eps)`` on: it cannot be told from a
    defective one by the precision of its elements. Before that, eigenvalues that agree to rounding get an orthonormal
    basis of their common null space, if that is large enough: a repeated eigenvalue is no reason to refuse. The product
    of the factors differs from `a` by up to about ``k n eps norm(a)``.
    A symmetric matrix is never refused, whatever its eigenvalues.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 7.1 and 7.2.
    .. [2] J. H. Wilkinson, Sensitivity of eigenvalues, Utilitas Math. 25, 1984: the distance to a defective matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> vectors, values, inverse = mf.linalg.diagonalize([[4.0, 1.0], [2.0, 3.0]])
    >>> np.sort(values)
    array([2., 5.])
    >>> np.round(vectors @ np.diag(values**10) @ inverse)
    array([[6510758., 3254867.],
           [6509734., 3255891.]])
    >>> mf.linalg.diagonalize([[1.0, 1.0], [0.0, 1.0]])
    Traceback (most recent call last):
        ...
    numpy.linalg.LinAlgError: diagonalize: Matrix is defective, it has too few independent eigenvectors
    """
    check_errors(errors)
    x = as_float(a, "a")
    check_square("diagonalize", a=x)
    finite = np.asarray(np.isfinite(x).all(axis=(-2, -1)))
    if errors == "raise" and not finite.all():
        raise_for_item("diagonalize", "Matrix is not finite", ~finite)
    wide = np.where(finite[..., None, None], x, 0).astype(np.float64)
    vectors, values, inverse, good = _factors(wide, 1 / np.sqrt(10 * max(x.shape[-1], 1) * np.finfo(x.dtype).eps))
    if errors == "raise" and not good.all():
        raise_for_item("diagonalize", "Matrix is defective, it has too few independent eigenvectors", ~good)
    good = good & finite
    if not good.all():
        vectors, inverse = (np.where(good[..., None, None], m, np.nan) for m in (vectors, inverse))
        values = np.where(good[..., None], values, np.nan)
    if x.dtype == np.float32:
        narrow = np.complex64 if np.iscomplexobj(values) else np.float32
        vectors, values, inverse = (m.astype(narrow) for m in (vectors, values, inverse))
    return Diagonalization(vectors, values, inverse)


def _factors(a: Array, largest_condition: float) -> tuple[Array, Array, Array, Array]:
    """Eigenvectors, eigenvalues, inverse, and whether their condition is good; if not, the inverse is arbitrary."""
    symmetric = (a == a.swapaxes(-1, -2)).all(axis=(-2, -1))
    if symmetric.all():
        values, vectors = eigh(a)
        return vectors, values, vectors.swapaxes(-1, -2).copy(), np.ones(symmetric.shape, bool)
    values, vectors = np.linalg.eig(a)
    if symmetric.any():
        values[symmetric], vectors[symmetric] = eigh(a[symmetric])
    good = _condition(vectors) < largest_condition
    for item in zip(*np.nonzero(~np.atleast_1d(good)), strict=True):
        index = item if good.ndim else ()
        values[index], vectors[index] = _regroup(a[index], values[index], vectors[index])
    if not good.all():
        good = _condition(vectors) < largest_condition
    safe = np.where(good[..., None, None], vectors, np.eye(a.shape[-1]))
    return vectors, values, np.linalg.inv(safe) if np.iscomplexobj(safe) else inv(safe), good


def _condition(vectors: Array) -> Any:
    sizes = np.linalg.svd(vectors, compute_uv=False)
    return np.divide(sizes[..., 0], sizes[..., -1], out=np.full(sizes.shape[:-1], np.inf), where=sizes[..., -1] > 0)


def _regroup(a: Array, values: Array, vectors: Array) -> tuple[Array, Array]:
    """One matrix: where eigenvalues agree to rounding, an orthonormal basis of their null space, if it is large enough.

    LAPACK's vectors of a repeated eigenvalue may be nearly parallel even where the matrix has others.
    """
    n = len(a)
    rounding = 100 * n * np.finfo(a.dtype).eps * np.linalg.norm(a)
    new_values, new_vectors, left = values.copy(), vectors.copy(), np.ones(n, bool)
    for k in range(n):
        group = np.flatnonzero(left & (np.abs(values - values[k]) <= 100 * rounding))
        if not left[k] or len(group) == 1:
            continue
        left[group] = False
        center = values[group].mean()
        center = center.real if abs(center.imag) <= 100 * rounding else center
        _, sizes, rows = np.linalg.svd(a - center * np.eye(n))
        if sizes[n - len(group)] <= rounding:
            new_values[group] = center
            new_vectors[:, group] = rows[n - len(group) :].conj().T
    return new_values, new_vectors


def matrix_power(a: ArrayLike, n: int) -> Array:
    """Raise square matrices to an integer power.

    Parameters
    ----------
    a : array_like, shape (..., m, m)
        Matrices. Integers stay integers for powers that are not negative, and overflow as NumPy's do.
    n : int
        The exponent. 0 gives the identity, a negative one powers of the inverse.

    Returns
    -------
    ndarray, shape (..., m, m)
        The powers, by repeated squaring.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or is singular and `n` is negative.
    TypeError
        If `n` is not an integer, or the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.matrix_power([[1, 1], [1, 0]], 30)
    array([[1346269,  832040],
           [ 832040,  514229]])
    >>> mf.linalg.matrix_power([[2.0, 0.0], [0.0, 4.0]], -2)
    array([[0.25  , 0.    ],
           [0.    , 0.0625]])
    """
    x = np.asarray(as_array(a, "a"))
    check_real(x, "a")
    check_square("matrix_power", a=x)
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    try:
        exponent = operator.index(n)
    except TypeError:
        raise TypeError(f"matrix_power: the exponent must be an integer, got {n!r}") from None
    if exponent == 0:
        identity = np.empty_like(x)
        identity[...] = np.eye(x.shape[-1], dtype=x.dtype)
        return identity
    square = inv(x) if exponent < 0 else x
    exponent, power = abs(exponent), None
    multiply = matmul if square.dtype.type in (np.float64, np.float32) else np.matmul
    while exponent > 0:
        if exponent & 1:
            power = square if power is None else multiply(power, square)
        exponent >>= 1
        if exponent:
            square = multiply(square, square)
    assert power is not None
    return power.copy() if power is x else power
