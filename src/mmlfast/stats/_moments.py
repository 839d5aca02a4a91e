"""Mean and covariance of rows that come in pieces; public as `mmlfast.stats.Moments`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.labels import check_columns, check_labels
from mmlfast._common.states import RowState, as_rows
from mmlfast._common.weights import check_divisor, check_weights

Array = np.ndarray[Any, Any]


class Moments(RowState, compiled=_core.MomentState, too_many_features=2**31):
    """Mean and covariance of rows that come in pieces.

    Parameters
    ----------
    n_features : int, optional
        The number of columns; by default that of the first rows.
    dtype : {float64, float32}
        The dtype of the results. The state is float64 in any case.

    Attributes
    ----------
    count : int or float
        The number of rows, or if weights were ever given the sum of the weights.
    mean : ndarray, shape (n_features,)
        NaN if there are no rows.

    Notes
    -----
    The rows of an unfinished block are kept, so that ``update`` over any chunking gives the bits of one call and those
    of `covariance`. Asking for results in between changes nothing. Objects pickle and copy; they may be shared between
    threads, and a signal handler may read what it interrupts an update of. If Ctrl-C stops an update, the rows up to
    some point have been taken in, and `count` says how many.

    The state holds sums of squares in float64, so numbers should differ by more than 1e-150 and less than 1e150; the
    functions of `mmlfast.stats`, which see all rows at once, have no such limit.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> m = mf.stats.Moments().update(x[:4]).update(x[4:])
    >>> m.count, m.mean
    (6, array([5., 6.]))
    >>> bool(np.all(m.covariance() == mf.stats.covariance(x)))
    True
    """

    __slots__ = ()

    _state: _core.MomentState

    @property
    def count(self) -> int | float:
        """The number of rows, or if weights were ever given the sum of the weights."""
        count = self._state.count()
        return count if self._state.weighted() else int(count)

    @property
    def mean(self) -> Array:
        """The mean of the rows, shape (n_features,)."""
        return self._state.mean(self._dtype.itemsize == 4)

    def covariance(self, ddof: float = 1) -> Array:
        """Return the covariance matrix of the rows so far; see `mmlfast.stats.covariance`.

        Parameters
        ----------
        ddof : float
            What is subtracted from the number of rows, or from the sum of the weights, in the divisor.

        Returns
        -------
        ndarray, shape (n_features, n_features)
            The covariances.

        Raises
        ------
        ValueError
            If there are weights that add up to no more than `ddof`.
        """
        self._check_divisor("covariance", ddof)
        return self._state.covariance(float(ddof), self._dtype.itemsize == 4)

    def variance(self, ddof: float = 1) -> Array:
        """Return the variance of each column of the rows so far: the diagonal of `covariance`.

        Parameters
        ----------
        ddof : float
            As for `covariance`.

        Returns
        -------
        ndarray, shape (n_features,)
            The variances.
        """
        self._check_divisor("variance", ddof)
        return np.diagonal(self._state.covariance(float(ddof), self._dtype.itemsize == 4)).copy()

    def std(self, ddof: float = 1) -> Array:
        """Return the standard deviation of each column of the rows so far: the square root of `variance`.

        Parameters
        ----------
        ddof : float
            As for `variance`.

        Returns
        -------
        ndarray, shape (n_features,)
            The square roots of the variances in float64.
        """
        self._check_divisor("std", ddof)
        deviations: Array = np.sqrt(np.diagonal(divided(self, ddof))).astype(self._dtype)
        return deviations

    def _check_divisor(self, name: str, ddof: float) -> None:
        if self._state.weighted() and self._state.count() - ddof < 1e-3:
            count = self._state.count()
            check_divisor(f"Moments.{name}", "weights", np.float64(count), ddof, self._varies)

    def _varies(self) -> bool:
        return bool((np.diagonal(divided(self, self._state.count() - 1)) > 0).any())

    def update(self, x: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Take in rows.

        Parameters
        ----------
        x : array_like, shape (n, d) or (d,)
            Rows, or one row; with ``n_features=1`` one dimension is n rows of one number.
        weights : array_like, shape (n,), optional
            How often each row counts; for one row a number.

        Returns
        -------
        Moments
            The object itself.

        Raises
        ------
        ValueError
            If the number of columns, their labels or the order of these are other ones than before, or the weights do
            not fit or are not valid.
        TypeError
            If the numbers are complex or no numbers at all.
        """
        rows, w = _rows("update", x, weights, self.n_features)
        labels = check_columns("update", self._labels, x, rows.shape[1])
        self._state.update(rows, w)
        self._labels = labels
        return self

    def downdate(self, x: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Take rows out that were taken in before.

        The error is relative to what was there before: taking out nearly everything, or rows far larger than those that
        remain, leaves few correct digits. Rows that were never taken in cannot be noticed.

        Parameters
        ----------
        x, weights : array_like
            As for `update`.

        Returns
        -------
        Moments
            The object itself, without these rows.

        Raises
        ------
        ValueError
            If more rows would go than there are.
        ValueError, TypeError
            As `update` does.
        """
        rows, w = _rows("downdate", x, weights, self.n_features)
        check_columns("downdate", self._labels, x, rows.shape[1])
        self._state.remove(rows, w)
        return self


def divided(moments: Moments, ddof: float) -> Array:
    """The sums of products divided by the count less ddof, in float64."""
    return moments._state.covariance(float(ddof), False)


def totals(moments: Moments) -> tuple[int, Array, Array]:
    """The number of rows without weights, their mean, and the sums of products about it, in float64."""
    return int(moments.count), *moments._state.mean_and_products()


def _rows(function: str, x: ArrayLike, weights: ArrayLike | None, columns: int | None) -> tuple[Array, Array | None]:
    """Native, aligned float32 or float64 rows and float64 weights."""
    if weights is not None:
        check_labels(function, x=(x, "nd", "n" if columns == 1 else "d"), weights=(weights, "n", "n"))
    rows = as_rows(function, x, columns == 1)
    if weights is not None and np.ndim(x) == 1 and columns != 1:
        weights = np.atleast_1d(np.asarray(weights))
    if weights is None:
        return rows, None
    w = check_weights(function, weights, rows.shape[:1])
    if w.ndim != 1:
        raise ValueError(f"{function}: weights must have shape {rows.shape[:1]}, got {w.shape}")
    return rows, np.require(w, requirements="A")
