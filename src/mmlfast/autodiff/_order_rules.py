"""Functions that depend on the order of numbers: sort and what comes of it, and linear interpolation.

Which number is where is not decided when the function is recorded: every comparison is part of the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import rule
from mmlfast.autodiff._trace import Ids, Trace, Traced, rows_of


def _comparators(n: int) -> Iterator[tuple[Ids, Ids]]:
    """The rounds of Batcher's odd-even merge sort (1968): pairs of places that are put in order side by side."""
    size = 1
    while size < n:
        step = size
        while step:
            low = np.arange(n - step)
            first = low - step % size  # pairs lie in blocks of 2 step, behind the first `step % size` places
            chosen = (first >= 0) & (first // step % 2 == 0) & (low // (2 * size) == (low + step) // (2 * size))
            if chosen.any():
                yield low[chosen].astype(np.int32), (low[chosen] + step).astype(np.int32)
            step //= 2
        size *= 2


def sorted_rows(t: Trace, rows: Ids) -> Ids:
    """Each row in ascending order, NaN last."""
    out = rows.copy()
    for low, high in _comparators(rows.shape[1]):
        a, b = out[:, low], out[:, high]
        exchange = u.logical_or(t, u.less(t, b, a), u.isnan(t, a))
        out[:, low], out[:, high] = u.select(t, exchange, b, a), u.select(t, exchange, a, b)
    return out


def sorted_along(t: Trace, a: Any, axis: Any) -> Ids:
    """All numbers in ascending order along an axis, or of the whole array."""
    ids = t.ids_of(a)
    if axis is None:
        return sorted_rows(t, ids.reshape(1, -1)).ravel()
    moved = np.moveaxis(ids, axis, -1)
    rows = sorted_rows(t, moved.reshape(-1, moved.shape[-1]))
    return np.moveaxis(rows.reshape(moved.shape), -1, axis).copy()


@rule(np.sort)
def _sort(t: Trace, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Ids:
    return sorted_along(t, a, axis)


def _without_nan(t: Trace, value: Ids, ascending: Ids) -> Ids:
    """`value`, but NaN where there is one among the numbers: it is the last of them."""
    last = ascending[:, -1]
    return u.select(t, u.isnan(t, last), last, value)


@rule(np.median)
def _median(
    t: Trace, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Ids:
    rows, shape = rows_of(t.ids_of(a), axis, keepdims)
    n = rows.shape[1]
    if not n:
        raise ValueError("median of no numbers")
    ascending = sorted_rows(t, rows)
    middle = ascending[:, n // 2]
    if n % 2 == 0:
        middle = u.multiply(t, u.add(t, ascending[:, n // 2 - 1], middle), t.scalar(0.5))
    return _without_nan(t, middle, ascending).reshape(shape)


def _quantiles(t: Trace, a: Any, q: Any, scale: float, axis: Any, method: Any, keepdims: bool, weights: Any) -> Ids:
    if isinstance(q, Traced):
        refuse("a quantile at a traced probability cannot be traced", "give q as a number")
    if method != "linear" or weights is not None:
        refuse("quantiles other than method='linear' without weights cannot be traced", "np.sort can be")
    probability = np.asarray(q, np.float64) / scale
    if not np.all((probability >= 0) & (probability <= 1)):
        raise ValueError("Percentiles must be in the range [0, 100]" if scale != 1 else "Quantiles must be in [0, 1]")
    rows, shape = rows_of(t.ids_of(a), axis, keepdims)
    n = rows.shape[1]
    if not n:
        raise ValueError("quantile of no numbers")
    ascending = sorted_rows(t, rows)
    found = []
    for place in (probability * (n - 1)).ravel():
        below = min(int(place), n - 1)
        weight = float(place - below)
        low, high = ascending[:, below], ascending[:, min(below + 1, n - 1)]
        step = u.subtract(t, high, low)  # from the nearer end, so that both ends are exact
        if weight < 0.5:
            value = u.add(t, low, u.multiply(t, step, t.scalar(weight)))
        else:
            value = u.subtract(t, high, u.multiply(t, step, t.scalar(1 - weight)))
        found.append(_without_nan(t, value, ascending).reshape(shape))
    return np.stack(found).reshape(probability.shape + shape)


def _quantile_rule(scale: float) -> Callable[..., Ids]:
    """q is a probability times `scale`."""

    def quantile(
        t: Trace,
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: Any = "linear",
        keepdims: bool = False,
        *,
        weights: Any = None,
    ) -> Ids:
        return _quantiles(t, a, q, scale, axis, method, keepdims, weights)

    return quantile


rule(np.quantile)(_quantile_rule(1.0))
rule(np.percentile)(_quantile_rule(100.0))


@rule(np.interp)
def _interp(t: Trace, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Ids:
    """At a knot, the slope is the average of those on both sides, as at every kink."""
    if period is not None:
        refuse("np.interp with a period cannot be traced", "repeat the knots of one period")
    at, knots, values = t.ids_of(x), t.ids_of(xp), t.ids_of(fp)
    if knots.ndim != 1 or knots.shape != values.shape or not knots.size:
        raise ValueError(f"fp and xp are not of the same length: shapes {values.shape} and {knots.shape}")
    zero = np.full(1, t.scalar(0.0), np.int32)
    rises = u.divide(t, u.subtract(t, values[1:], values[:-1]), u.subtract(t, knots[1:], knots[:-1]))
    before, behind = np.concatenate([zero, rises]), np.concatenate([rises, zero])
    average = u.multiply(t, t.scalar(0.5), u.add(t, before, behind))
    out = np.broadcast_to(values[0] if left is None else t.ids_of(left), at.shape)
    for i, (knot, value) in enumerate(zip(knots, values, strict=True)):
        distance = u.subtract(t, at, knot)
        if i < len(rises):
            beyond = u.add(t, u.multiply(t, rises[i], distance), value)
        else:
            beyond = value if right is None else t.ids_of(right)
        out = u.select(t, u.less(t, knot, at), beyond, out)
        here = u.add(t, u.multiply(t, average[i], distance), value)
        out = u.select(t, u.equal(t, knot, at), here, out)
    return u.select(t, u.isnan(t, at), at, out)
