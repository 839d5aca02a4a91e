"""The peer of the PageRank steps: plain power iteration with SciPy, with the same certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Walk:
    """A random walk along links; from a node without links it goes where jumps go.

    `jumps` are columns, one for each ranking; one of equal numbers by default.
    """

    def __init__(self, links: Any, damping: float, jumps: Array | None = None) -> None:
        self.n = n = links.shape[0]
        strength = links.sum(axis=1)
        self._damping = damping
        self._dangling = np.flatnonzero(strength == 0)
        self._share = np.divide(1.0, strength, out=np.zeros(n), where=strength > 0)
        self._arriving = links.T.tocsr()
        self._jumps = np.full(n, 1 / n) if jumps is None else jumps

    def dense(self) -> Array:
        """The matrix whose column j says where the walk goes from node j."""
        matrix = self._arriving.toarray() * self._share
        matrix[:, self._dangling] = 1 / self.n
        return np.asarray(matrix)

    def steps(self) -> Iterator[tuple[Array, float]]:
        """After each sweep: the scores, and what the sum of their absolute errors is at most, in any column."""
        d, x, jumps = self._damping, self._jumps, self._jumps
        share = self._share if x.ndim == 1 else self._share[:, None]
        while True:
            new = d * (self._arriving @ (share * x))
            new += (1 - d + d * x[self._dangling].sum(axis=0)) * jumps
            yield new, float(d / (1 - d) * np.abs(new - x).sum(axis=0).max())
            x = new

    def rank(self, tol: float) -> tuple[Array, float]:
        """Scores with an error of at most `tol`, rounding apart, and the bound."""
        for scores, bound in self.steps():
            if bound <= tol:
                return scores, bound
        raise AssertionError("unreachable")
