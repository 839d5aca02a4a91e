"""Covariance of a table in chunks; public as `mmlfast.dask.covariance`."""

from __future__ import annotations

from typing import Any

from mmlfast.dask._table import Table, moments_of
from mmlfast.stats._moments import Moments


def covariance(x: Any, *, ddof: float = 1, weights: Any = None) -> Any:
    """Covariance matrix of the columns of a Dask array: `mmlfast.stats.covariance` in one pass over the chunks.

    Parameters
    ----------
    x : dask.array.Array, shape (n, d)
        Samples in rows, in any chunks.
    ddof : float
        The sums of products are divided by ``n - ddof``, or with weights by ``sum(weights) - ddof``.
    weights : dask.array.Array or array_like, shape (n,), optional
        How often each row counts.

    Returns
    -------
    dask.array.Array, shape (d, d)
        Of one chunk, computed when it is asked for; exactly symmetric.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If `x` is no Dask array of real numbers.
    ValueError
        If `x` has not two dimensions, or `weights` does not fit it. Negative weights raise when computed.

    See Also
    --------
    mmlfast.stats.Moments : the state that is merged.

    Notes
    -----
    Each chunk is reduced to its moments by the worker that has it, and moments are merged in a tree; a chunk lost with
    its worker is computed again. The result agrees with `mmlfast.stats.covariance` to about 1e-15 of the standard
    deviations, and depends on the chunks but not on the workers.

    Examples
    --------
    >>> import dask.array as da
    >>> import mmlfast as mf
    >>> x = da.from_array([[1e9 + 1.0, 2.0], [1e9 + 3.0, 6.0]], chunks=(1, 2))
    >>> mf.dask.covariance(x).compute()
    array([[2., 4.],
           [4., 8.]])
    """
    table = Table("covariance", "x", x)
    beside = [] if weights is None else [table.weights(weights)]
    moments = table.reduced(moments_of, *beside)
    matrix = table.dask.delayed(_matrix)(moments, float(ddof), table.dtype)
    return table.to_array(matrix, (table.n_columns, table.n_columns))


def _matrix(moments: Moments, ddof: float, dtype: Any) -> Any:
    return moments.covariance(ddof).astype(dtype)
