"""Reductions that leave NaN out: what is missing adds nothing, to the value and to every derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import mmlfast.autodiff._reduction_rules as r
import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._order_rules import sorted_rows
from mmlfast.autodiff._registry import rule
from mmlfast.autodiff._trace import OPS, Ids, Trace, Traced, rows_of


def _there(t: Trace, a: Ids, where: Any = True) -> Traced:
    """Which numbers are there, and wanted."""
    there = u.equal(t, a, a)
    if where is not True:
        there = u.logical_and(t, there, np.broadcast_to(t.ids_of(where), a.shape))
    return Traced(t, there, True)


def _leaving_out(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """The reduction, of the numbers that are there."""

    def traced(t: Trace, a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
        return reduction(t, a, *args, where=_there(t, t.ids_of(a), where), **kwargs)

    return traced


for _function, _reduction in (
    (np.nansum, r.sum_of),
    (np.nanprod, r.product_of),
    (np.nanmean, r.mean_of),
    (np.nanvar, r.variance_of),
    (np.nanstd, r.deviation_of),
):
    rule(_function)(_leaving_out(_reduction))


def _extreme(t: Trace, op: str, a: Any, axis: Any, keepdims: bool, where: Any) -> Ids:
    """NaN where no number is there."""
    ids = t.ids_of(a)
    there = _there(t, ids, where).ids
    known = u.select(t, there, ids, t.scalar(-math.inf if op == "maximum" else math.inf))
    found = t.fold(OPS[op], known, axis, keepdims)
    return u.select(t, t.fold(OPS["logical_or"], there, axis, keepdims), found, t.scalar(math.nan))


@rule(np.nanmax)
def _nanmax(t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Ids:
    return _extreme(t, "maximum", a, axis, keepdims, where)


@rule(np.nanmin)
def _nanmin(t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Ids:
    return _extreme(t, "minimum", a, axis, keepdims, where)


def _running(t: Trace, op: str, neutral: float, a: Any, axis: Any) -> Ids:
    ids = t.ids_of(a)
    known = u.select(t, _there(t, ids).ids, ids, t.scalar(neutral))
    return t.accumulate(OPS[op], known.ravel() if axis is None else known, 0 if axis is None else axis)


@rule(np.nancumsum)
def _nancumsum(t: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Ids:
    return _running(t, "add", 0.0, a, axis)


@rule(np.nancumprod)
def _nancumprod(t: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Ids:
    return _running(t, "multiply", 1.0, a, axis)


@rule(np.nanmedian)
def _nanmedian(
    t: Trace, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Ids:
    rows, shape = rows_of(t.ids_of(a), axis, keepdims)
    there = t.known_truth(_there(t, rows).ids, True)
    if there is None:
        refuse("np.nanmedian cannot be traced: how many numbers are there depends on them", "np.median can be")
    found = []
    for row, known in zip(rows, there, strict=True):
        ascending = sorted_rows(t, row[None, known])[0]
        n = len(ascending)
        if not n:
            found.append(t.scalar(math.nan))
            continue
        both = u.add(t, ascending[(n - 1) // 2], ascending[n // 2])
        found.append(u.multiply(t, both, t.scalar(0.5)) if n % 2 == 0 else ascending[n // 2].reshape(()))
    return np.array(found, np.int32).reshape(shape)
