"""The covariance matrix of rows as an operator, for methods that need products only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmlfast._common.row_blocks import RowBlocks
from mmlfast.decomposition._spectrum import ordinary
from mmlfast.stats._covariance import mean as mean_of_rows
from mmlfast.stats._covariance import variance

Array = np.ndarray[Any, Any]


class CentredRows:
    """The covariance matrix of rows times 4^-exponent as an operator, without forming it.

    x -> (X - mean)' (X - mean) x / (n - 1); `total` is its trace.
    """

    def __init__(self, rows: Any, blocks: RowBlocks) -> None:
        self.rows, self.blocks = rows, blocks
        self.n = rows.shape[0]
        self.sparse = hasattr(rows, "tocsr")
        if self.sparse:
            self.mean = np.asarray(rows.mean(axis=0), np.float64).ravel()
            columns = rows.tocsc()
            counts = np.diff(columns.indptr)
            deviations = (columns.data - np.repeat(self.mean, counts)) ** 2
            zeros = float(((self.n - counts) * self.mean**2).sum())
            self.total = (math.fsum(deviations) + zeros) / (self.n - 1)
        else:
            self.mean, self.total = mean_and_total_variance(blocks)
        self.exponent = ordinary(self.total)
        self.scale = 2.0**-self.exponent
        self.total = float(np.ldexp(self.total, -2 * self.exponent))

    def __call__(self, v: Array) -> Array:
        result: Array
        v = v * self.scale if self.exponent else v
        if self.sparse:
            y = self.rows @ v - self.mean @ v
            result = self.rows.T @ y - np.outer(self.mean, y.sum(axis=0))
        else:
            result = np.zeros_like(v)
            for block in self.blocks:
                z = block - self.mean
                result += z.T @ (z @ v)
        result /= self.n - 1
        return result * self.scale if self.exponent else result

    def rest(self, vectors: Array) -> float:
        """The sum of the variances in all directions but these, from the distances of the rows: one more reading."""
        squares = 0.0
        for block in self.blocks:
            z = (block - self.mean) * self.scale
            z -= (z @ vectors) @ vectors.T
            squares += float(np.einsum("ij,ij->", z, z))
        return float(squares / (self.n - 1))


def mean_and_total_variance(blocks: RowBlocks) -> tuple[Array, float]:
    """Of the columns, block by block (Chan, Golub and LeVeque)."""
    n, mean, squares = 0, np.zeros(0), 0.0
    for block in blocks:
        rows, wide = len(block), block.astype(np.float64, copy=False)
        here = mean_of_rows(wide)
        around = float(variance(wide, ddof=0).sum()) * rows
        step = here - mean if n else here
        squares += around + float(step @ step) * n * rows / (n + rows)
        mean = mean + step * (rows / (n + rows)) if n else here
        n += rows
    return mean, squares / max(n - 1, 1)
