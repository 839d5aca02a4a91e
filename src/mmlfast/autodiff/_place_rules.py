"""Functions that tell places: where the largest number is, in which order numbers are, which of them are not zero.

Their answers are whole numbers of NumPy, looked up at the point that the function is recorded for; the recording keeps
the comparisons that they follow from (`_decisions`).
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._decisions import Decisions
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._order_rules import sorted_along
from mmlfast.autodiff._registry import is_mask, rule
from mmlfast.autodiff._trace import Ids, Trace

Places = np.ndarray[Any, np.dtype[np.intp]]


def _decisions(t: Trace, name: str) -> Decisions:
    if t.decisions is None or not t.decisions.has_room():
        _refuse_places(name)
    return t.decisions


def _refuse_places(name: str) -> NoReturn:
    refuse(
        f"the tape has no np.{name}: it tells places, which depend on the numbers",
        "np.max, np.min, np.sort and np.where can be traced",
    )


def _known_mask(t: Trace, name: str, x: Any) -> Any:
    found = t.known_truth(t.ids_of(x), is_mask(x))
    if found is None:
        _refuse_places(name)
    return found


@rule(np.nonzero)
def _nonzero(t: Trace, a: Any) -> Any:
    return tuple(np.asarray(x) for x in np.nonzero(_known_mask(t, "nonzero", a)))


@rule(np.flatnonzero)
def _flatnonzero(t: Trace, a: Any) -> Places:
    return np.flatnonzero(_known_mask(t, "flatnonzero", a))


@rule(np.argwhere)
def _argwhere(t: Trace, a: Any) -> Places:
    return np.argwhere(_known_mask(t, "argwhere", a))


# ---- order ----


def _place_of_extreme(t: Trace, name: str, a: Any, axis: Any, keepdims: bool) -> Any:
    decisions = _decisions(t, name)
    find = np.argmax if name == "argmax" else np.argmin
    ids = t.ids_of(a)
    if not ids.size:
        raise ValueError(f"attempt to get {name} of an empty sequence")
    place = np.asarray(find(decisions.values(t, ids), axis=axis, keepdims=True))
    flat, at = (ids.reshape(-1), place.reshape(-1)) if axis is None else (ids, place)
    along = -1 if axis is None else axis
    extreme = np.take_along_axis(flat, at, along)
    low, high = (flat, extreme) if name == "argmax" else (extreme, flat)
    decisions.ask(t, u.less(t, low, high))  # and the first of equals is taken
    decisions.ask(t, u.less_equal(t, low, high))
    if keepdims:
        return place
    return np.intp(place.reshape(())) if axis is None else place.squeeze(axis)


@rule(np.argmax)
def _argmax(t: Trace, a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return _place_of_extreme(t, "argmax", a, axis, keepdims)


@rule(np.argmin)
def _argmin(t: Trace, a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return _place_of_extreme(t, "argmin", a, axis, keepdims)


def _order(t: Trace, name: str, ids: Ids, axis: int, kind: Any) -> Places:
    decisions = _decisions(t, name)
    order = np.argsort(decisions.values(t, ids), axis=axis, kind=kind)
    ascending = np.moveaxis(np.take_along_axis(ids, order, axis), axis, 0)
    decisions.ask(t, u.less(t, ascending[:-1], ascending[1:]))
    decisions.ask(t, u.less_equal(t, ascending[:-1], ascending[1:]))
    return order


@rule(np.argsort)
def _argsort(t: Trace, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Places:
    ids = t.ids_of(a)
    ids, axis = (ids.reshape(-1), 0) if axis is None else (ids, axis)
    return _order(t, "argsort", ids, axis, "stable" if stable else kind)


@rule(np.partition)
def _partition(t: Trace, a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Ids:
    """All of it in order: NumPy says nothing of the order on either side of place k."""
    return sorted_along(t, a, axis)


@rule(np.unique)
def _unique(
    t: Trace,
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    ids = t.ids_of(ar)
    if axis is not None:
        refuse("np.unique along an axis cannot be traced")
    flat = ids.reshape(-1)
    decisions = _decisions(t, "unique")
    _order(t, "unique", flat, 0, "stable")
    _, first, inverse, counts = np.unique(
        decisions.values(t, flat), return_index=True, return_inverse=True, return_counts=True, equal_nan=equal_nan
    )
    parts: list[Any] = [flat[first]]
    for wanted, part in ((return_index, first), (return_inverse, inverse.reshape(ids.shape)), (return_counts, counts)):
        if wanted:
            parts.append(part)
    return parts[0] if len(parts) == 1 else tuple(parts)


# ---- between others ----


@rule(np.searchsorted)
def _searchsorted(t: Trace, a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    decisions = _decisions(t, "searchsorted")
    ascending, at = t.ids_of(a), t.ids_of(v)
    if sorter is not None:
        ascending = ascending[np.asarray(sorter)]
    below = u.less_equal if side == "right" else u.less
    passed = decisions.ask(t, below(t, ascending, at[..., None])) != 0
    found = np.asarray(passed.sum(axis=-1))
    return found if found.ndim else np.intp(found)


@rule(np.digitize)
def _digitize(t: Trace, x: Any, bins: Any, right: bool = False) -> Any:
    decisions = _decisions(t, "digitize")
    edges, at = t.ids_of(bins), t.ids_of(x)[..., None]
    values = decisions.ask(t, edges)
    if np.all(values[1:] >= values[:-1]):
        passed = u.less(t, edges, at) if right else u.less_equal(t, edges, at)
    elif np.all(values[1:] <= values[:-1]):
        passed = u.less_equal(t, at, edges) if right else u.less(t, at, edges)
    else:
        raise ValueError("bins must be monotonically increasing or decreasing")
    found = np.asarray((decisions.ask(t, passed) != 0).sum(axis=-1))
    return found if found.ndim else np.intp(found)
