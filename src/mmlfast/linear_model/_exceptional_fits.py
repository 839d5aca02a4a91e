"""Fits that the lanes leave to others: of very many rows, and of columns that depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.linalg._lstsq import lstsq
from mmlfast.linalg._svd import svd
from mmlfast.linear_model._records import DEPENDENT, NO_ERRORS, NO_ROWS, NOT_FINITE, OK, Design, Table, fields, nothing

Array = np.ndarray[Any, Any]

UNIT = 2.0**-53


class Centred:
    """The columns of a table about their centres, and the units that bring them near one."""

    def __init__(self, table: Table, design: Design) -> None:
        self.table, self.design = table, design
        self.distinct = min(design.terms, 1) if design.powers else design.terms
        used = table.x[:, : self.distinct]
        self.centre, self.exponent, self.size = _middle_and_unit(used, design.intercept)
        of_y = _middle_and_unit(table.y[:, None], design.intercept)
        self.y_centre, self.y_exponent = of_y[0][0], of_y[1][0]
        largest = 1.0 if table.weights is None else float(table.weights.max(initial=0))
        self.weight_exponent = 2.0 * round((np.frexp(largest)[1] - 0.5) / 2)

    def totals(self, coefficients: Array | None) -> Array:
        """Sums over all rows: of products, or with ``coefficients`` (high and low parts) the gradient there."""
        of_units = [*self.centre, *self.exponent, self.y_centre, self.y_exponent, self.weight_exponent]
        known = np.array(of_units if coefficients is None else [*of_units, *coefficients], np.float64)
        x, y, w = self.table
        sums: Array = _core.linear_fit_totals(x, y, w, known, coefficients is not None, *self.design[1:], False)
        return sums

    def exponents(self) -> Array:
        """Of the units of all coefficients but that of ones."""
        if self.design.powers and self.design.terms > 0:
            return np.asarray(np.arange(1, self.design.terms + 1) * self.exponent[0])
        exponents: Array = self.exponent
        return exponents

    def columns(self) -> Array:
        """All columns and y, rows times the roots of their weights, in these units."""
        n = len(self.table.y)
        x = np.ldexp(self.table.x[:, : self.distinct].astype(np.float64), -self.exponent.astype(np.int64)) - self.centre
        if self.design.powers:
            x = x[:, :1] ** np.arange(1, self.design.terms + 1) if self.design.terms else np.empty((n, 0))
        y = np.ldexp(self.table.y.astype(np.float64), -int(self.y_exponent)) - self.y_centre
        parts = [np.ones((n, 1)), x, y[:, None]] if self.design.intercept else [x, y[:, None]]
        a = np.concatenate(parts, axis=1)
        if self.table.weights is not None:
            a *= np.sqrt(np.ldexp(self.table.weights, -int(self.weight_exponent)))[:, None]
        return a

    def record(self, c: Array, c_low: Array, root: Array, square: float, total: float, rank: int) -> Array:
        """What the kernel would say: coefficients in these units are c + c_low, and root that of their covariance."""
        d, at = self.design, fields(self.design)
        own, k = int(d.intercept), d.n_coefficients
        r = np.zeros(at.length)
        unit = np.zeros(k, np.int64)
        unit[own:] = self.exponents()
        y_unit = int(self.y_exponent)
        centred = c.copy()
        if own:
            centred[0] = c[0] + (c_low[0] + self.y_centre)
        r[at.centred] = np.ldexp(centred, y_unit - unit)
        r[at.coefficients] = np.ldexp(self._shifted(c, c_low), y_unit - unit)
        centre = np.zeros(d.terms)
        centre[: self.distinct] = np.ldexp(self.centre, self.exponent.astype(np.int64))
        r[at.centre] = centre
        half = int(self.weight_exponent) // 2
        r[at.root] = np.ldexp(root, -(unit[:, None] + half)).reshape(-1)
        square_unit = 2 * y_unit + int(self.weight_exponent)
        n = len(self.table.y)
        square = 0.0 if n <= rank else square
        r[at.chi_squared] = np.ldexp(square, square_unit)
        r[at.residual_norm] = np.ldexp(np.sqrt(square), square_unit // 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            r[at.r_squared] = 1 - np.divide(square, total)
        r[at.n_rows], r[at.rank] = n, rank
        r[at.status] = DEPENDENT if rank < k else NO_ERRORS if n == k else OK
        return r

    def _shifted(self, c: Array, c_low: Array) -> Array:
        """The coefficients of x instead of x - centre, in sums of two numbers."""
        high, low = c.copy(), c_low.copy()
        if not self.design.intercept or not len(high):
            return high
        high[0], low[0] = _add(high[0], low[0], self.y_centre, 0.0)
        if self.design.powers:
            for i in range(len(high) - 1):
                for j in range(len(high) - 2, i - 1, -1):
                    high[j], low[j] = _add(high[j], low[j], *_times(high[j + 1], low[j + 1], -self.centre[0]))
        else:
            for j in range(1, len(high)):
                high[0], low[0] = _add(high[0], low[0], *_times(high[j], low[j], -self.centre[j - 1]))
        return high


def _middle_and_unit(x: Array, centred: bool) -> tuple[Array, Array, Array]:
    """Of each column, in its unit 2^exponent: the centre, the exponent, and about the largest magnitude."""
    if x.shape[1] == 0 or x.shape[0] == 0:
        return np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    middle, spread = _core.mean(x).astype(np.float64), _core.std(x, np.float64(0)).astype(np.float64)
    if not centred:
        middle, spread = np.zeros(len(middle)), np.hypot(middle, spread)
    spread = np.where(spread > 0, spread, np.where(middle != 0, np.abs(middle), 1))
    exponent = np.frexp(np.where(np.isfinite(spread), spread, 1))[1]
    centre = np.ldexp(middle, -exponent)
    return centre, exponent.astype(np.float64), np.abs(centre) + 4


def _add(a: float, a_low: float, b: float, b_low: float) -> tuple[float, float]:
    total = a + b
    from_b = total - a
    low = (a - (total - from_b)) + (b - from_b) + (a_low + b_low)
    high = total + low
    return high, low - (high - total)


def _times(a: float, a_low: float, b: float) -> tuple[float, float]:
    product = a * b
    a_upper, b_upper = a * 134217729.0, b * 134217729.0
    a_upper, b_upper = a_upper - (a_upper - a), b_upper - (b_upper - b)
    a_lower, b_lower = a - a_upper, b - b_upper
    low = ((a_upper * b_upper - product) + a_upper * b_lower + a_lower * b_upper) + a_lower * b_lower
    return product, low + a_low * b


def long_record(table: Table, design: Design, least_distance: float) -> Array:
    """Of very many rows: a first solution from sums of products, then steps along gradients summed with twice the
    digits, as long as these get smaller; from R of all rows where the columns are too near to each other for that."""
    here = Centred(table, design)
    k = design.n_coefficients
    sums = here.totals(None)
    square, _, count, not_finite = sums[k * k + k :]
    if count == 0 or not_finite:
        return nothing(design, count, NO_ROWS if count == 0 else NOT_FINITE)
    if len(table.y) < k:
        return least_norm_record(table, design, least_distance)
    gram, right = sums[: k * k].reshape(k, k), sums[k * k : k * k + k]
    length = np.sqrt(np.diagonal(gram))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = gram / length / length[:, None]
    root = _root_of_inverse(scaled)
    if root is None:
        return by_r_factor(here, least_distance)
    root = root / length[:, None]
    if not _independent(root, here, length, least_distance):
        return least_norm_record(table, design, least_distance)
    c, low, before = root @ (root.T @ right), np.zeros(k), np.inf
    for _ in range(8):
        found = here.totals(np.concatenate([c, low]))
        step = root @ (root.T @ (found[:k] + found[k : 2 * k]))
        size, whole = np.max(np.abs(step) * length), np.max(np.abs(c) * length)
        if not size < 0.5 * before:
            square = found[2 * k]
            break
        gain = step @ (found[:k] + found[k : 2 * k])  # of the sum of squares, by the step
        square = found[2 * k] - gain
        for j in range(k):
            c[j], low[j] = _add(c[j], low[j], step[j], 0.0)
        before = size
        if size <= 2.0**-40 * whole:
            break
    else:
        return by_r_factor(here, least_distance)
    if not square > 1e-4 * found[2 * k]:  # what has been subtracted from each other has no digits left
        square = here.totals(np.concatenate([c, low]))[2 * k]
    total = sums[k * k + k] - (right[0] ** 2 / gram[0, 0] if design.intercept else 0.0)
    return here.record(c, low, root, square, max(total, square) if design.intercept else total, k)


def _root_of_inverse(scaled: Array) -> Array | None:
    """V, upper triangular, with V V' the inverse of a matrix with a diagonal of ones; None if its condition is too
    large for the refinement."""
    try:
        lower = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return None
    root = np.linalg.inv(lower).T
    return root if np.isfinite(root).all() and np.square(root).sum() < 1e13 else None


def _independent(root: Array, here: Centred, length: Array, least_distance: float) -> bool:
    """As the kernel decides it: no column is nearer to the span of the others than rounding may have brought it."""
    g = root @ root.T
    weight = len(here.table.y) if here.table.weights is None else here.table.weights.sum()
    own = int(here.design.intercept)
    rounding = np.full(len(root), 4 * UNIT)
    rounding[:own] = UNIT
    rounding[own : own + here.distinct] = UNIT * (here.size + 1)
    scale = np.sqrt(np.ldexp(float(weight), -int(here.weight_exponent)))
    error = least_distance * length if least_distance > 0 else 4 * (rounding * scale + 4 * UNIT * length)
    return bool((np.square(g * error).sum(axis=1) < np.diagonal(g)).all())


def by_r_factor(here: Centred, least_distance: float) -> Array:
    """By QR of all rows, as accurate as that is."""
    a = here.columns()
    k = here.design.n_coefficients
    found = lstsq(a[:, :k], a[:, k], rcond=_rcond(here, least_distance))
    if int(found.rank) < k:
        return least_norm_record(here.table, here.design, least_distance)
    values = svd(a[:, :k], full_matrices=False)
    root = values.Vh.T / values.S
    return here.record(found.x, np.zeros(k), root, float(found.residuals[0]), total_square(a, here.design), k)


def _rcond(here: Centred, least_distance: float) -> float:
    if least_distance > 0:
        return least_distance
    k = max(here.design.n_coefficients, 16)
    return float(max(k * UNIT, 4 * UNIT * np.max(here.size, initial=0)))


def total_square(a: Array, design: Design) -> float:
    y = a[:, -1]
    if design.intercept:
        y = y - a[:, 0] * ((a[:, 0] @ y) / (a[:, 0] @ a[:, 0]))
    return float(y @ y)


def least_norm_record(table: Table, design: Design, least_distance: float) -> Array:
    """Of columns that depend on each other: the coefficients of least norm in the units of the columns, that of ones
    apart; infinite errors for those that the rows do not determine."""
    here = Centred(table, design)
    if len(table.y) == 0:
        return nothing(design, 0, NO_ROWS)
    a = here.columns()
    if not np.isfinite(a).all():
        return nothing(design, len(table.y), NOT_FINITE)
    own, k = int(design.intercept), design.n_coefficients
    ones, y = a[:, :own], a[:, k]
    columns = a[:, own:k]
    if own:
        share = ones / (ones[:, 0] @ ones[:, 0])
        about = share[:, 0] @ columns
        columns, y = columns - ones * about, y - ones[:, 0] * (share[:, 0] @ y)
    noise = 4 * UNIT * np.sqrt(a[:, :1].T @ a[:, :1]).item() * (here.size + 4) if own else np.zeros(design.terms)
    columns = np.where(np.sqrt(np.square(columns).sum(axis=0)) > noise, columns, 0.0)  # constant but for rounding
    exponents = here.exponents().astype(np.int64)
    found = lstsq(np.ldexp(columns, exponents), y, rcond=_rcond(here, least_distance))
    slopes = np.ldexp(found.x, exponents)
    c = np.concatenate([[(share[:, 0] @ a[:, k]) - about @ slopes], slopes]) if own else slopes
    rank = own + int(found.rank)
    residual = a[:, k] - a[:, :k] @ c
    root = _root_of_pseudo_inverse(columns, int(found.rank), own, ones)
    if own:
        root[0, own:] = -about @ np.where(np.isfinite(root[own:, own:]), root[own:, own:], 0)
    return here.record(c, np.zeros(k), root, float(residual @ residual), total_square(a, design), rank)


def _root_of_pseudo_inverse(columns: Array, rank: int, own: int, ones: Array) -> Array:
    """Root of the covariance of the columns' coefficients; infinite in the rows of those that are not determined."""
    p = columns.shape[1]
    root = np.zeros((own + p, own + p))
    if own:
        root[0, 0] = 1 / np.sqrt(ones[:, 0] @ ones[:, 0])
    length = np.sqrt(np.square(columns).sum(axis=0))
    unit = np.where(length > 0, length, 1)
    found = svd(columns / unit, full_matrices=False)
    kept = found.Vh[:rank].T
    root[own:, own : own + rank] = kept / found.S[:rank] / unit[:, None]
    free = 1 - np.square(kept).sum(axis=1) > 1e-10
    root[own:, own:][free] = np.inf
    return root
