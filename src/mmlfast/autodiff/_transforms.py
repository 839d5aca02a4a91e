"""Derivatives of recorded values, as more values of the same graph.

An id of -1 stands for a derivative that is zero whatever the numbers are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]


class Entries(NamedTuple):
    """The entries of a matrix that can be other than zero, row by row: CSR with ids for data."""

    indptr: Array
    indices: Array
    ids: Ids
    n_columns: int

    def dense(self) -> Ids:
        """All entries, -1 where there is none."""
        n_rows = len(self.indptr) - 1
        out = np.full((n_rows, self.n_columns), -1, np.int32)
        out[np.repeat(np.arange(n_rows), np.diff(self.indptr)), self.indices] = self.ids
        return out


def gradient(t: Trace, x: Ids, result: Ids) -> Ids:
    """Of one number."""
    return t.graph.vjp(result.reshape(1), t.scalar(1.0).reshape(1), x.ravel()).reshape(x.shape)


def pushforward(t: Trace, x: Ids, tangent: Ids, result: Ids) -> Ids:
    """J @ tangent."""
    return t.graph.jvp(x.ravel(), tangent.ravel(), result.ravel()).reshape(result.shape)


def pullback(t: Trace, x: Ids, result: Ids, cotangent: Ids) -> Ids:
    """cotangent @ J."""
    return t.graph.vjp(result.ravel(), cotangent.ravel(), x.ravel()).reshape(x.shape)


def jacobian(t: Trace, x: Ids, result: Ids) -> Entries:
    """Of all results with respect to all of x.

    Columns that share no row are computed together in one forward sweep, rows that share no column in one reverse
    sweep; whichever needs fewer sweeps is done.
    """
    x, result = x.ravel(), result.ravel()
    indptr, indices = (np.asarray(part) for part in t.graph.pattern(result, x))
    rows = np.repeat(np.arange(len(result)), np.diff(indptr))
    of_columns = _colours_of_columns(indptr, indices, len(x))
    turned = np.argsort(indices, kind="stable")
    column_ptr = np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=len(x)))])
    of_rows = _colours_of_columns(column_ptr, rows[turned], len(result))
    one = int(t.scalar(1.0)[()])
    ids = np.empty(len(indices), np.int32)
    if of_columns.max(initial=-1) < of_rows.max(initial=-1):
        for colour in range(int(of_columns.max(initial=-1)) + 1):
            column = t.graph.jvp(x, np.where(of_columns == colour, one, -1).astype(np.int32), result)
            here = of_columns[indices] == colour
            ids[here] = column[rows[here]]
    else:
        for colour in range(int(of_rows.max(initial=-1)) + 1):
            row = t.graph.vjp(result, np.where(of_rows == colour, one, -1).astype(np.int32), x)
            here = of_rows[rows] == colour
            ids[here] = row[indices[here]]
    return Entries(indptr, indices, ids, len(x))


def _colours_of_columns(indptr: Array, indices: Array, n_columns: int) -> Array:
    return np.asarray(_core.tape_colour_columns(indptr.astype(np.int64), indices.astype(np.int32), n_columns), np.int32)


def hessian(t: Trace, x: Ids, result: Ids) -> Entries:
    """Of one number: forward sweeps through its gradient, each for all columns of a colour.

    In a star colouring (i, j) stands alone in row i of the colour of j, or (j, i) in row j of the colour of i: each
    entry is read where it is alone, and stands in both places.
    """
    x = x.ravel()
    n = len(x)
    slopes = gradient(t, x, result)
    present = np.flatnonzero(slopes >= 0)
    ptr, columns = (np.asarray(part, np.int64) for part in t.graph.pattern(slopes[present], x))
    rows = np.repeat(present, np.diff(ptr))
    keys = np.unique(np.concatenate([rows * n + columns, columns * n + rows]))  # n * n is beyond 32 bits
    rows, columns = keys // max(n, 1), keys % max(n, 1)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    colours = np.asarray(_core.tape_colour_star(indptr, columns.astype(np.int32)), np.int32)
    n_colours = int(colours[columns].max(initial=-1)) + 1
    swept = np.full((n_colours, n), -1, np.int32)
    one = int(t.scalar(1.0)[()])
    for colour in range(n_colours):
        seeds = np.where(colours == colour, one, -1).astype(np.int32)
        swept[colour, present] = t.graph.jvp(x, seeds, slopes[present])
    # Entry (i, j) stands alone in row i of its colour if no other column of the colour has an entry there.
    crowd = np.bincount(rows * n_colours + colours[columns], minlength=n * n_colours) if n_colours else np.empty(0)
    ids = np.empty(len(rows), np.int32)
    low = rows >= columns
    i, j = rows[low], columns[low]
    alone = crowd[i * n_colours + colours[j]] == 1
    assert np.all(alone | (crowd[j * n_colours + colours[i]] == 1))  # what a star colouring is
    lower = np.where(alone, swept[colours[j], i], swept[colours[i], j])
    ids[low] = lower
    ids[~low] = lower[np.searchsorted(i * n + j, columns[~low] * n + rows[~low])]
    return _without_zeros(Entries(indptr, columns.astype(np.int32), ids, n))


def _without_zeros(entries: Entries) -> Entries:
    """What turned out zero whatever the numbers (the -1) is not stored."""
    good = entries.ids >= 0
    if good.all():
        return entries
    rows = np.repeat(np.arange(len(entries.indptr) - 1), np.diff(entries.indptr))[good]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(entries.indptr) - 1))]).astype(np.int64)
    return Entries(indptr, entries.indices[good], entries.ids[good], entries.n_columns)
