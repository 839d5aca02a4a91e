"""Nearest neighbours in float64 where squares of distances leave its range.

The search itself measures in squares. Where all of them are in range, nothing is done here. Where some are not, rows
are sorted by size into bands, each of which is searched in units of its own; what cannot be told apart by squares even
then (numbers of very different size within one row) is measured without them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core

Array = np.ndarray[Any, Any]

# Powers of two between the largest and the smallest row of a band.
WIDTH = 300


def neighbors_of_any_range(
    queries: Array, points: Array, k: int, squared: bool, longest: float | None
) -> tuple[Array, Array]:
    """Distances or their squares, and indices, of the k nearest, from contiguous rows of finite numbers.

    `longest` is the length of the longest row, or None.
    """
    if not len(queries):
        return _core.neighbors(queries, points, k, squared)
    if longest is None:
        longest = max(float(_core.norm(a).max(initial=0)) for a in (queries, points))
    # Where some rows are so small that squares vanish among ordinary ones, the search itself says so below.
    if not 1e-130 < longest < 1e140:
        if not longest < np.inf and not all(bool(np.isfinite(a).all()) for a in (queries, points)):
            raise ValueError("knn: the points in coordinates of this metric leave the range of float64")
        return _in_bands(queries, points, k, squared)
    distances, indices = _core.neighbors(queries, points, k, squared)
    if np.isnan(distances[:, 0].sum()):
        lost = np.isnan(distances[:, 0])
        distances[lost], indices[lost] = _in_bands(queries[lost], points, k, squared)
    return distances, indices


@np.errstate(all="ignore")
def _in_bands(queries: Array, points: Array, k: int, squared: bool) -> tuple[Array, Array]:
    """The answer through searches of each band of queries in each band of points."""
    top = max(int(_exponents(a).max()) for a in (queries, points))
    of_queries, of_points = _bands(queries, top), _bands(points, top)
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    lost = np.zeros(len(queries), dtype=bool)
    for band in np.unique(of_queries):
        rows = np.flatnonzero(of_queries == band)
        all_d, all_i = [], []
        for other in np.unique(of_points):
            chosen = np.flatnonzero(of_points == other)
            exponent = top - WIDTH * int(min(band, other))
            a, b = (np.ldexp(x, -exponent) for x in (queries[rows], points[chosen]))
            d, i = _core.neighbors(a, b, min(k, len(chosen)), False)
            lost[rows] |= np.isnan(d[:, 0])
            all_d.append(np.ldexp(d, exponent))
            all_i.append(chosen[i])
        d, i = np.concatenate(all_d, axis=1), np.concatenate(all_i, axis=1)
        order = np.lexsort((i, d))[:, :k]
        distances[rows], indices[rows] = np.take_along_axis(d, order, 1), np.take_along_axis(i, order, 1)
    # Small numbers beside large ones may have vanished with the unit: then rows that differ are at distance zero.
    q, j = np.nonzero(distances == 0)
    np.logical_or.at(lost, q, (queries[q] != points[indices[q, j]]).any(axis=1))
    for row in np.flatnonzero(lost):
        distances[row], indices[row] = _directly(queries[row], points, k)
    return distances * distances if squared else distances, indices


def _directly(query: Array, points: Array, k: int) -> tuple[Array, Array]:
    """All distances of one query, each in units of its own; what is too large for float64 is compared smaller."""
    distances = np.asarray(_core.distance(query, points))
    smaller = np.asarray(_core.distance(np.ldexp(query, -8), np.ldexp(points, -8)))
    order = np.lexsort((np.where(np.isinf(distances), smaller, 0), distances))[:k]
    return distances[order], order


def _exponents(a: Array) -> Array:
    """That of the largest number of each row; of a row of zeros the least there can be."""
    largest = np.abs(a).max(axis=1, initial=0)
    return np.where(largest > 0, np.frexp(largest)[1], -1100)


def _bands(a: Array, top: int) -> Array:
    return np.asarray((top - _exponents(a)) // WIDTH)
