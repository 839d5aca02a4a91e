"""The other functions of NumPy that a tape knows: choices, differences, polynomials, products, linear algebra.

Importing this module makes all rules known (`_registry.FUNCTIONS`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import mmlfast.autodiff._product_rules as p
import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import Mask, all_ids, is_mask, rule, since
from mmlfast.autodiff._trace import OPS, Ids, Trace, Traced

# ---- choices ----


@rule(np.where)
def _where(t: Trace, condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        found = t.known_truth(t.ids_of(condition), is_mask(condition))
        if found is not None:
            return np.nonzero(found)
        refuse(
            "np.where(condition) tells places, and how many there are depends on the numbers",
            "write np.where(condition, a, b)",
        )
    ids = u.select(t, t.ids_of(condition), t.ids_of(x), t.ids_of(y))
    return Mask(ids) if is_mask(x) and is_mask(y) else ids


@rule(np.select)
def _select(t: Trace, condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Ids:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    out = t.ids_of(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        out = u.select(t, t.ids_of(condition), t.ids_of(choice), out)
    return out


@rule(np.piecewise)
def _piecewise(t: Trace, x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Ids:
    """Of elementwise functions: each sees all of x, and where its condition holds it is chosen."""
    conditions = list(condlist) if isinstance(condlist, list | tuple) else [condlist]
    ids = t.ids_of(x)
    out = np.broadcast_to(t.scalar(0.0), ids.shape)
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        out = np.broadcast_to(_value(t, functions.pop(), x, args, kw), ids.shape)
    if len(functions) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), as many functions, or one more, are expected")
    for condition, function in zip(conditions, functions, strict=True):
        out = u.select(t, t.ids_of(condition), _value(t, function, x, args, kw), out)
    return out


def _value(t: Trace, function: Any, x: Any, args: Any, kw: Any) -> Ids:
    return t.ids_of(function(x, *args, **kw) if callable(function) else function)


@rule(np.clip)
def _clip(
    t: Trace, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, min: Any = None, max: Any = None
) -> Ids:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    ids = t.ids_of(a)
    if low is not None:
        ids = u.maximum(t, ids, t.ids_of(low))
    return ids.copy() if high is None else u.minimum(t, ids, t.ids_of(high))


@rule(np.nan_to_num)
def _nan_to_num(t: Trace, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Ids:
    ids, largest = t.ids_of(x), float(np.finfo(float).max)
    inf = t.scalar(np.inf)
    out = u.select(t, u.equal(t, ids, inf), t.ids_of(largest if posinf is None else posinf), ids)
    minus = u.equal(t, ids, t.scalar(-np.inf))
    out = u.select(t, minus, t.ids_of(-largest if neginf is None else neginf), out)
    return u.select(t, u.isnan(t, ids), t.ids_of(nan), out)


@rule(np.sinc)
def _sinc(t: Trace, x: Any) -> Ids:
    """sin(pi x) / (pi x); near 0 its power series, of which derivatives at 0 are taken as well."""
    angle = u.multiply(t, t.ids_of(x), t.scalar(math.pi))
    near = u.less(t, u.absolute(t, angle), t.scalar(1.0))
    square = u.multiply(t, angle, angle)
    series = t.scalar(1 / math.factorial(2 * _SINC_TERMS + 1))
    for k in range(_SINC_TERMS - 1, -1, -1):
        series = u.subtract(t, t.scalar(1 / math.factorial(2 * k + 1)), u.multiply(t, square, series))
    return u.select(t, near, series, u.divide(t, u.UFUNCS[np.sin](t, angle), angle))


_SINC_TERMS = 40  # more than any derivative has use for: the value needs 9


@rule(np.isclose)
def is_close(t: Trace, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Mask:
    x, y = t.ids_of(a), t.ids_of(b)
    bound = u.add(t, t.scalar(atol), u.multiply(t, t.scalar(rtol), u.absolute(t, y)))
    finite = u.less(t, u.absolute(t, y), t.scalar(np.inf))
    near = u.logical_and(t, finite, u.less_equal(t, u.absolute(t, u.subtract(t, x, y)), bound))
    near = u.logical_or(t, near, u.equal(t, x, y))
    return Mask(u.logical_or(t, near, u.logical_and(t, u.isnan(t, x), u.isnan(t, y))) if equal_nan else near)


@rule(np.round, np.around)
def _round(t: Trace, a: Any, decimals: int = 0, out: Any = None) -> Ids:
    ids = t.ids_of(a)
    if not decimals:
        return u.rint(t, ids)
    factor = t.scalar(10.0 ** abs(decimals))
    there, back = (u.multiply, u.divide) if decimals > 0 else (u.divide, u.multiply)
    return back(t, u.rint(t, there(t, ids, factor)), factor)


@rule(np.fix)
def _fix(t: Trace, x: Any) -> Ids:
    return u.trunc(t, t.ids_of(x))


@rule(np.linspace)
def evenly_spaced(
    t: Trace,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    first, last = np.broadcast_arrays(t.ids_of(start), t.ids_of(stop))
    n = num - 1 if endpoint else num
    step = u.divide(t, u.subtract(t, last, first), t.scalar(float(max(n, 1))))
    counts = t.constant(np.arange(num).reshape((num,) + (1,) * first.ndim))
    out = u.add(t, first, u.multiply(t, counts, step))
    if endpoint and num > 1:
        out[-1] = last  # exactly, as NumPy has it
    out = np.moveaxis(out, 0, axis)
    return (out, step) if retstep else out


# ---- differences and integrals ----


@rule(np.diff)
def _diff(t: Trace, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Ids:
    ids = t.ids_of(a)
    ends = [None if x is None else _as_slab(t.ids_of(x), ids, axis) for x in (prepend, append)]
    ids = np.concatenate([x for x in (ends[0], ids, ends[1]) if x is not None], axis)
    for _ in range(n):
        moved = np.moveaxis(ids, axis, 0)
        ids = np.moveaxis(u.subtract(t, moved[1:], moved[:-1]), 0, axis)
    return ids


def _as_slab(x: Ids, like: Ids, axis: int) -> Ids:
    if x.ndim:
        return x
    return np.broadcast_to(x, [1 if i == axis % like.ndim else n for i, n in enumerate(like.shape)])


@rule(np.ediff1d)
def _ediff1d(t: Trace, ary: Any, to_end: Any = None, to_begin: Any = None) -> Ids:
    ids = t.ids_of(ary).ravel()
    parts = [u.subtract(t, ids[1:], ids[:-1])]
    if to_begin is not None:
        parts.insert(0, t.ids_of(to_begin).ravel())
    if to_end is not None:
        parts.append(t.ids_of(to_end).ravel())
    return np.concatenate(parts)


@rule(since("trapezoid"), since("trapz"))
def _trapezoid(t: Trace, y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Ids:
    values = np.moveaxis(t.ids_of(y), axis, -1)
    if x is None:
        widths = t.ids_of(dx)
    else:
        places = t.ids_of(x)
        places = places if places.ndim == 1 else np.moveaxis(places, axis, -1)
        widths = u.subtract(t, places[..., 1:], places[..., :-1])
    heights = u.multiply(t, t.scalar(0.5), u.add(t, values[..., 1:], values[..., :-1]))
    shape = np.broadcast_shapes(heights.shape, widths.shape)
    return t.reduction(OPS["dot"], np.broadcast_to(heights, shape), -1, b=np.broadcast_to(widths, shape))


@rule(np.gradient)
def _gradient(t: Trace, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    ids = t.ids_of(f)
    axes = range(ids.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ids.ndim)
    spacings = varargs if len(varargs) > 1 else (varargs or (1.0,)) * len(axes)
    if len(spacings) != len(axes) or edge_order not in (1, 2):
        raise TypeError("np.gradient: one spacing for each axis, and edge_order 1 or 2")
    found = [
        np.moveaxis(_slopes(t, np.moveaxis(ids, i, 0), t.ids_of(spacing), edge_order), 0, i)
        for i, spacing in zip(axes, spacings, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


def _slopes(t: Trace, ids: Ids, spacing: Ids, edge_order: int) -> Ids:
    """Along the first axis: at each place the slope of the parabola through it and its neighbours, at the ends that of
    a line (edge_order=1) or of the last parabola."""
    n = len(ids)
    if n < edge_order + 1 or (spacing.ndim and len(spacing) != n):
        raise ValueError("np.gradient: too few numbers, or not as many coordinates")
    from mmlfast.autodiff._tracer import TracedArray

    f, x = TracedArray(t, ids), TracedArray(t, spacing)
    steps = x[1:] - x[:-1] if spacing.ndim else np.broadcast_to(x, n - 1)
    steps = np.reshape(steps, (-1,) + (1,) * (ids.ndim - 1))
    slopes = (f[1:] - f[:-1]) / steps
    before, after = steps[:-1], steps[1:]
    inner = (
        (slopes[:-1] * after + slopes[1:] * before) / (before + after) if spacing.ndim else (f[2:] - f[:-2]) / (2 * x)
    )
    first, last = slopes[:1], slopes[-1:]
    if edge_order == 2:
        turn = (slopes[1:] - slopes[:-1]) / (before + after)
        first, last = first - turn[:1] * steps[:1], last + turn[-1:] * steps[-1:]
    return t.ids_of(np.concatenate([first, inner, last]))


# ---- products ----


@rule(np.dot)
def _dot(t: Trace, a: Any, b: Any, out: Any = None) -> Ids:
    return p.dot(t, t.ids_of(a), t.ids_of(b))


@rule(np.vdot)
def _vdot(t: Trace, a: Any, b: Any) -> Ids:
    return p.dot(t, t.ids_of(a).ravel(), t.ids_of(b).ravel())


@rule(np.inner)
def _inner(t: Trace, a: Any, b: Any) -> Ids:
    x, y = t.ids_of(a), t.ids_of(b)
    return u.multiply(t, x, y) if not x.ndim or not y.ndim else p.tensordot(t, x, y, ([-1], [-1]))


@rule(np.outer, since("outer", np.linalg))
def _outer(t: Trace, a: Any, b: Any, out: Any = None) -> Ids:
    return u.multiply(t, t.ids_of(a).ravel()[:, None], t.ids_of(b).ravel()[None, :])


@rule(np.tensordot, since("tensordot", np.linalg))
def _tensordot(t: Trace, a: Any, b: Any, axes: Any = 2) -> Ids:
    return p.tensordot(t, t.ids_of(a), t.ids_of(b), axes)


@rule(np.einsum)
def _einsum(t: Trace, *operands: Any, optimize: Any = False) -> Ids:
    if isinstance(operands[0], str):
        return p.contract(t, *all_ids(t, operands[1:]), subscripts=operands[0])
    inputs = [operands[i : i + 2] for i in range(0, len(operands) - 1, 2)]
    letters = [_letters(labels) for _, labels in inputs]
    subscripts = ",".join(letters) + (f"->{_letters(operands[-1])}" if len(operands) % 2 else "")
    return p.contract(t, *all_ids(t, [x for x, _ in inputs]), subscripts=subscripts)


def _letters(labels: Sequence[Any]) -> str:
    return "".join("..." if x is Ellipsis else chr(97 + x) if x < 26 else chr(65 + x - 26) for x in labels)


@rule(np.kron)
def _kron(t: Trace, a: Any, b: Any) -> Ids:
    x, y = t.ids_of(a), t.ids_of(b)
    n = max(x.ndim, y.ndim)
    x, y = (z.reshape((1,) * (n - z.ndim) + z.shape) for z in (x, y))
    shape = tuple(i * j for i, j in zip(x.shape, y.shape, strict=True))
    x = x.reshape([m for i in x.shape for m in (i, 1)])
    y = y.reshape([m for i in y.shape for m in (1, i)])
    return u.multiply(t, x, y).reshape(shape)


@rule(np.cross, since("cross", np.linalg))
def _cross(t: Trace, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Ids:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = np.moveaxis(t.ids_of(a), axisa, -1), np.moveaxis(t.ids_of(b), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError("cross: vectors of three dimensions are needed")

    def part(i: int, j: int) -> Ids:
        return u.subtract(t, u.multiply(t, x[..., i], y[..., j]), u.multiply(t, x[..., j], y[..., i]))

    return np.moveaxis(np.stack([part(1, 2), part(2, 0), part(0, 1)], axis=-1), -1, axisc)


# ---- linear algebra ----


@rule(np.trace)
def _trace_of(t: Trace, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Ids:
    return t.reduction(OPS["sum"], np.diagonal(t.ids_of(a), offset, axis1, axis2), -1)


@rule(since("trace", np.linalg))
def _linalg_trace(t: Trace, x: Any, *, offset: int = 0, dtype: Any = None) -> Ids:
    return t.reduction(OPS["sum"], np.diagonal(t.ids_of(x), offset, -2, -1), -1)


@rule(since("matmul", np.linalg))
def _linalg_matmul(t: Trace, x1: Any, x2: Any) -> Ids:
    return p.matmul(t, t.ids_of(x1), t.ids_of(x2))


@rule(since("vecdot", np.linalg))
def _linalg_vecdot(t: Trace, x1: Any, x2: Any, *, axis: int = -1) -> Ids:
    a, b = np.broadcast_arrays(t.ids_of(x1), t.ids_of(x2))
    return t.reduction(OPS["dot"], a, axis, b=b)


@rule(np.linalg.multi_dot)
def _multi_dot(t: Trace, arrays: Sequence[Any]) -> Ids:
    first, *others = all_ids(t, arrays)
    for x in others:
        first = p.dot(t, first, x)
    return first


@rule(np.linalg.det)
def _det(t: Trace, a: Any) -> Ids:
    return p.det(t, t.ids_of(a))


class Slogdet(NamedTuple):
    """What np.linalg.slogdet gives."""

    sign: Any
    logabsdet: Any


@rule(np.linalg.slogdet)
def _slogdet(t: Trace, a: Any) -> Slogdet:
    return Slogdet(*p.slogdet(t, t.ids_of(a)))


@rule(np.linalg.inv)
def _inv(t: Trace, a: Any) -> Ids:
    return p.inv(t, t.ids_of(a))


@rule(np.linalg.cholesky)
def _cholesky(t: Trace, a: Any, /, *, upper: bool = False) -> Ids:
    return p.cholesky(t, t.ids_of(a), upper)


@rule(np.linalg.solve)
def _solve(t: Trace, a: Any, b: Any) -> Ids:
    return p.solve(t, t.ids_of(a), t.ids_of(b))


@rule(np.linalg.matrix_power)
def _matrix_power(t: Trace, a: Any, n: Any) -> Ids:
    return p.matrix_power(t, t.ids_of(a), n)


# ---- functions of functions ----


@rule(np.apply_along_axis)
def _apply_along_axis(t: Trace, func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Ids:
    if not isinstance(arr, Traced):
        refuse("np.apply_along_axis of what is not traced, with a traced parameter, cannot be traced")
    ids = np.moveaxis(arr.ids, axis, -1)
    make = type(arr)
    parts = [t.ids_of(func1d(make(t, ids[i], arr.is_mask), *args, **kwargs)) for i in np.ndindex(ids.shape[:-1])]
    out = np.stack(parts).reshape(ids.shape[:-1] + parts[0].shape)
    return np.moveaxis(out, -1, axis) if parts[0].ndim == 1 else out
