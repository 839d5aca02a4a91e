"""Power iteration: `mmlfast.linalg.power_iteration` for arrays, sparse matrices and functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, as_real, check_digits, check_real, check_square, is_dask
from mmlfast._common.errors import warn_caller
from mmlfast._common.labels import check_labels
from mmlfast._common.lazy import of_stacks
from mmlfast.linalg._deflation import dense_pairs, operator_pairs

Array = np.ndarray[Any, Any]


class PowerIteration(NamedTuple):
    """The dominant eigenpair of a matrix, and how well it is known."""

    value: Any
    vector: Array
    residual: Any
    n_iter: Any
    converged: Any


def power_iteration(
    a: Any, x0: ArrayLike | None = None, *, k: SupportsIndex = 1, tol: float = 1e-12, max_iter: SupportsIndex = 10_000
) -> PowerIteration:
    """Find the eigenvalues of largest absolute value, and their eigenvectors, by power iteration.

    Parameters
    ----------
    a : array_like, shape (..., n, n), sparse matrix or array, LinearOperator, or callable
        The matrix, float32 or float64. A SciPy sparse `a` is used as CSR (other formats are converted). A callable
        takes a vector of shape (n,) and returns the product with it. Arrays are never copied.
    x0 : array_like, shape (n,) or (..., n), optional
        Where to start; required with a callable. The default is a fixed pseudo-random vector. A start without any
        component along the dominant eigenvector may converge to another eigenpair; with ``k > 1`` that is noticed, and
        the first pair looked for again from another start.
    k : int
        How many pairs. More than one are found one after the other: the known ones are projected out of the matrix, and
        each starts from a fixed vector of its own. An eigenvalue comes as often as it has eigenvectors.
    tol : float
        Converged means ``residual <= tol * abs(value)``; for the pairs after the first, that this was reached on the
        projected matrix, and that the residual on `a` itself is at most 4 tol times the first ``abs(value)``. Values
        below 8 eps of the dtype (1e-6 for float32) count as 8 eps: less cannot be told from rounding.
    max_iter : int
        The most products with `a` for each pair.

    Returns
    -------
    value : scalar or ndarray, shape (...)
        The Rayleigh quotient x'Ax of the vector. With ``k > 1`` this and the results below have a last axis of k.
    vector : ndarray, shape (..., n), or (..., n, k) with ``k > 1``
        A unit vector x, a column if there are k; its component of largest absolute value is positive.
    residual : scalar or ndarray, shape (...)
        norm(A x - value x). If A is symmetric, an eigenvalue lies within this distance of `value`; in general
        `value` and `vector` are an exact eigenpair of a matrix that is this close to A.
    n_iter : scalar or ndarray, shape (...)
        Products with `a` that were needed.
    converged : scalar or ndarray, shape (...)
        Whether the residual reached the tolerance, and with ``k > 1`` that of all pairs before: then nothing larger is
        left out. A residual of zero with value zero counts: that is what the zero matrix gives, and a nilpotent one.

    Raises
    ------
    ValueError
        If `k` is below 1 or above n, `x0` does not fit or is zero, a matrix has no rows, `tol` is negative or NaN,
        `max_iter` is not positive, or labels of `a` (a DataFrame) and `x0` differ.
    numpy.linalg.LinAlgError
        If a matrix is not square.
    TypeError
        If the numbers are complex or no numbers at all, `k` or `max_iter` is not an int, or a callable comes without
        `x0`.

    Warns
    -----
    mmlfast.ConvergenceWarning
        If a matrix did not converge. That is so when two eigenvalues have the same largest absolute value (l and -l,
        or a complex pair), when they are too close for `max_iter`, and when there is NaN or infinity in `a` or `x0`
        (value, vector and residual are NaN then). Rounding keeps the residual of a matrix whose entries are much
        larger than its eigenvalues above a small `tol`.

    Notes
    -----
    The error falls by the factor \\|l2 / l1\\| with each product. The dtype of `a` decides the dtype of the results.
    The same bits come out for any number of threads and any place in a batch.

    The vectors of several pairs of a symmetric matrix are orthonormal. Of another matrix, Schur vectors are found,
    and the eigenvectors from the triangle that they bring it to, so the k dominant eigenvalues must be real. A matrix
    whose rank is used up gives pairs of value zero. An array is copied for ``k > 1``.

    The matrix of a web whose **columns** sum to one (column j says where page j leads) goes in as it is: the ranks are
    the dominant x of ``A x = x``. If its rows sum to one, transpose it; `mmlfast.graph.pagerank` takes links in rows.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 7.3.1.
    .. [2] Y. Saad, Numerical Methods for Large Eigenvalue Problems, 2nd ed., SIAM 2011, section 4.2.
    .. [3] B. N. Parlett, The Symmetric Eigenvalue Problem, SIAM 1998, theorem 4.5.1.

    Examples
    --------
    >>> import mmlfast as mf
    >>> pair = mf.linalg.power_iteration([[2.0, 1.0], [1.0, 2.0]])
    >>> round(float(pair.value), 6), pair.vector.round(6), bool(pair.converged)
    (3.0, array([0.707107, 0.707107]), True)
    """
    limit = min(as_integer(max_iter, "max_iter", 1), 2**62)
    tol = as_real(tol, "power_iteration: tol")
    if not tol >= 0:
        raise ValueError(f"power_iteration: tol must not be negative, got {tol}")
    count = as_integer(k, "k", 1)
    if type(a) is not np.ndarray and is_dask(a):
        cores = "(n,n)->(),(n),(),(),()" if count == 1 else "(n,n)->(k),(n,k),(k),(k),(k)"
        options: dict[str, Any] = {
            "x0": x0,
            "k": count,
            "tol": tol,
            "max_iter": limit,
            "sizes": {"k": count} if count > 1 else None,
        }
        return PowerIteration(*of_stacks(power_iteration, cores, "fffib", a, **options))
    if type(a) is not np.ndarray:
        check_labels("power_iteration", a=(a, "nn", ""), x0=(x0, "bn", "n"))
    if hasattr(a, "tocsr"):
        a = _csr(a)
        pair = _sparse(a, x0, tol, limit) if count == 1 else _operator_pairs(a.dot, a, x0, count, tol, limit)
    elif hasattr(a, "matvec") and hasattr(a, "shape"):
        if count == 1:
            pair = _operator(a.matvec, tuple(a.shape), getattr(a, "dtype", None), x0, tol, limit)
        else:
            pair = _operator_pairs(a.matvec, a, x0, count, tol, limit)
    elif callable(a) and not hasattr(a, "__array__"):
        if x0 is None:
            raise TypeError("power_iteration: x0 is required if a is a callable")
        pair = (
            _operator(a, None, None, x0, tol, limit) if count == 1 else _operator_pairs(a, None, x0, count, tol, limit)
        )
    else:
        pair = _dense(a, x0, tol, limit) if count == 1 else _dense_pairs(a, x0, count, tol, limit)
    if not np.all(pair.converged):
        _warn(pair, limit, count)
    return pair


def _dense(a: Any, x0: Any, tol: float, max_iter: int) -> PowerIteration:
    a = as_float(a, "a")
    check_square("power_iteration", a=a)
    start = _start(x0, a.shape[-1], a.dtype, a.shape)
    return PowerIteration(*_core.power_iteration(a, start, np.float64(tol), np.int64(max_iter)))


def _check_count(k: int, n: int) -> None:
    if k > n:
        raise ValueError(f"power_iteration: k must be at most {n}, the number of rows of a, got {k}")


def _dense_pairs(a: Any, x0: Any, k: int, tol: float, max_iter: int) -> PowerIteration:
    a = as_float(a, "a")
    check_square("power_iteration", a=a)
    start = _start(x0, a.shape[-1], a.dtype, a.shape)
    _check_count(k, a.shape[-1])
    limits = np.float64(tol), np.int64(max_iter)
    fresh = partial(_fresh, a.shape[-1])
    return PowerIteration(*dense_pairs(a, start, fresh, k, tol, lambda b, x: _core.power_iteration(b, x, *limits)))


def _operator_pairs(
    matvec: Callable[[Array], Any], a: Any, x0: Any, k: int, tol: float, max_iter: int
) -> PowerIteration:
    """k pairs of a sparse matrix or LinearOperator `a`, or of a function (None)."""
    shape, dtype = (None, None) if a is None else (tuple(a.shape), getattr(a, "dtype", None))
    kind = _operator_kind(shape, dtype, x0)
    n = shape[0] if shape is not None else np.asarray(x0).size
    start = _start(x0, n, kind, (n, n), most_dimensions=1)
    _check_count(k, n)

    def dominant(f: Callable[[Array], Any], x: Array, floor: float) -> PowerIteration:
        return _operator(f, (n, n), kind, x, tol, max_iter, floor)

    return PowerIteration(*operator_pairs(matvec, start, partial(_fresh, n), k, tol, dominant))


def _csr(a: Any) -> Any:
    """A sparse matrix in any format as CSR, checked."""
    check_real(a, "a")
    check_square("power_iteration", a=a)
    a = a.tocsr()
    check_digits(a.data, "a")
    return a


def _sparse(a: Any, x0: Any, tol: float, max_iter: int) -> PowerIteration:
    dtype = np.dtype(np.float32) if a.dtype.type is np.float32 else np.dtype(np.float64)
    start = np.require(_start(x0, a.shape[0], dtype, a.shape, most_dimensions=1), requirements=["C", "A"])
    index = np.result_type(a.indices.dtype, a.indptr.dtype, np.int32)
    value, vector, residual, n_iter, converged = _core.power_iteration_csr(
        np.require(a.data, dtype, ["C", "A"]),
        np.require(a.indices, index, ["C", "A"]),
        np.require(a.indptr, index, ["C", "A"]),
        start,
        tol,
        max_iter,
    )
    return PowerIteration(value[()], vector, residual[()], np.int64(n_iter), np.bool_(converged))


def _operator(
    matvec: Callable[[Array], Any],
    shape: tuple[int, ...] | None,
    dtype: Any,
    x0: Any,
    tol: float,
    max_iter: int,
    floor: float = 0.0,
) -> PowerIteration:
    """The same iteration around a function, in NumPy. A residual up to `floor` is rounding, and good enough."""
    kind = _operator_kind(shape, dtype, x0)
    n = shape[0] if shape is not None else np.asarray(x0).size
    x = np.array(_start(x0, n, kind, (n, n), most_dimensions=1))
    tol = max(tol, 8 * float(np.finfo(kind).eps))
    nan, number = kind.type(np.nan), kind.type
    failed = PowerIteration(nan, np.full(n, nan), nan, np.int64(0), np.bool_(False))
    if not np.isfinite(x).all():
        return failed
    x /= np.abs(x).max()
    x /= np.linalg.norm(x)
    for n_iter in range(1, max_iter + 1):
        y = np.asarray(matvec(x.copy()))
        if y.size != n:
            raise ValueError(f"power_iteration: a must return a vector of shape ({n},), got shape {y.shape}")
        check_real(y, "a(x)")
        y = y.reshape(n).astype(np.float64)
        largest = float(np.abs(y).max())
        if not np.isfinite(largest):
            return failed._replace(n_iter=np.int64(n_iter))
        scale = 2.0 ** -min(max(int(np.frexp(largest)[1]), -1000), 1000)  # y'y must neither overflow nor vanish
        y *= scale
        mu = float(x @ y)
        residual = float(np.linalg.norm(y - mu * x))
        converged = residual <= max(tol * abs(mu), floor * scale)
        if converged or n_iter == max_iter:
            break
        x = (y / np.linalg.norm(y)).astype(kind)
    if x[np.argmax(np.abs(x))] < 0:
        x = -x
    return PowerIteration(number(mu / scale), x, number(residual / scale), np.int64(n_iter), np.bool_(converged))


def _operator_kind(shape: tuple[int, ...] | None, dtype: Any, x0: Any) -> Any:
    """The dtype to work in, after checks of shape and dtype."""
    if shape is not None:
        check_square("power_iteration", a=_Shaped(shape))
    if dtype is None:
        return as_float(x0, "x0").dtype.newbyteorder("=")
    check_real(_Typed(np.dtype(dtype)), "a")
    return np.dtype(np.float32) if np.dtype(dtype).type is np.float32 else np.dtype(np.float64)


class _Shaped(NamedTuple):
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)


class _Typed(NamedTuple):
    dtype: Any


def _start(x0: Any, n: int, dtype: Any, shape: tuple[int, ...], most_dimensions: int | None = None) -> Array:
    """The start vectors, checked, in the dtype of the matrix."""
    if n == 0:
        raise ValueError(f"power_iteration: a has no rows, shape {shape}")
    if x0 is None:
        return start_vector(n, dtype.newbyteorder("=")) if n <= 1024 else _make_start(n, dtype.newbyteorder("="))
    x = as_float(x0, "x0")
    if x.ndim < 1 or x.shape[-1] != n or (most_dimensions is not None and x.ndim > most_dimensions):
        raise ValueError(
            f"power_iteration: x0 must hold vectors of {n} numbers for a of shape {shape}, got shape {x.shape}"
        )
    try:
        np.broadcast_shapes(x.shape[:-1], shape[:-2])
    except ValueError:
        raise ValueError(
            f"power_iteration: x0 of shape {x.shape} does not fit a of shape {shape}: their batch axes differ"
        ) from None
    x = x.astype(dtype.newbyteorder("="), copy=False)
    zero = ~np.any(x, axis=-1)
    if np.any(zero):
        where = f" at batch index {np.unravel_index(int(np.argmax(zero)), zero.shape)}" if zero.ndim else ""
        raise ValueError(f"power_iteration: x0 must not be zero{where}")
    return x


def _make_start(n: int, dtype: Any, number: int = 0) -> Array:
    """Entries in [-1/2, 1), so that the start is neither orthogonal to the constant vector nor close to it."""
    z = np.arange(1, n + 1, dtype=np.uint64) + np.uint64(number << 40)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    start = ((z >> np.uint64(40)).astype(np.float64) * (1.5 / 2**24) - 0.5).astype(dtype)
    start.flags.writeable = False
    return start


start_vector = lru_cache(maxsize=64)(_make_start)


def _fresh(n: int, pair: int) -> Array:
    """The start of a pair after the first, or of the first (0) where the caller's start has led astray: none of those
    before, whatever the dtype."""
    return _make_start(n, np.dtype(np.float64), pair + 1)


def _warn(pair: PowerIteration, max_iter: int, k: int) -> None:
    failed = ~np.asarray(pair.converged)
    index = np.unravel_index(int(np.argmax(failed)), failed.shape)
    value, residual = np.asarray(pair.value)[index], np.asarray(pair.residual)[index]
    products = np.asarray(pair.n_iter)[index]
    if np.isnan(value):
        reason = "NaN, infinity or overflow"
    elif products < max_iter:
        reason = f"residual {residual:.2g} for value {value:.6g}, and a larger eigenvalue may be left out"
    else:
        reason = f"residual {residual:.2g} for value {value:.6g} after {max_iter} products"
    what = "matrices"
    if k > 1:
        what, reason, index = "pairs", f"pair {index[-1]}: {reason}", index[:-1]
    if index:
        place = ", ".join(str(int(i)) for i in index) + ("," if len(index) == 1 else "")
        reason = f"{int(failed.sum())} of {failed.size} {what}, first at batch index ({place}): {reason}"
    if not np.isnan(value):
        reason += (
            "; raise max_iter or tol if eigenvalues are close; for two of the same absolute value and different signs, "
            "or a complex pair, use linalg.eigh or linalg.eig"
        )
    warn_caller(f"power_iteration did not converge: {reason}")
