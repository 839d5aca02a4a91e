"""What the kernel says of a fit, one row of numbers each, and how these rows are found."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.groups import Groups

Array = np.ndarray[Any, Any]

OK, NO_ERRORS, DEPENDENT, NOT_FINITE, NO_ROWS = range(5)


class Design(NamedTuple):
    """The columns that are fitted: ones, and those of x or the powers of its only column."""

    columns: int  # of x
    terms: int  # besides the ones
    powers: bool
    intercept: bool

    @property
    def n_coefficients(self) -> int:
        return self.terms + self.intercept


class Fields(NamedTuple):
    """Where the parts of a record are (cpp/kernels/linear_fit.hpp)."""

    coefficients: slice
    centred: slice
    centre: slice
    root: slice
    chi_squared: int
    residual_norm: int
    r_squared: int
    n_rows: int
    rank: int
    status: int
    length: int


@functools.cache
def fields(design: Design) -> Fields:
    k, p = design.n_coefficients, design.terms
    end = 2 * k + p + k * k
    return Fields(
        coefficients=slice(0, k),
        centred=slice(k, 2 * k),
        centre=slice(2 * k, 2 * k + p),
        root=slice(2 * k + p, end),
        chi_squared=end,
        residual_norm=end + 1,
        r_squared=end + 2,
        n_rows=end + 3,
        rank=end + 4,
        status=end + 5,
        length=end + 7,
    )


def nothing(design: Design, count: float, status: int) -> Array:
    """The record of a fit without an answer."""
    at = fields(design)
    r = np.full(at.length, np.nan)
    r[at.centre] = 0
    r[at.n_rows], r[at.rank], r[at.status] = count, 0, status
    return r


@functools.cache
def most_rows(design: Design) -> int:
    """That the lanes take."""
    return _core.linear_fit_most_rows(*design)


class Table(NamedTuple):
    """x (rows, columns) or (fits, rows, columns), y (rows,) or (fits, rows), weights as y, (rows,), or None."""

    x: Array
    y: Array
    weights: Array | None

    def rows(self, fit: Any, which: Any) -> Table:
        """Some rows of one fit."""
        x = self.x[fit] if self.x.ndim == 3 else self.x
        y = self.y[fit] if self.y.ndim == 2 else self.y
        w = self.weights
        if w is not None:
            w = w[fit] if w.ndim == 2 else w
        return Table(x[which], y[which], None if w is None else w[which])


class Windows(NamedTuple):
    """Rows first * step to first * step + length - 1 of a table."""

    length: int
    step: int
    n_fits: int


_NONE = np.empty(0, np.int64)

Exceptional = Callable[[Table, Design, float], Array]


def records(
    table: Table,
    design: Design,
    of_rows: Groups | Windows | None,
    *,
    omit: bool,
    least_distance: float,
    long_record: Exceptional,
    least_norm_record: Exceptional,
) -> Array:
    """A record for each fit: of a batch, of groups, or of windows.

    ``long_record`` gives that of more rows than the lanes take, ``least_norm_record`` that of columns which depend on
    each other.
    """
    most = most_rows(design)
    sequence: Array | None = None
    if isinstance(of_rows, Groups):
        n_fits, counts = len(of_rows.labels), of_rows.counts
        sequence = np.argsort(counts, kind="stable")
        sequence = sequence[: int(np.searchsorted(counts[sequence], most, side="right"))]
        long = np.flatnonzero(counts > most)
        placed: Any = (of_rows.order, of_rows.offsets, sequence, n_fits, 0, 0)
    else:
        n_fits = of_rows.n_fits if of_rows else len(table.y) if table.y.ndim == 2 else 1
        count = of_rows.length if of_rows else table.y.shape[-1]
        long = np.arange(n_fits) if count > most else _NONE
        placed = (None, None, _NONE if count > most else None, n_fits, count, of_rows.step if of_rows else 0)

    def rows_of(fit: Any) -> Table:
        if isinstance(of_rows, Groups):
            return table.rows(0, of_rows.order[of_rows.offsets[fit] : of_rows.offsets[fit + 1]])
        if isinstance(of_rows, Windows):
            return table.rows(0, slice(fit * of_rows.step, fit * of_rows.step + of_rows.length))
        return table.rows(fit, slice(None))

    x, y, w = table
    how: Any = (*placed, *design[1:], omit, least_distance)
    found: Array = _core.linear_fit(x, y, w, *how)
    for fit in long if len(long) else ():
        found[fit] = long_record(_complete(rows_of(fit), omit), design, least_distance)
    if design.terms > 1 and not design.powers:
        for fit in np.flatnonzero(found[:, fields(design).status] == DEPENDENT):
            found[fit] = least_norm_record(_complete(rows_of(fit), omit), design, least_distance)
    return found


def _complete(table: Table, omit: bool) -> Table:
    """The rows that count: of positive weight and, with ``omit``, without NaN."""
    kept = np.ones(len(table.y), bool) if table.weights is None else table.weights > 0
    if omit:
        kept &= ~(np.isnan(table.y) | np.isnan(table.x).any(axis=1))
    return table if kept.all() else table.rows(0, kept)
