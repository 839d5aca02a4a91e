"""QR factorization and least squares of a table in chunks; public as `mmlfast.dask.qr` and `lstsq`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.weights import check_weights
from mmlfast.dask._table import Table
from mmlfast.linalg._qr import qr as qr_in_memory
from mmlfast.linalg._rfactor import RFactor

Array = np.ndarray[Any, Any]
FAN_IN = 8


class QR(NamedTuple):
    """Q with orthonormal columns, in the chunks of the table, and R."""

    Q: Any
    R: Any


def qr(a: Any) -> QR:
    """Reduced QR factorization of a tall Dask array.

    Parameters
    ----------
    a : dask.array.Array, shape (n, d)
        With at least as many rows as columns; chunks of rows of any known length.

    Returns
    -------
    Q : dask.array.Array, shape (n, d)
        Orthonormal columns, in the chunks of the rows of `a`.
    R : dask.array.Array, shape (d, d)
        Upper triangular with a diagonal that is not negative. Computing R alone leaves out the work for Q.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If `a` is no Dask array of real numbers.
    ValueError
        If `a` has not two dimensions, fewer rows than columns, or chunks of unknown length.

    Notes
    -----
    Chunks are factored where they are and the R factors put together eight at a time in a tree [1]_; Q comes back down
    the tree. It is orthogonal to rounding for any condition number. A worker that is lost costs the time to compute
    its chunks again.

    References
    ----------
    .. [1] J. Demmel et al., SIAM J. Sci. Comput. 34 (2012), see `mmlfast.linalg.RFactor`.

    Examples
    --------
    >>> import dask.array as da
    >>> import mmlfast as mf
    >>> q, r = mf.dask.qr(da.from_array([[3.0, 1], [4, 2], [0, 2]], chunks=(2, 2)))
    >>> r.compute().round(12)
    array([[5.        , 2.2       ],
           [0.        , 2.03960781]])
    """
    table = Table("qr", "a", a)
    n, d = table.array.shape
    if np.isnan(n):
        raise ValueError("qr: the lengths of the chunks must be known; a.compute_chunk_sizes() finds them")
    if n < d:
        raise ValueError(f"qr: a must have at least as many rows as columns, got shape {table.array.shape}")
    factor = table.dask.delayed(_factor, nout=2)
    pairs = [factor([block]) for block in table.blocks]
    heights = [min(int(rows), d) for rows in table.lengths]
    turns, r = _up_and_down(table, [pair[1] for pair in pairs], heights)
    parts = [
        table.to_array(pair[0] @ turn, (int(rows), d))
        for pair, turn, rows in zip(pairs, turns, table.lengths, strict=True)
    ]
    return QR(table.together(parts), table.to_array(r, (d, d)))


def _up_and_down(table: Table, factors: list[Any], heights: list[int]) -> tuple[list[Any], Any]:
    """The R factor of the stacked R factors, and for each of them its rows of the Q that belongs to it."""
    delayed, d = table.dask.delayed, table.n_columns
    groups = [slice(k, k + FAN_IN) for k in range(0, len(factors), FAN_IN)]
    pairs = [delayed(_factor, nout=2)(factors[group]) for group in groups]
    if len(groups) == 1:
        root = delayed(_positive, nout=2)(pairs[0])
        above, r = [root[0]], root[1]
    else:
        tops, r = _up_and_down(table, [pair[1] for pair in pairs], [min(sum(heights[g]), d) for g in groups])
        above = [pair[0] @ top for pair, top in zip(pairs, tops, strict=True)]
    turns = []
    for group, q in zip(groups, above, strict=True):
        ends = np.cumsum(heights[group])
        turns += [q[int(end - height) : int(end)] for end, height in zip(ends, heights[group], strict=True)]
    return turns, r


def _factor(parts: Sequence[Array]) -> tuple[Array, Array]:
    q, r = qr_in_memory(np.concatenate([np.asarray(part) for part in parts]))
    return q, r


def _positive(pair: tuple[Array, Array]) -> tuple[Array, Array]:
    q, r = pair
    signs = np.where(np.diagonal(r) < 0, -1, 1).astype(r.dtype)
    return q * signs, np.triu(r * signs[:, None])


class Lstsq(NamedTuple):
    """Solution of a least-squares problem, with what is known of it, as Dask arrays."""

    x: Any
    residuals: Any
    rank: Any
    s: Any


def lstsq(a: Any, b: Any, rcond: float | None = None, *, weights: Any = None) -> Lstsq:
    """Least squares on Dask arrays: the x that minimises the norm of ``b - a @ x``, in one pass over the chunks.

    Parameters
    ----------
    a : dask.array.Array, shape (n, d)
        Coefficients.
    b : dask.array.Array, shape (n,) or (n, k)
        Right-hand sides.
    rcond : float, optional
        What counts as zero when the rank is decided: of the columns of `a` scaled to length one, singular values of at
        most `rcond` times the largest. The default is ``d * u``, in float64 at least ``16 * u``, with u = eps / 2.
    weights : dask.array.Array or array_like, shape (n,), optional
        How often each row counts. A row of weight zero is not looked at, even if it holds NaN.

    Returns
    -------
    x : dask.array.Array, shape (d,) or (d, k)
        The solution; that of least norm, in the units of the columns as they are, if `a` has not full rank.
    residuals : dask.array.Array, shape (k,), or (1,) for a vector
        The (weighted) sums of squares of the columns of ``b - a @ x``, whatever the rank.
    rank : dask.array.Array of int64, shape ()
        Less than d where columns depend on each other to rounding.
    s : dask.array.Array, shape (d,)
        Singular values of `a` as it is (its rows times the roots of their weights), largest first.

    Raises
    ------
    ImportError, TypeError
        As `qr` does, also for `b`.
    ValueError
        If the shapes do not fit together. Negative, infinite or NaN weights raise when computed.
    numpy.linalg.LinAlgError
        When computed, if there is NaN or infinity.

    See Also
    --------
    mmlfast.linalg.lstsq : in memory; says more about the rank.
    mmlfast.linalg.RFactor : the state that is merged.

    Notes
    -----
    The R factor of ``[a, b]`` has all that is asked for, with the accuracy of a QR factorization of all rows. Those of
    the chunks are merged in a tree. A worker that is lost costs the time to compute its chunks again.

    Examples
    --------
    >>> import dask.array as da
    >>> import mmlfast as mf
    >>> a = da.from_array([[1.0, 0], [1, 1], [1, 2], [1, 3]], chunks=(2, 2))
    >>> mf.dask.lstsq(a, da.from_array([1.0, 3, 5, 7], chunks=2)).x.compute().round(12)
    array([1., 2.])
    """
    table = Table("lstsq", "a", a)
    if not hasattr(b, "to_delayed") or b.ndim not in (1, 2):
        raise TypeError(f"lstsq: b must be a Dask array of one or two dimensions, got {type(b).__name__}")
    columns = b[:, None] if b.ndim == 1 else b
    right = Table("lstsq", "b", columns)
    if len(right.lengths) != len(table.lengths) or not np.array_equal(right.lengths, table.lengths, equal_nan=True):
        if right.array.shape[0] != table.array.shape[0]:
            raise ValueError(f"lstsq: a has shape {a.shape} and b has shape {b.shape}: they do not fit together")
        right = Table("lstsq", "b", columns.rechunk((table.lengths, -1)))
    d, k = table.n_columns, right.n_columns
    dtype = np.result_type(table.dtype, right.dtype)
    beside = [] if weights is None else [table.weights(weights)]
    factor = table.reduced(_augmented_factor, right.blocks, *beside)
    x, residuals, rank, s = table.dask.delayed(_solution, nout=4)(factor, k, rcond, dtype)
    shape = (d,) if b.ndim == 1 else (d, k)
    return Lstsq(
        table.to_array(x[:, 0] if b.ndim == 1 else x, shape, dtype),
        table.to_array(residuals, (k,), dtype),
        table.to_array(rank, (), np.int64),
        table.to_array(s, (d,), dtype),
    )


def _augmented_factor(a: Any, b: Any, weights: Any = None) -> RFactor:
    both = np.concatenate([np.asarray(a, np.float64), np.asarray(b, np.float64)], axis=1)
    if weights is not None:
        roots = np.sqrt(check_weights("lstsq", np.asarray(weights), both.shape[:1]))[:, None]
        both = np.where(roots > 0, both, 0) * roots
    return RFactor(both.shape[1]).update(both)


def _solution(factor: RFactor, k: int, rcond: float | None, dtype: Any) -> tuple[Array, Array, Array, Array]:
    d = (factor.n_features or 0) - k
    if rcond is None and np.dtype(dtype).char == "f" and d > 0:
        rcond = d * 2.0**-24
    x, residuals, rank = factor._solve("lstsq", k, rcond)
    s = np.linalg.svd(factor.r[:d, :d], compute_uv=False)
    with np.errstate(all="ignore"):  # what does not fit the dtype is infinite
        return x.astype(dtype), residuals.astype(dtype), np.asarray(np.int64(rank)), s.astype(dtype)
