"""The R factor as a mergeable state; public as `mmlfast.linalg.RFactor`."""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.labels import check_columns
from mmlfast._common.states import RowState, as_rows
from mmlfast.linalg._lstsq import lstsq

Array = np.ndarray[Any, Any]


class RFactor(RowState, compiled=_core.RFactorState, too_many_features=2**24):
    """R of the QR factorization of rows that come in pieces.

    For least squares, singular values and rank of a table that is too long for memory, grows, or lies on several
    machines: R'R = X'X, but R is as accurate as the QR of all rows, where X'X has lost all singular values below
    ``sqrt(eps)`` of the largest.

    Parameters
    ----------
    n_features, dtype
        As for `mmlfast.stats.Moments`.

    Attributes
    ----------
    count : int
        The number of rows.
    r : ndarray, shape (n_features, n_features)
        Upper triangular with a diagonal that is not negative.

    Notes
    -----
    Rows are collected into blocks of fixed length, each is reduced by Householder reflections, and the R factors are
    merged in a fixed tree [1]_. The rows of an unfinished block are kept, so that ``update`` over any chunking gives
    the same bits, with any number of threads. Asking for results in between changes nothing. Objects pickle and copy;
    they may be shared between threads, and a signal handler may read what it interrupts an update of. If Ctrl-C stops
    an update, the rows up to some point have been taken in, and `count` says how many.

    There is an orthonormal Q with ``X + E = Q R`` and a norm of each column of E of at most c n u times that of the
    column of X; scaling a column changes nothing. NaN or infinity in column j makes column j and all later columns of
    the rows j and on of `r` NaN, as in `numpy.linalg.qr`.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, Communication-optimal parallel and sequential QR and LU
       factorizations, SIAM J. Sci. Comput. 34 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> x = np.array([[3.0, 1.0], [4.0, 2.0], [0.0, 2.0]])
    >>> state = mf.linalg.RFactor().update(x[:1]).update(x[1:])
    >>> state.count
    3
    >>> np.allclose(state.r.T @ state.r, x.T @ x)
    True
    """

    __slots__ = ()

    _state: _core.RFactorState

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self._state.count())

    @property
    def r(self) -> Array:
        """R of the rows so far: upper triangular with a diagonal that is not negative."""
        return self._state.r().astype(self._dtype, copy=False)

    def update(self, x: ArrayLike) -> Self:
        """Take in rows.

        Parameters
        ----------
        x : array_like, shape (n, d) or (d,)
            Rows, or one row.

        Returns
        -------
        RFactor
            The object itself.

        Raises
        ------
        ValueError
            If the number of columns, their labels or the order of these are other ones than before.
        TypeError
            If the numbers are complex or no numbers at all.
        """
        rows = as_rows("update", x)
        labels = check_columns("update", self._labels, x, rows.shape[1])
        self._state.update(rows)
        self._labels = labels
        return self

    def downdate(self, x: ArrayLike) -> Self:
        """Take rows out that were taken in before.

        The error is relative to what was there before, and grows as the rows carry more of the weight of some
        direction [1]_. If nothing would be left of a direction, or rows go that were never taken in, it raises and
        changes nothing; not every such row can be noticed.

        Parameters
        ----------
        x : array_like
            As for `update`.

        Returns
        -------
        RFactor
            The object itself, without these rows.

        Raises
        ------
        numpy.linalg.LinAlgError
            If R'R without these rows is not positive definite to working precision.
        ValueError
            If more rows would go than there are.
        ValueError, TypeError
            As `update` does.

        References
        ----------
        .. [1] G. W. Stewart, The effects of rounding error on an algorithm for downdating a Cholesky factorization,
           J. Inst. Math. Appl. 23 (1979).
        """
        rows = as_rows("downdate", x)
        check_columns("downdate", self._labels, x, rows.shape[1])
        if not self._state.remove(rows):
            raise LinAlgError("downdate: what is left would not be positive definite; nothing was taken out")
        return self

    def singular_values(self) -> Array:
        """Return the singular values of the rows so far, largest first.

        Returns
        -------
        ndarray, shape (min(count, n_features),)
            NaN if a row holds NaN or infinity.
        """
        r = self._state.r()
        s = np.linalg.svd(r, compute_uv=False) if np.isfinite(r).all() else np.full(len(r), np.nan)
        return s[: min(self.count, len(r))].astype(self._dtype, copy=False)

    def rank(self, rtol: float | None = None) -> int:
        """Return the number of independent columns, whatever their units.

        Parameters
        ----------
        rtol : float, optional
            Of the columns scaled to length one, singular values of at most `rtol` times the largest count as zero. The
            default is that of `mmlfast.linalg.lstsq`: u times the number of columns, in float64 at least 16 u.
            Errors of `merge` add up like the root of their number: after thousands of them, one after another, 100 u
            is better.

        Returns
        -------
        int
            The rank.

        Raises
        ------
        numpy.linalg.LinAlgError
            If a row holds NaN or infinity.
        """
        return self._solve("rank", 0, rtol)[2]

    def lstsq(self, n_rhs: int = 1, rtol: float | None = None) -> tuple[Array, Array]:
        """Least squares with the last columns as right-hand sides: the rows are those of ``[a, b]``.

        Parameters
        ----------
        n_rhs : int
            The number of columns of b.
        rtol : float, optional
            What counts as zero when the rank of a is decided, as in `rank`. Without full rank the solution is the one
            of least norm, in the units of the columns as they are.

        Returns
        -------
        x : ndarray, shape (n_features - n_rhs, n_rhs)
            The x that makes norm(a @ x - b) least.
        residuals : ndarray, shape (n_rhs,)
            The sums of squares of a @ x - b, column by column.

        Raises
        ------
        ValueError
            If there are not that many columns.
        numpy.linalg.LinAlgError
            If a row holds NaN or infinity.

        See Also
        --------
        mmlfast.linalg.lstsq : of arrays in memory.
        """
        n = (self.n_features or 0) - operator.index(n_rhs)
        if n < 0 or n_rhs < 1:
            raise ValueError(f"lstsq: n_rhs must be between 1 and n_features, got {n_rhs} of {self.n_features}")
        return self._solve("lstsq", n_rhs, rtol)[:2]

    def _solve(self, function: str, n_rhs: int, rtol: float | None) -> tuple[Array, Array, int]:
        """x, residuals and rank."""
        r = self._state.r()
        if not np.isfinite(r).all():
            raise LinAlgError(f"{function}: the rows hold NaN or infinity")
        n = len(r) - n_rhs
        if rtol is None and self._dtype.char == "f" and n > 0:
            rtol = n * 2.0**-24
        a, b, rest = r[:n, :n], r[:n, n:], r[n:, n:]
        found = lstsq(a[None], b[None], rtol)
        x, rank = found.x[0], int(found.rank[0])
        with np.errstate(all="ignore"):  # what does not fit the dtype is infinite
            residuals = (rest * rest).sum(axis=0)
            if rank < n:  # what R cannot reach counts too
                residuals += np.square(a @ x - b).sum(axis=0)
            return x.astype(self._dtype, copy=False), residuals.astype(self._dtype, copy=False), rank
