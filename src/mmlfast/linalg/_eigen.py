"""General eigenproblems through LAPACK; public as `eig`, `diagonalize` and `matrix_power` of `mmlfast.linalg`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast._common.arrays import (
    as_float,
    as_operator,
    check_errors,
    check_square,
    is_dask,
    raise_for_item,
)
from mmlfast._common.lazy import of_stacks
from mmlfast.linalg._eigh import eigh
from mmlfast.linalg._elimination import inv
from mmlfast.linalg._matmul import matmul

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
        In no particular order (`eigh` is ascending): ``np.argsort(-abs(eigenvalues))`` puts the dominant one first.
        Complex if one of the matrices has complex eigenvalues, else real (of Dask arrays always complex).
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
    >>> import mmlfast as mf
    >>> values, vectors = mf.linalg.eig([[0.0, -1.0], [1.0, 0.0]])
    >>> values
    array([0.+1.j, 0.-1.j])
    """
    if type(a) is not np.ndarray and is_dask(a):
        return EigResult(*of_stacks(eig, "(n,n)->(n),(n,n)", "cc", a))
    x = as_float(as_operator("eig", a), "a")
    check_square("eig", a=x)
    try:
        with np.errstate(all="ignore"):
            return EigResult(*_real_if_all_are(x))
    except LinAlgError:
        if not np.isfinite(x).all():
            _raise_not_finite("eig", x)
        raise


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
    if type(a) is not np.ndarray and is_dask(a):
        return Diagonalization(*of_stacks(diagonalize, "(n,n)->(n,n),(n),(n,n)", "ccc", a, errors=errors))
    x = as_float(as_operator("diagonalize", a), "a")
    check_square("diagonalize", a=x)
    finite = np.asarray(np.isfinite(x).all(axis=(-2, -1)))
    if errors == "raise" and not finite.all():
        _raise_not_finite("diagonalize", x)
    wide = np.where(finite[..., None, None], x, 0).astype(np.float64)
    with np.errstate(all="ignore"):
        vectors, values, inverse, good = _factors(wide, 1 / np.sqrt(10 * max(x.shape[-1], 1) * np.finfo(x.dtype).eps))
    if errors == "raise" and not good.all():
        raise_for_item("diagonalize", "Matrix is defective, it has too few independent eigenvectors", ~good)
    good = good & finite
    if not good.all():
        vectors, inverse = (np.where(good[..., None, None], m, np.nan) for m in (vectors, inverse))
        values = np.where(good[..., None], values, np.nan)
    if x.dtype == np.float32:
        narrow = np.complex64 if np.iscomplexobj(values) else np.float32
        with np.errstate(all="ignore"):
            vectors, values, inverse = (m.astype(narrow) for m in (vectors, values, inverse))
    return Diagonalization(vectors, values, inverse)


def _real_if_all_are(a: Array) -> tuple[Array, Array]:
    """`numpy.linalg.eig`; real if all eigenvalues are, as NumPy said before 2.5. Later ones are always complex."""
    values, vectors = np.linalg.eig(a)
    if np.iscomplexobj(values) and not values.imag.any():
        values, vectors = values.real.copy(), vectors.real.copy()
    return values, vectors


def _factors(a: Array, largest_condition: float) -> tuple[Array, Array, Array, Array]:
    """Eigenvectors, eigenvalues, inverse, and whether their condition is good; if not, the inverse is arbitrary."""
    symmetric = (a == a.swapaxes(-1, -2)).all(axis=(-2, -1))
    if symmetric.all():
        values, vectors = eigh(a)
        return vectors, values, vectors.swapaxes(-1, -2).copy(), np.ones(symmetric.shape, bool)
    # A power of two off each matrix of extreme size, so that no square over- or underflows; nothing is rounded by it.
    largest = np.abs(a).max(axis=(-2, -1), initial=0)
    extreme = (largest > 1e100) | ((largest < 1e-100) & (largest > 0))
    power = np.ldexp(1.0, np.where(extreme, -np.frexp(largest)[1], 0) // 2) if extreme.any() else None
    scaled = a if power is None else a * power[..., None, None] * power[..., None, None]
    values, vectors = _real_if_all_are(scaled)
    if symmetric.any():
        own_values, vectors[symmetric] = eigh(a[symmetric])
    a = scaled
    good = _condition(vectors) < largest_condition
    for item in zip(*np.nonzero(~np.atleast_1d(good)), strict=True):
        index = item if good.ndim else ()
        values[index], vectors[index] = _regroup(a[index], values[index], vectors[index])
    if not good.all():
        good = _condition(vectors) < largest_condition
    if power is not None:
        values = values / power[..., None] / power[..., None]
    if symmetric.any():
        values[symmetric] = own_values
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


def _raise_not_finite(function: str, a: Array) -> NoReturn:
    """LinAlgError that says where the first NaN or infinity is."""
    index = np.unravel_index(int(np.argmin(np.isfinite(a))), a.shape)
    what = f"Matrix is not finite ({a[index]} in row {index[-2]}, column {index[-1]})"
    if function == "diagonalize":
        raise_for_item(function, what, np.asarray(~np.isfinite(a).all(axis=(-2, -1))))
    place = f" at batch index {tuple(map(int, index[:-2]))}" if a.ndim > 2 else ""
    raise LinAlgError(f"{function}: {what}{place}") from None


def matrix_power(a: ArrayLike, n: int) -> Array:
    """Raise square matrices to an integer power.

    Parameters
    ----------
    a : array_like, shape (..., m, m)
        Matrices.
    n : int
        The exponent. 0 gives the identity, a negative one powers of the inverse.

    Returns
    -------
    ndarray, shape (..., m, m)
        The powers, by repeated squaring. Those of integers that are not negative are exact and have the dtype of `a`;
        booleans stay booleans (a path of n steps exists); negative powers of integers are float64.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not square, or is singular and `n` is negative.
    OverflowError
        If an integer does not fit the dtype of `a`: ``a.astype(float)`` gives it rounded.
    TypeError
        If `n` is not an integer, or the numbers are complex or no numbers at all.

    Notes
    -----
    Integers are multiplied modulo 2**64 (or what the dtype has); where the powers of ``abs(a)`` do not prove that the
    result fits, it is compared with one modulo a number of 232 digits.

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
    x: Any = as_operator("matrix_power", a)
    try:
        exponent = operator.index(n)
    except TypeError:
        raise TypeError(f"matrix_power: n, the exponent, must be an integer, got {n!r}") from None
    if type(x) is not np.ndarray:
        kind = "f" if x.dtype.kind == "f" or exponent < 0 else "s"
        lazy: Array = of_stacks(matrix_power, "(n,n)->(n,n)", kind, x, n=n)[0]
        return lazy
    floats = x.dtype.kind not in "iub"
    x = as_float(x, "a") if floats else x.astype(x.dtype.newbyteorder("="), copy=False)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        check_square("matrix_power", a=x)
    if exponent == 0:
        identity: Array = np.empty_like(x)
        identity[...] = np.eye(x.shape[-1], dtype=x.dtype)
        return identity
    if exponent < 0:
        return _power(inv(x), -exponent, matmul)
    if floats:
        power = _power(x, exponent, matmul)
    else:
        power = _power(x, exponent, np.matmul)
        if x.dtype.kind != "b":
            _check_overflow(x, exponent, power)
    return power.copy() if power is x else power


def _power(square: Array, exponent: int, multiply: Callable[[Array, Array], Array]) -> Array:
    """`square` to a positive power."""
    power = None
    while exponent > 1:
        if exponent & 1:
            power = square if power is None else multiply(power, square)
        square = multiply(square, square)
        exponent >>= 1
    return square if power is None else multiply(power, square)


# Two primes. What agrees modulo 2**64 and modulo their product is equal up to 2**839; beyond, two different numbers
# agree by a chance of 2**-776.
_MODULUS = (2**255 - 19) * (2**521 - 1)


def _check_overflow(a: Array, exponent: int, power: Array) -> None:
    """OverflowError unless the integers of `power`, which are right modulo what the dtype holds, are right."""
    if a.size == 0:
        return
    size = np.abs(a.astype(np.float64))
    most = float(np.iinfo(a.dtype).max)
    largest = max(1.0, float(size.sum(axis=-1).max()))
    if exponent * math.log2(largest) < math.log2(most) - 1e-6:
        return
    with np.errstate(all="ignore"):
        bound = _power(size, exponent, np.matmul).max(axis=(-2, -1))
    doubtful = np.asarray(~(bound < most * (1 - 1e-6)))
    if not doubtful.any():
        return
    exact = _power(a[doubtful].astype(object), exponent, lambda x, y: np.matmul(x, y) % _MODULUS)
    wrong = ((exact - power[doubtful].astype(object)) % _MODULUS != 0).any(axis=(-2, -1))
    if wrong.any():
        bad = np.zeros(doubtful.shape, bool)
        bad[doubtful] = wrong
        place = f" at batch index {tuple(map(int, np.argwhere(bad)[0]))}" if bad.ndim else ""
        wider = "" if a.dtype.itemsize == 8 else " .astype(np.int64) has more room,"
        raise OverflowError(
            f"matrix_power: the integers of a to the power {exponent} do not fit {a.dtype}{place}:{wider} "
            f".astype(float) gives them rounded, and repeated @ of .astype(object) with all digits"
        )
