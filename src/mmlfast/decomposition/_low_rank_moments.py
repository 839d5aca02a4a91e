"""The leading part of the moments of rows that come in pieces, for tables too wide for a covariance matrix."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mmlfast.decomposition._spectrum import Spectrum
from mmlfast.linalg._qr import qr
from mmlfast.linalg._svd import svd
from mmlfast.stats._covariance import mean as mean_of_rows

Array = np.ndarray[Any, Any]


class LowRankMoments:
    """Mean, and the leading singular vectors of the centred rows so far, with what has been left out.

    Parameters
    ----------
    rank : int
        How many singular vectors are kept.

    Attributes
    ----------
    count : int
        Number of rows.
    discarded : float
        Bound on the error of each sum of squares along a direction: the sum over all updates of the largest square that
        was left out.

    References
    ----------
    .. [1] A. Levy and M. Lindenbaum, Sequential Karhunen-Loeve basis extraction and its application to images, IEEE
       Trans. Image Process. 9 (2000); D. Ross, J. Lim, R. Lin and M. Yang, Incremental learning for robust visual
       tracking, Int. J. Comput. Vis. 77 (2008).
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.count = 0
        self.discarded = 0.0
        # From here on of the rows times 2^-exponent, which is 0 unless the first rows are very large or small.
        self._exponent: int | None = None
        self._squares = np.zeros(0)  # of the columns, from the mean
        self._mean = np.zeros(0)
        self._rows = np.zeros((0, 0))  # singular values times right singular vectors

    @property
    def mean(self) -> Array:
        """The mean of the rows."""
        return np.asarray(np.ldexp(self._mean, self._exponent or 0))

    def update(self, x: Array) -> Self:
        """Take in rows, about as many at a time as are kept."""
        step = max(self.rank, 256)
        for start in range(0, len(x), step):
            self._add_rows(x[start : start + step].astype(np.float64))
        return self

    def _add_rows(self, x: Array) -> None:
        if self._exponent is None:
            exponent = int(np.frexp(np.abs(x).max(initial=0))[1])
            self._exponent = exponent if abs(exponent) > 100 else 0
        if self._exponent:
            x = np.ldexp(x, -self._exponent)
        rows, here = len(x), mean_of_rows(x)
        x = x - here
        squares = np.einsum("ij,ij->j", x, x)
        parts = [x]
        if self.count:
            n = self.count + rows
            step = np.sqrt(self.count * rows / n) * (here - self._mean)
            parts = [self._rows, x, step[None]]
            squares = self._squares + squares + step**2
            self._mean = self._mean + (here - self._mean) * (rows / n)
        else:
            self._mean = here
        self.count += rows
        self._squares = squares
        # The R factor of the transpose has the same singular values, and is small.
        q, r = qr(np.concatenate(parts).T)
        left, values, _ = svd(r)
        keep = min(self.rank, len(values))
        self.discarded += float(np.ldexp(values[keep] ** 2, 2 * self._exponent)) if keep < len(values) else 0.0
        self._rows = (q @ (left[:, :keep] * values[:keep])).T

    def variance(self) -> Array:
        """Of each column, divisor n."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.ldexp(self._squares / max(self.count, 1), 2 * (self._exponent or 0)))

    def spectrum(self, k: int) -> Spectrum:
        """The first `k` components."""
        divisor = max(self.count - 1, 1)
        squares = np.einsum("ij,ij->i", self._rows, self._rows)
        vectors = np.zeros((k, len(self._mean)))
        values = np.zeros(k)
        have = min(k, int(np.count_nonzero(squares)))
        values[:have] = squares[:have] / divisor
        vectors[:have] = self._rows[:have] / np.sqrt(squares[:have, None])
        total = float(self._squares.sum()) / divisor
        return Spectrum(values, vectors, total, None, "low rank", 1, exponent=self._exponent or 0)
