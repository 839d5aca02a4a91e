"""Statistics of tables: samples in rows, features in columns.

One centred pass over the table, in float64 whatever the input is, so that a large mean or float32 loses nothing.
The same rows give the same bits for any number of threads, any memory layout and any chunking.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._affine_moments import AffineMoments, affine_moments
from mmlfast._arrays import as_array, as_float, explain, float_dtype, ndarray
from mmlfast._missing import check_policy, columns_omitting, correlation_omitting, covariance_omitting, raise_at_nan
from mmlfast._moments import Moments, check_weights
from mmlfast._row_blocks import RowBlocks, is_large_map

__all__ = ["AffineMoments", "Moments", "affine_moments", "correlation", "covariance", "mean", "variance"]

Array = np.ndarray[Any, Any]


def mean(x: ArrayLike, weights: ArrayLike | None = None, *, nan_policy: str = "propagate") -> Array:
    """Mean of the rows of a table.

    Parameters
    ----------
    x : array_like, shape (..., n, d)
        Samples in rows, float32 or float64.
    weights : array_like, shape (..., n), optional
        How often each row counts, see `covariance`.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight: the result is NaN; `ValueError`; each column's mean
        from the numbers that are there.

    Returns
    -------
    ndarray, shape (..., d)
        The means; NaN if there is no row, or no row of positive weight.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, or `weights` does not fit it or holds a negative number or NaN;
        or, if asked for, if `x` has NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Sums are of differences from a row of the table, in float64: the error is a few units in the last place of the
    result as long as the spread is not larger than the mean.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.mean([[1.0, 2.0], [3.0, 6.0]])
    array([2., 4.])
    >>> mf.stats.mean([[1.0, 2.0], [3.0, float("nan")]], nan_policy="omit")
    array([2., 2.])
    """
    result, table, w = _moments("mean", _core.mean, _core.weighted_mean, x, weights)
    gaps = _with_gaps("mean", nan_policy, result, table, w)
    return result if gaps is None else columns_omitting(gaps, w, result, None)


def variance(
    x: ArrayLike, *, ddof: float = 1, weights: ArrayLike | None = None, nan_policy: str = "propagate"
) -> Array:
    """Variance of each column of a table: the diagonal of `covariance`, with the same bits.

    Parameters
    ----------
    x : array_like, shape (..., n, d)
        Samples in rows, float32 or float64.
    ddof : float
        The sum of squares is divided by ``n - ddof``.
    weights : array_like, shape (..., n), optional
        How often each row counts, see `covariance`.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight: the result is NaN; `ValueError`; each column's variance
        from the numbers that are there.

    Returns
    -------
    ndarray, shape (..., d)
        The variances; exactly 0 for a column of equal numbers.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, or `weights` does not fit it or holds a negative number or NaN;
        or, if asked for, if `x` has NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.variance([[1.0, 2.0], [3.0, 6.0]])
    array([2., 8.])
    """
    result, table, w = _moments("variance", _core.variance, _core.weighted_variance, x, weights, ddof)
    gaps = _with_gaps("variance", nan_policy, result, table, w)
    return result if gaps is None else columns_omitting(gaps, w, result, float(ddof))


def covariance(
    x: ArrayLike, *, ddof: float = 1, weights: ArrayLike | None = None, nan_policy: str = "propagate"
) -> Array:
    """Covariance matrix of the columns of a table, or of a stack of tables.

    Parameters
    ----------
    x : array_like, shape (..., n, d)
        Samples in rows (``numpy.cov(x, rowvar=False)``), float32 or float64. A memory map is read once, from front to
        back, and what has been read is given back to the system.
    ddof : float
        The sums of products are divided by ``n - ddof``, or with weights by ``sum(weights) - ddof``. As in
        `numpy.cov`, the divisor is not allowed to become negative; where it is zero the result is NaN or infinite, here
        without a warning.
    weights : array_like, shape (..., n), optional
        How often each row counts, not necessarily a whole number: ``numpy.cov``'s ``fweights``. A row of weight zero
        counts for nothing, even if it holds NaN.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight. ``"propagate"``: it reaches the row and the column of
        its feature. ``"raise"``: `ValueError` that names the first. ``"omit"``: entry (i, j) is the covariance of
        features i and j in the rows that have both, means included, as in ``pandas.DataFrame.cov``.

    Returns
    -------
    ndarray, shape (..., d, d)
        The covariances: exactly symmetric, of the dtype of `x`.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, or `weights` does not fit it or holds a negative number or NaN;
        or, if asked for, if `x` has NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Each block of rows is centred by its own mean while it is in cache, and blocks are merged in a fixed tree [1]_. A
    mean of 1e8 standard deviations costs no accuracy. NaN or infinity in a column reaches only the entries of that
    column.

    With ``nan_policy="omit"`` each entry is from other rows, so the matrix may have negative eigenvalues. Complete
    columns keep the bits they have without it.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for computing the sample variance: analysis and
       recommendations, The American Statistician 37 (1983) 242-247.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.covariance([[1e9 + 1.0, 2.0], [1e9 + 3.0, 6.0]])
    array([[2., 4.],
           [4., 8.]])

    The second feature is missing in the last row, so only the first has three numbers:

    >>> mf.stats.covariance([[1.0, 2.0], [3.0, 6.0], [8.0, float("nan")]], nan_policy="omit")
    array([[13.,  4.],
           [ 4.,  8.]])
    """
    result, table, w = _moments("covariance", _core.covariance, _core.weighted_covariance, x, weights, ddof)
    gaps = _with_gaps("covariance", nan_policy, result, table, w)
    return result if gaps is None else covariance_omitting(gaps, w, result, float(ddof))


def correlation(x: ArrayLike, *, weights: ArrayLike | None = None, nan_policy: str = "propagate") -> Array:
    """Pearson correlation of the columns of a table, or of a stack of tables.

    Parameters
    ----------
    x : array_like, shape (..., n, d)
        Samples in rows, float32 or float64.
    weights : array_like, shape (..., n), optional
        How often each row counts, see `covariance`.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight. ``"propagate"``: it reaches the row and the column of
        its feature. ``"raise"``: `ValueError` that names the first. ``"omit"``: entry (i, j) is the correlation of
        features i and j in the rows that have both, means included, as in ``pandas.DataFrame.corr``.

    Returns
    -------
    ndarray, shape (..., d, d)
        The correlations: between -1 and 1, exactly 1 on the diagonal, and NaN in the row and column of a feature that
        does not vary. There is no warning.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions, or `weights` does not fit it or holds a negative number or NaN;
        or, if asked for, if `x` has NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.correlation([[1.0, 2.0], [3.0, 6.0]])
    array([[1., 1.],
           [1., 1.]])
    """
    c, table, w = _moments("correlation", _core.covariance, _core.weighted_covariance, x, weights, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = np.sqrt(np.diagonal(c, axis1=-2, axis2=-1))
        r: Array = np.clip(c / scale[..., :, None] / scale[..., None, :], -1, 1)
        diagonal = np.arange(c.shape[-1])
        r[..., diagonal, diagonal] = scale / scale
    gaps = _with_gaps("correlation", nan_policy, c, table, w)
    return r if gaps is None else correlation_omitting(gaps, w, r, c)


def _table(function: str, x: ArrayLike) -> Any:
    table: Any = x if type(x) is ndarray else as_array(x, "x")
    if table.ndim < 2:
        raise ValueError(f"{function}: x must have samples in rows, shape (..., n, d); got shape {table.shape}")
    return table


def _moments(
    function: str, plain: Any, weighted: Any, x: ArrayLike, weights: ArrayLike | None, ddof: float | None = None
) -> tuple[Array, Any, Array | None]:
    """The result for numbers that are all there, the table and its weights."""
    table = _table(function, x)
    divisor = () if ddof is None else (np.float64(ddof),)
    if plain is _core.covariance and is_large_map(table):
        w = None if weights is None else check_weights(function, weights, table.shape[:-1])
        return _covariance_of_map(table, w, 1.0 if ddof is None else ddof), table, w
    try:
        if weights is None:
            return np.asarray(plain(table, *divisor)), table, None
        w = check_weights(function, weights, table.shape[:-1])
        return np.asarray(weighted(table, w, *divisor)), table, w
    except (TypeError, ValueError) as error:
        explain(function, error, x=table)


def _covariance_of_map(table: Array, weights: Array | None, ddof: float) -> Array:
    """The same bits, in the memory of a few blocks."""
    moments, taken = Moments(table.shape[1], float_dtype(table)), 0
    for block in RowBlocks(table):
        moments.update(block, None if weights is None else weights[taken : taken + len(block)])
        taken += len(block)
    return moments.covariance(ddof)


def _with_gaps(function: str, nan_policy: str, result: Array, table: Any, weights: Array | None) -> Array | None:
    """The table if NaN must be left out of it; a result without NaN says that there is none."""
    if nan_policy == "propagate":
        return None
    check_policy(function, nan_policy)
    if table.dtype.kind != "f" or not np.isnan(result).any():
        return None
    x = as_float(table, "x")
    if nan_policy == "omit":
        return x
    raise_at_nan(function, x, weights)
    return None
