"""Functions that write into an array, count into bins, or choose by places."""

from __future__ import annotations

from typing import Any

import numpy as np

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import Mask, rule
from mmlfast.autodiff._shape_rules import known_mask, known_whole_numbers, writable_ids
from mmlfast.autodiff._trace import OPS, Ids, Trace, Traced


@rule(np.put)
def _put(t: Trace, a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    np.put(writable_ids(a), known_whole_numbers(ind), t.ids_of(v), mode)


@rule(np.putmask)
def _putmask(t: Trace, a: Any, mask: Any, values: Any) -> None:
    ids, new = writable_ids(a), t.ids_of(values)
    if isinstance(mask, Traced):
        ids[...] = t.ternary(OPS["select"], t.ids_of(mask), np.resize(new, ids.shape), ids)
    else:
        np.putmask(ids, mask, new)


@rule(np.place)
def _place(t: Trace, arr: Any, mask: Any, vals: Any) -> None:
    np.place(writable_ids(arr), known_mask(mask), t.ids_of(vals))


@rule(np.put_along_axis)
def _put_along_axis(t: Trace, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    np.put_along_axis(writable_ids(arr), known_whole_numbers(indices), t.ids_of(values), axis)


@rule(np.choose)
def _choose(t: Trace, a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Ids:
    parts = [t.ids_of(x) for x in choices]
    places = known_whole_numbers(a)
    return np.array(np.choose(places, np.broadcast_arrays(*parts), mode=mode), np.int32)


@rule(np.bincount)
def _bincount(t: Trace, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    bins = np.asarray(known_whole_numbers(x))
    if weights is None:
        return np.bincount(bins, minlength=minlength)
    values = t.ids_of(weights).ravel()
    if bins.shape != values.shape:
        raise ValueError("The weights and list don't have the same length.")
    n = max(int(bins.max(initial=-1)) + 1, minlength)
    sums = [t.reduction(OPS["sum"], values[bins == i], None) for i in range(n)]
    return np.array(sums, np.int32).reshape(n)


@rule(np.astype)
def _astype(t: Trace, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    found = x.astype(dtype)
    return Mask(found.ids) if found.is_mask else found.ids


@rule(np.isposinf)
def _isposinf(t: Trace, x: Any, out: Any = None) -> Mask:
    return Mask(u.equal(t, t.ids_of(x), t.scalar(np.inf)))


@rule(np.isneginf)
def _isneginf(t: Trace, x: Any, out: Any = None) -> Mask:
    return Mask(u.equal(t, t.ids_of(x), t.scalar(-np.inf)))


@rule(np.isin)
def _isin(
    t: Trace, element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Mask:
    ids, others = t.ids_of(element), t.ids_of(test_elements).ravel()
    equal = u.equal(t, ids[..., None], others)
    found = t.fold(OPS["logical_or"], equal, -1, False, 0.0)
    return Mask(u.logical_not(t, found) if invert else found)


def _equal_shapes(t: Trace, a: Any, b: Any) -> tuple[Ids, Ids] | None:
    x, y = t.ids_of(a), t.ids_of(b)
    return (x, y) if x.shape == y.shape else None


@rule(np.array_equal)
def _array_equal(t: Trace, a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    pair = _equal_shapes(t, a1, a2)
    if pair is None:
        return False
    same = u.equal(t, *pair)
    if equal_nan:
        same = u.logical_or(t, same, u.logical_and(t, u.isnan(t, pair[0]), u.isnan(t, pair[1])))
    return Mask(t.fold(OPS["logical_and"], same, None, False, 1.0))


@rule(np.allclose)
def _allclose(t: Trace, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Mask:
    from mmlfast.autodiff._numpy_rules import is_close

    return Mask(t.fold(OPS["logical_and"], is_close(t, a, b, rtol, atol, equal_nan).ids, None, False, 1.0))


@rule(np.angle)
def _angle(t: Trace, z: Any, deg: bool = False) -> Ids:
    """Of real numbers: 0, or half a turn."""
    ids = t.ids_of(z)
    half_turn = t.scalar(180.0 if deg else np.pi)
    return u.select(t, u.less(t, ids, t.scalar(0.0)), half_turn, u.multiply(t, ids, t.scalar(0.0)))


@rule(np.logspace)
def _logspace(
    t: Trace,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Ids:
    from mmlfast.autodiff._numpy_rules import evenly_spaced

    return u.power(t, t.ids_of(base), evenly_spaced(t, start, stop, num, endpoint, axis=axis))


@rule(np.geomspace)
def _geomspace(
    t: Trace, start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Ids:
    from mmlfast.autodiff._numpy_rules import evenly_spaced

    first, last = t.ids_of(start), t.ids_of(stop)
    signs = t.unary(OPS["sign"], first)
    logarithms = [Traced(t, u.log(t, u.absolute(t, x))) for x in (first, last)]
    return u.multiply(t, signs, u.exp(t, evenly_spaced(t, *logarithms, num, endpoint, axis=axis)))


@rule(np.unwrap)
def _unwrap(t: Trace, p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Ids:
    """Whole periods are added, which have no slope."""
    ids = np.moveaxis(t.ids_of(p), axis, -1)
    steps = u.subtract(t, ids[..., 1:], ids[..., :-1])
    turns = u.rint(t, u.divide(t, steps, t.scalar(period)))
    if discont is not None and discont > period / 2:
        small = u.less(t, u.absolute(t, steps), t.scalar(float(discont)))
        turns = u.select(t, small, t.scalar(0.0), turns)
    total = t.accumulate(OPS["add"], turns, -1)
    rest = u.subtract(t, ids[..., 1:], u.multiply(t, total, t.scalar(period)))
    return np.moveaxis(np.concatenate([ids[..., :1], rest], axis=-1), -1, axis).copy()


@rule(np.apply_over_axes)
def _apply_over_axes(t: Trace, func: Any, a: Any, axes: Any) -> Ids:
    found = a
    for axis in np.atleast_1d(axes):
        reduced = func(found, int(axis))
        found = np.expand_dims(reduced, int(axis)) if np.ndim(reduced) < np.ndim(found) else reduced
    return t.ids_of(found)


@rule(np.i0)
def _i0(t: Trace, x: Any) -> Ids:
    from scipy import special

    if not isinstance(x, Traced):
        refuse("np.i0 of what is not traced")
    return t.ids_of(special.i0(x))
