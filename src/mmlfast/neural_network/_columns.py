"""Means and deviations of the columns of samples, in blocks of rows: no copy of the whole table is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core

Array = np.ndarray[Any, Any]

_BLOCK_NUMBERS = 1 << 19
# So many columns are a table of their own: moments of more are not taken in one reading (kernels/covariance.hpp).
_TABLE_COLUMNS = 64


class Columns(NamedTuple):
    """Of each column, or of all numbers together."""

    mean: Array
    deviation: Array  # 0 where nothing but rounding varies


def blocks(x: Array, weights: Array | None = None) -> Iterator[tuple[Array, Array | None]]:
    """Some rows at a time, and their weights. They depend on the shape of x alone, and so does the order of sums."""
    n = max(1, _BLOCK_NUMBERS // max(x.shape[1], 1))
    for start in range(0, len(x), n):
        yield x[start : start + n], None if weights is None else weights[start : start + n]


def first_not_finite(x: Array) -> tuple[int, int] | None:
    """Row and column of the first number that is NaN or infinite."""
    if x.dtype.kind != "f":
        return None
    start = 0
    for rows, _ in blocks(x):
        good = np.isfinite(rows)
        if not good.all():
            row, column = np.argwhere(~good)[0].tolist()
            return start + row, column
        start += len(rows)
    return None


@np.errstate(all="ignore")
def columns(x: Array, weights: Array | None = None, *, together: bool = False) -> Columns:
    """Means and standard deviations, weighted by rows; `together`: of all columns as one. NaN where a number is not
    finite. Bytes, float32 and float64 of the same numbers give the same bits."""
    shares, means, deviations = [], [], []
    place: Array | None = None  # for rows as float64: a new one for each block would be new pages of memory
    # An even power of two brings weights near 1: their unit does not matter, nor do sums of them overflow.
    power = 0 if weights is None else int(np.frexp(np.float64(weights.max(initial=0)))[1]) // 2 * 2
    for rows, w in blocks(x, weights):
        w = None if w is None else np.ldexp(w.astype(np.float64), -power)
        share = len(rows) if w is None else float(w.sum())
        if share > 0:
            if x.dtype != np.float64:
                place = np.empty(rows.shape) if place is None else place[: len(rows)]
                np.copyto(place, rows)
                rows = place
            mean, deviation = _of_block(rows, w)
            shares.append(share)
            means.append(mean)
            deviations.append(deviation)
    found = _joined(np.array(shares)[:, None], np.array(means), np.array(deviations))
    if together:
        one = _joined(np.ones((x.shape[1], 1)), *(a[:, None] for a in found))
        found = Columns(*(np.repeat(a, x.shape[1]) for a in one))
    return found


def _of_block(rows: Array, weights: Array | None) -> tuple[Array, Array]:
    """Mean and deviation of each column."""
    d = rows.shape[1]
    many = d // _TABLE_COLUMNS * _TABLE_COLUMNS
    tables = [rows[:, :many].reshape(len(rows), -1, _TABLE_COLUMNS).swapaxes(0, 1)] if many else []
    if many < d or not d:
        tables.append(rows[:, many:])
    if weights is None:
        means, deviations = [_core.mean(t) for t in tables], [_core.std(t, 0.0) for t in tables]
    else:
        means = [_core.weighted_mean(t, weights) for t in tables]
        deviations = [_core.weighted_std(t, weights, 0.0) for t in tables]
    return np.concatenate([a.ravel() for a in means]), np.concatenate([a.ravel() for a in deviations])


def _joined(share: Array, means: Array, deviations: Array) -> Columns:
    """Of each column of parts in rows, which have these shares in all of it: numbers times a power of two near the
    largest of the column, so that no square overflows or vanishes."""
    size = np.maximum(np.abs(means), deviations).max(axis=0, initial=0)
    exponent = np.clip(np.frexp(size)[1], -1000, 1000)
    means, deviations = np.ldexp(means, -exponent), np.ldexp(deviations, -exponent)
    total = share.sum()
    centre = (share * means).sum(axis=0) / total
    squares = np.square(deviations) + np.square(means - centre)
    deviation = np.sqrt((share * squares).sum(axis=0) / total)
    deviation[deviation <= 1e-14 * np.abs(centre)] = 0
    return Columns(np.ldexp(centre, exponent), np.ldexp(deviation, exponent))


def farthest(x: Array, weights: Array | None, mean: Array) -> Array:
    """The largest distance of a number of each column from its mean."""
    low, high = np.full((2, x.shape[1]), mean)
    for rows, w in blocks(x, weights):
        counted = rows if w is None or w.all() else rows[w > 0]
        if len(counted):
            np.minimum(low, counted.min(axis=0), out=low)
            np.maximum(high, counted.max(axis=0), out=high)
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(mean - low, high - mean))


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
