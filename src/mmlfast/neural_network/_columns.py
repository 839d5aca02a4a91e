"""Means and deviations of the columns of samples, in blocks of rows: no copy of the whole table is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_BLOCK_NUMBERS = 1 << 18


class Columns(NamedTuple):
    """Of each column, or of all numbers together."""

    mean: Array
    deviation: Array  # 0 where nothing but rounding varies
    farthest: Array  # the largest distance of a number from the mean


def blocks(x: Array, weights: Array | None = None) -> Iterator[tuple[Array, Array | None]]:
    """Rows in float64, and their weights; rows of weight 0 are left out. In one order in memory, whatever that of x is:
    the order of sums depends on it."""
    n = max(1, _BLOCK_NUMBERS // max(x.shape[1], 1))
    for start in range(0, len(x), n):
        rows, w = x[start : start + n], None if weights is None else weights[start : start + n]
        if w is not None and not w.all():
            rows, w = rows[w > 0], w[w > 0]
        if len(rows):
            yield rows.astype(np.float64, order="C"), w


def first_not_finite(x: Array) -> tuple[int, int] | None:
    """Row and column of the first number that is NaN or infinite."""
    if x.dtype.kind != "f":
        return None
    n = max(1, _BLOCK_NUMBERS // max(x.shape[1], 1))
    for start in range(0, len(x), n):
        good = np.isfinite(x[start : start + n])
        if not good.all():
            row, column = np.argwhere(~good)[0].tolist()
            return start + row, column
    return None


@np.errstate(all="ignore")
def columns(x: Array, weights: Array | None = None, *, together: bool = False) -> Columns:
    """Means and standard deviations of finite numbers, weighted by rows; `together`: of all columns as one.

    The numbers are first divided by a power of two near the largest of their column, so that no square overflows or
    vanishes, and so that a factor of 2^k in the numbers is one in the results, to the bit.
    """
    largest = np.zeros(x.shape[1])
    for rows, _ in blocks(x, weights):
        np.maximum(largest, np.abs(rows).max(axis=0), out=largest)
    if together:
        largest[:] = largest.max(initial=0)
    exponent = np.clip(np.frexp(largest)[1], -1000, 1000)
    unit = np.ldexp(1.0, -exponent)

    def mean_of(value: Callable[[Array], Array]) -> Array:
        total, count = np.zeros(x.shape[1]), 0.0
        for rows, w in blocks(x, weights):
            part = value(rows * unit)
            np.add(total, part.sum(axis=0) if w is None else w @ part, out=total)
            count += len(rows) if w is None else float(w.sum())
        if together:
            total[:] = total.mean()
        return total / count

    centre = mean_of(lambda rows: rows)
    farthest = np.zeros(x.shape[1])

    def square(rows: Array) -> Array:
        distance = np.abs(rows - centre)
        np.maximum(farthest, distance.max(axis=0), out=farthest)
        squares: Array = np.square(distance)
        return squares

    deviation = np.sqrt(mean_of(square))
    deviation[deviation <= 1e-14 * np.abs(centre)] = 0
    if together:
        farthest[:] = farthest.max(initial=0)
    return Columns(np.ldexp(centre, exponent), np.ldexp(deviation, exponent), np.ldexp(farthest, exponent))


def quantiles(x: Array, weights: Array | None, shares: tuple[float, ...]) -> Array:
    """The smallest numbers of a column up to which the weights come to these shares of all: k copies of a number count
    as a weight of k."""
    if weights is not None:
        x, weights = x[weights > 0], weights[weights > 0]
    order = np.argsort(x, kind="stable")
    sums = np.arange(1.0, len(x) + 1) if weights is None else np.cumsum(weights[order])
    at = np.searchsorted(sums, np.multiply(shares, sums[-1]) * (1 - 1e-12))
    found: Array = x[order][np.minimum(at, len(x) - 1)].astype(np.float64)
    return found
