"""Functions that make one number of many: sums, products, extremes, moments, norms, and the running ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import Mask, rule, since
from mmlfast.autodiff._trace import OPS, Ids, Trace

_SUM, _DOT, _NORM = OPS["sum"], OPS["dot"], OPS["norm"]


def _chosen(t: Trace, ids: Ids, where: Any, neutral: float) -> Ids:
    """The numbers that a reduction takes, and the neutral one in the place of the others."""
    if where is True:
        return ids
    mask = t.ids_of(where)
    shape = np.broadcast_shapes(ids.shape, mask.shape)
    if shape != ids.shape:
        raise ValueError(f"where= has shape {mask.shape}, which does not broadcast to {ids.shape}")
    return u.select(t, mask, ids, t.scalar(neutral))


def _with_initial(combine: u.Rule, t: Trace, result: Ids, initial: Any) -> Ids:
    return result if initial is None else combine(t, result, t.ids_of(initial))


def _rule_of_total(
    total: Callable[[Trace, Ids, Any, bool], Ids], combine: u.Rule, neutral: float
) -> Callable[..., Ids]:
    """The rule of a sum or a product: what combines two numbers, and what changes none."""

    def total_of(
        t: Trace,
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Ids:
        found = total(t, _chosen(t, t.ids_of(a), where, neutral), axis, keepdims)
        return _with_initial(combine, t, found, initial)

    return total_of


def _sum(t: Trace, ids: Ids, axis: Any, keepdims: bool) -> Ids:
    return t.reduction(_SUM, ids, axis, keepdims)


def _product(t: Trace, ids: Ids, axis: Any, keepdims: bool) -> Ids:
    return t.fold(OPS["multiply"], ids, axis, keepdims, 1.0)


sum_of = rule(np.sum)(_rule_of_total(_sum, u.add, 0.0))
product_of = rule(np.prod)(_rule_of_total(_product, u.multiply, 1.0))


def _extreme(t: Trace, op: str, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any) -> Ids:
    if where is not True and initial is None:
        raise ValueError(
            f"reduction operation '{op}' does not have an identity, so to use a where mask one has to specify 'initial'"
        )
    outermost = -math.inf if op == "maximum" else math.inf
    result = t.fold(
        OPS[op], _chosen(t, t.ids_of(a), where, outermost), axis, keepdims, None if initial is None else outermost
    )
    return _with_initial(u.maximum if op == "maximum" else u.minimum, t, result, initial)


@rule(np.max, np.amax)
def _max(
    t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Ids:
    return _extreme(t, "maximum", a, axis, keepdims, initial, where)


@rule(np.min, np.amin)
def _min(
    t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Ids:
    return _extreme(t, "minimum", a, axis, keepdims, initial, where)


@rule(np.ptp)
def _ptp(t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Ids:
    ids = t.ids_of(a)
    largest, smallest = (t.fold(OPS[op], ids, axis, keepdims) for op in ("maximum", "minimum"))
    return u.subtract(t, largest, smallest)


@rule(np.all)
def _all(t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Mask:
    true = u.not_equal(t, _chosen(t, t.ids_of(a), where, 1.0), t.scalar(0.0))
    return Mask(t.fold(OPS["logical_and"], true, axis, keepdims, 1.0))


@rule(np.any)
def _any(t: Trace, a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Mask:
    true = u.not_equal(t, _chosen(t, t.ids_of(a), where, 0.0), t.scalar(0.0))
    return Mask(t.fold(OPS["logical_or"], true, axis, keepdims, 0.0))


@rule(np.count_nonzero)
def _count_nonzero(t: Trace, a: Any, axis: Any = None, keepdims: bool = False) -> Ids:
    return t.reduction(_SUM, u.not_equal(t, t.ids_of(a), t.scalar(0.0)), axis, keepdims)


def n_terms(a: Ids, axis: Any) -> int:
    axes = range(a.ndim) if axis is None else normalize_axis_tuple(axis, a.ndim)
    return math.prod(a.shape[i] for i in axes)


def _count(t: Trace, a: Ids, axis: Any, keepdims: bool, where: Any) -> Ids:
    """How many numbers a mean is of."""
    if where is True:
        return t.scalar(float(n_terms(a, axis)))
    chosen = u.not_equal(t, t.ids_of(where), t.scalar(0.0))
    return t.reduction(_SUM, np.broadcast_to(chosen, a.shape), axis, keepdims)


@rule(np.mean)
def mean_of(
    t: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Ids:
    ids = _chosen(t, t.ids_of(a), where, 0.0)
    return u.divide(t, t.reduction(_SUM, ids, axis, keepdims), _count(t, ids, axis, keepdims, where))


@rule(np.average)
def _average(
    t: Trace, a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False
) -> Any:
    ids = t.ids_of(a)
    if weights is None:
        w = np.broadcast_to(t.scalar(1.0), ids.shape)
    else:
        w = t.ids_of(weights)
        if w.shape != ids.shape:
            if axis is None:
                raise TypeError("Axis must be specified when shapes of a and weights differ.")
            axes = normalize_axis_tuple(axis, ids.ndim)
            if w.shape != tuple(ids.shape[i] for i in axes):
                raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
            w = w.transpose(np.argsort(axes)).reshape([n if i in axes else 1 for i, n in enumerate(ids.shape)])
        w = np.broadcast_to(w, ids.shape)
    total = t.reduction(_SUM, w, axis, keepdims)
    mean = u.divide(t, t.reduction(_DOT, ids, axis, keepdims, w), total)
    return (mean, np.broadcast_to(total, mean.shape).copy()) if returned else mean


def _deviations(t: Trace, a: Ids, axis: Any, where: Any = True, mean: Any = None) -> Ids:
    """From the mean; 0 where a number does not count."""
    if mean is None:
        centre = u.divide(t, t.reduction(_SUM, _chosen(t, a, where, 0.0), axis, True), _count(t, a, axis, True, where))
    else:
        centre = t.ids_of(mean)
    return _chosen(t, u.subtract(t, a, centre), where, 0.0)


def _degrees_of_freedom(t: Trace, a: Ids, axis: Any, keepdims: bool, ddof: Any, correction: Any, where: Any) -> Ids:
    n = _count(t, a, axis, keepdims, where)
    lost = ddof if correction is None else correction
    if where is True:
        return t.scalar(float(max(n_terms(a, axis) - lost, 0)))
    return u.maximum(t, u.subtract(t, n, t.scalar(float(lost))), t.scalar(0.0))


def _rule_of_spread(spread: Callable[[Trace, Ids, Any, bool, Ids], Ids]) -> Callable[..., Ids]:
    """The rule of a variance or a standard deviation, from the deviations and the degrees of freedom."""

    def spread_of(
        t: Trace,
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        mean: Any = None,
        correction: Any = None,
    ) -> Ids:
        ids = t.ids_of(a)
        deviations = _deviations(t, ids, axis, where, mean)
        freedom = _degrees_of_freedom(t, ids, axis, keepdims, ddof, correction, where)
        return spread(t, deviations, axis, keepdims, freedom)

    return spread_of


def _variance(t: Trace, deviations: Ids, axis: Any, keepdims: bool, freedom: Ids) -> Ids:
    return u.divide(t, t.reduction(_DOT, deviations, axis, keepdims, deviations), freedom)


def _deviation(t: Trace, deviations: Ids, axis: Any, keepdims: bool, freedom: Ids) -> Ids:
    """By their norm, whose slope is finite where all are equal."""
    return u.divide(t, t.reduction(_NORM, deviations, axis, keepdims), t.unary(OPS["sqrt"], freedom))


variance_of = rule(np.var)(_rule_of_spread(_variance))
deviation_of = rule(np.std)(_rule_of_spread(_deviation))


@rule(np.cov)
def _cov(
    t: Trace,
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Ids:
    x = _variables(t, m, y, rowvar)
    lost = ddof if ddof is not None else 0 if bias else 1
    w = None
    for weights in (fweights, aweights):
        if weights is not None:
            w = t.ids_of(weights) if w is None else u.multiply(t, w, t.ids_of(weights))
    n = x.shape[1]
    if w is None:
        d = weighted = _deviations(t, x, 1)
        freedom = t.scalar(float(n - lost))
    else:
        total = t.reduction(_SUM, w, None)
        centre = u.divide(t, t.reduction(_DOT, x, 1, True, np.broadcast_to(w, x.shape)), total)
        d = u.subtract(t, x, centre)
        weighted = u.multiply(t, d, w)
        freedom = _freedom_of_weights(t, w, total, lost, None if aweights is None else t.ids_of(aweights))
    shape = (len(x), *x.shape)
    sums = t.reduction(_DOT, np.broadcast_to(weighted[:, None], shape), -1, b=np.broadcast_to(d[None], shape))
    out = u.divide(t, sums, freedom)
    return out[0, 0].reshape(()) if len(x) == 1 else out


def _freedom_of_weights(t: Trace, w: Ids, total: Ids, lost: Any, aweights: Ids | None) -> Ids:
    if aweights is None or lost == 0:
        return u.subtract(t, total, t.scalar(float(lost)))
    squares = t.reduction(_DOT, w, None, b=np.broadcast_to(aweights, w.shape))
    return u.subtract(t, total, u.divide(t, u.multiply(t, t.scalar(float(lost)), squares), total))


def _variables(t: Trace, m: Any, y: Any, rowvar: bool) -> Ids:
    """One in each row."""
    parts = []
    for i, x in enumerate((m,) if y is None else (m, y)):
        ids = np.atleast_2d(t.ids_of(x))
        parts.append(ids.T if not rowvar and (len(ids) != 1 or (i == 0 and t.ids_of(x).ndim == 2)) else ids)
    return np.concatenate(parts)


@rule(np.corrcoef)
def _corrcoef(t: Trace, x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Ids:
    d = _deviations(t, _variables(t, x, y, rowvar), 1)
    d = u.divide(t, d, t.reduction(_NORM, d, 1, True))
    shape = (len(d), *d.shape)
    found = t.reduction(_DOT, np.broadcast_to(d[:, None], shape), -1, b=np.broadcast_to(d[None], shape))
    np.fill_diagonal(found, t.scalar(1.0))
    return found[0, 0].reshape(()) if len(d) == 1 else found


# ---- running ones ----


def _running(t: Trace, op: str, a: Any, axis: Any) -> Ids:
    ids = t.ids_of(a)
    return t.accumulate(OPS[op], ids.ravel() if axis is None else ids, 0 if axis is None else axis)


@rule(np.cumsum)
def _cumsum(t: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Ids:
    return _running(t, "add", a, axis)


@rule(np.cumprod)
def _cumprod(t: Trace, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Ids:
    return _running(t, "multiply", a, axis)


def _cumulative(t: Trace, op: str, start: float, x: Any, axis: Any, include_initial: bool) -> Ids:
    ids = t.ids_of(x)
    if axis is None:
        if ids.ndim != 1:
            raise ValueError("axis is needed for an array of more than one dimension")
        axis = 0
    out = t.accumulate(OPS[op], ids, axis)
    if not include_initial:
        return out
    first = np.broadcast_to(t.scalar(start), [1 if i == axis % ids.ndim else n for i, n in enumerate(ids.shape)])
    return np.concatenate([first, out], axis)


@rule(since("cumulative_sum"))
def _cumulative_sum(t: Trace, x: Any, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Ids:
    return _cumulative(t, "add", 0.0, x, axis, include_initial)


@rule(since("cumulative_prod"))
def _cumulative_prod(t: Trace, x: Any, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Ids:
    return _cumulative(t, "multiply", 1.0, x, axis, include_initial)


# ---- norms ----


@rule(np.linalg.norm)
def _norm(t: Trace, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Ids:
    return norm_of(t, t.ids_of(x), ord, axis, keepdims)


def norm_of(t: Trace, a: Ids, ord: Any, axis: Any, keepdims: bool = False) -> Ids:
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if ord is None and (axis is None or len(axes) <= 2):
        return t.reduction(_NORM, a, axes, keepdims)
    if len(axes) == 1:
        return _vector_norm_of(t, a, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm_of(t, a, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


@rule(since("vector_norm", np.linalg))
def _vector_norm(t: Trace, x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Ids:
    a = t.ids_of(x)
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    return _vector_norm_of(t, a, ord, axes, keepdims)


@rule(since("matrix_norm", np.linalg))
def _matrix_norm(t: Trace, x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Ids:
    a = t.ids_of(x)
    return _matrix_norm_of(t, a, ord, (a.ndim - 2, a.ndim - 1), keepdims)


def _vector_norm_of(t: Trace, a: Ids, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Ids:
    if ord is None or ord == 2:
        return t.reduction(_NORM, a, axes, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order {ord!r} for vectors")
    if ord == 0:
        return t.reduction(_SUM, u.not_equal(t, a, t.scalar(0.0)), axes, keepdims)
    sizes = u.absolute(t, a)
    if math.isinf(ord):
        return t.fold(OPS["maximum" if ord > 0 else "minimum"], sizes, axes, keepdims)
    if ord == 1:
        return t.reduction(_SUM, sizes, axes, keepdims)
    if ord < 0:
        total = t.reduction(_SUM, u.power(t, sizes, t.scalar(float(ord))), axes, keepdims)
        return u.power(t, total, t.scalar(1.0 / ord))
    # Of numbers over the largest one: powers of others leave the range.
    largest = t.fold(OPS["maximum"], sizes, axes, True, 0.0)
    sizes = u.divide(t, sizes, u.select(t, u.equal(t, largest, t.scalar(0.0)), t.scalar(1.0), largest))
    largest = largest if keepdims else largest.squeeze(axes)
    total = t.reduction(_SUM, u.power(t, sizes, t.scalar(float(ord))), axes, keepdims)
    nothing = u.equal(t, total, t.scalar(0.0))  # where the root has no slope, the norm has 0 among its own
    root = u.power(t, u.select(t, nothing, t.scalar(1.0), total), t.scalar(1.0 / ord))
    return u.select(t, nothing, t.scalar(0.0), u.multiply(t, largest, root))


def _matrix_norm_of(t: Trace, a: Ids, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Ids:
    if ord is None or ord == "fro":
        return t.reduction(_NORM, a, axes, keepdims)
    if ord in (2, -2, "nuc"):
        refuse(
            f"a norm of order {ord!r} is of singular values, which the tape does not have",
            "the Frobenius norm (ord=None), 1 and np.inf can be traced",
        )
    if ord not in (1, -1, np.inf, -np.inf):
        raise ValueError("Invalid norm order for matrices.")
    row, column = axes
    first, second = (row, column) if abs(ord) == 1 else (column, row)
    sums = t.reduction(_SUM, u.absolute(t, a), first, True)
    out = t.fold(OPS["maximum" if ord > 0 else "minimum"], sums, second, True)
    return out if keepdims else out.squeeze(axes)
