"""Mean, variance, standard deviation, covariance and correlation of the columns of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast.stats._statistics import CORRELATION, COVARIANCE, MEAN, STD, VARIANCE, statistic

Array = np.ndarray[Any, Any]


def mean(
    x: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    nan_policy: str = "propagate",
    groups: Any = None,
) -> Any:
    """Mean of the rows of a table, or of a list of numbers.

    Parameters
    ----------
    x : array_like, shape (..., n, d) or (n,)
        Samples in rows, float32 or float64; or one variable.
    weights : array_like, shape (..., n), optional
        Another name of `fweights`.
    fweights, aweights : array_like, shape (..., n), optional
        How often each row counts, and what share it has; see `covariance`.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight: the result is NaN; `ValueError`; each column's mean
        from the numbers that are there. ``"omit"`` takes what a mask hides for missing.
    groups : array_like, shape (n,), optional
        A label for each row of one table, in any order: integers, text, dates, categories, anything that can be sorted.
        Rows with the same label are a table of their own. Missing labels are refused, or with
        ``nan_policy="omit"`` their rows are left out.

    Returns
    -------
    ndarray, shape (..., d), or a number
        The means; NaN if there is no row, or no row of positive weight. With `groups` a named tuple instead:
        ``values``, one for each group, and ``groups``, the labels, sorted.

    Raises
    ------
    ValueError, TypeError
        As `covariance` does.

    Notes
    -----
    Sums are of differences from a row of the table, in float64: the error is a few units in the last place of the
    result as long as the spread is not larger than the mean.

    Means, variances and deviations of groups are sums in one reading of the table, whose rows stay where they are;
    the last digits may differ from those that the rows of a group give alone, but do not depend on the number of
    threads. Covariances and correlations of groups have the bits that each group has alone.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.mean([[1.0, 2.0], [3.0, 6.0]])
    array([2., 4.])
    >>> mf.stats.mean([[1.0, 2.0], [3.0, float("nan")]], nan_policy="omit")
    array([2., 2.])
    >>> float(mf.stats.mean([1, 2, 3, 2]))
    2.0
    >>> mf.stats.mean([1.0, 20.0, 30.0, 3.0], groups=["b", "a", "a", "b"])
    Grouped(values=array([25.,  2.]), groups=array(['a', 'b'], dtype='<U1'))
    """
    return statistic(MEAN, x, 0, weights, fweights, aweights, nan_policy, groups)


def variance(
    x: ArrayLike,
    *,
    ddof: float = 1,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nan_policy: str = "propagate",
    groups: Any = None,
) -> Any:
    """Variance of each column of a table: the diagonal of `covariance`, with the same bits.

    Parameters
    ----------
    x : array_like, shape (..., n, d) or (n,)
        Samples in rows, float32 or float64; or one variable.
    ddof : float
        The sum of squares is divided by ``n - ddof``.
    fweights, aweights, weights : array_like, optional
        As for `covariance`.
    nan_policy, groups : str and array_like, optional
        As for `mean`.

    Returns
    -------
    ndarray, shape (..., d), or a number
        The variances: never negative, and exactly 0 for a column of equal numbers.

    Raises
    ------
    ValueError, TypeError
        As `covariance` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.variance([[1.0, 2.0], [3.0, 6.0]])
    array([2., 8.])
    >>> float(mf.stats.variance([1, 2, 3, 2], ddof=0))
    0.5
    """
    return statistic(VARIANCE, x, ddof, weights, fweights, aweights, nan_policy, groups)


def std(
    x: ArrayLike,
    *,
    ddof: float = 1,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nan_policy: str = "propagate",
    groups: Any = None,
) -> Any:
    """Standard deviation of each column of a table: the square root of `variance`.

    Parameters
    ----------
    x : array_like, shape (..., n, d) or (n,)
        Samples in rows, float32 or float64; or one variable.
    ddof : float
        The sum of squares is divided by ``n - ddof``. `numpy.std` takes 0 unless told otherwise.
    fweights, aweights, weights, nan_policy, groups : optional
        As for `variance`.

    Returns
    -------
    ndarray, shape (..., d), or a number
        The standard deviations, also where the variance is too large or too small for the dtype.

    Raises
    ------
    ValueError, TypeError
        As `covariance` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.std([[1.0, 2e200], [3.0, 6e200], [5.0, 4e200]])
    array([2.e+000, 2.e+200])
    """
    return statistic(STD, x, ddof, weights, fweights, aweights, nan_policy, groups)


def covariance(
    x: ArrayLike,
    *,
    ddof: float = 1,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nan_policy: str = "propagate",
    groups: Any = None,
) -> Any:
    """Covariance matrix of the columns of a table, or of a stack of tables.

    Parameters
    ----------
    x : array_like, shape (..., n, d) or (n,)
        Samples in rows, one variable in each column (``numpy.cov(x, rowvar=False)``), float32 or float64: a table with
        variables in rows is ``x.T``. With one dimension it is one variable. A memory map is read once, from front to
        back, and what has been read is given back to the system.
    ddof : float
        The sums of products are divided by ``n - ddof``. As in `numpy.cov`, the divisor is not allowed to become
        negative; where it is zero the result is NaN or infinite, here without a warning. With weights it must be
        positive.
    fweights : array_like, shape (..., n), optional
        How often each row counts, not necessarily a whole number; the divisor is ``sum(fweights) - ddof``. A row of
        weight zero counts for nothing, even if it holds NaN. If no row counts at all the result is NaN.
    aweights : array_like, shape (..., n), optional
        What share each row has, in any unit (`numpy.cov`'s ``aweights``): with w for them, times `fweights` if both are
        given, the divisor is ``sum(w) - ddof * sum(w * aweights) / sum(w)``.
    weights : array_like, shape (..., n), optional
        Another name of `fweights`.
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in `x`, in rows of positive weight. ``"propagate"``: it reaches the row and the column of
        its feature. ``"raise"``: `ValueError` that names the first. ``"omit"``: entry (i, j) is the covariance of
        features i and j in the rows that have both, means included, as in ``pandas.DataFrame.cov``; what a mask hides
        counts as missing.
    groups : array_like, optional
        As for `mean`.

    Returns
    -------
    ndarray, shape (..., d, d), or a number
        The covariances: exactly symmetric, of the dtype of `x`; of one variable its variance.

    Raises
    ------
    ValueError
        If weights do not fit `x`, are negative or not finite, or add up to no more than `ddof`;
        or, if asked for, if `x` has NaN.
    TypeError
        If the numbers are complex or no numbers at all, or a mask hides some and `nan_policy` is not ``"omit"``, or
        `x` is a Dask array in chunks of rows (`mmlfast.dask.covariance`).

    Notes
    -----
    Each block of rows is centred by its own mean while it is in cache, and blocks are merged in a fixed tree [1]_. A
    mean of 1e8 standard deviations costs no accuracy. NaN or infinity in a column reaches only the entries of that
    column. Columns whose squares float64 cannot hold are multiplied by a power of two first, so that every entry that
    the dtype can hold is right, whatever the units of the columns are.

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
    return statistic(COVARIANCE, x, ddof, weights, fweights, aweights, nan_policy, groups)


def correlation(
    x: ArrayLike,
    *,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    nan_policy: str = "propagate",
    groups: Any = None,
) -> Any:
    """Pearson correlation of the columns of a table, or of a stack of tables.

    Parameters
    ----------
    x : array_like, shape (..., n, d) or (n,)
        Samples in rows, one variable in each column, float32 or float64; or one variable.
    fweights, aweights, weights : array_like, optional
        As for `covariance`.
    nan_policy : str, optional
        As for `covariance`; ``"omit"`` is as in ``pandas.DataFrame.corr``.
    groups : array_like, optional
        As for `mean`.

    Returns
    -------
    ndarray, shape (..., d, d), or a number
        The correlations: exactly symmetric, between -1 and 1, exactly 1 on the diagonal, and NaN in the row and column
        of a feature that does not vary. There is no warning. They do not depend on the units of the columns: times a
        power of two, these give the same bits.

    Raises
    ------
    ValueError, TypeError
        As `covariance` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.stats.correlation([[1.0, 2.0], [3.0, 6.0], [5.0, 4.0]])
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    return statistic(CORRELATION, x, 0, weights, fweights, aweights, nan_policy, groups)
