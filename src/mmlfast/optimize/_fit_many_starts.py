"""Where many fits start, and their bounds: numbers for all of them, or for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array
from mmlfast.optimize._bounds import UNBOUNDED, sides_of
from mmlfast.optimize._fit_parameters import (
    Parameters,
    _inside,
    bounds_with_names,
    signature_of,
    take_parameters,
    taken_by_name,
)
from mmlfast.optimize._fit_stack import Stack

Array = np.ndarray[Any, Any]


def take_starts(
    f: Callable[..., Any], p0: Any, bounds: Any, fixed: Any, lead: tuple[int, ...]
) -> tuple[Parameters, Stack, Stack | None, Stack | None]:
    """The parameters of the first fit, and start, lower and upper bounds of all parameters for all fits."""
    n_lead = len(lead)
    p0, bounds = taken_by_name(p0, "p0"), bounds_with_names(bounds, signature_of(f).names)
    if not isinstance(bounds, Mapping):
        bounds = sides_of(bounds)
    empty = 0 in lead

    def first(values: Any) -> Any:
        """Of numbers of each fit, those of the first one."""
        array = as_array(values, "p0 or bounds")
        if array.ndim <= 1 or not n_lead:
            return values
        if array.ndim != n_lead + 1 or any(a not in (1, b) for a, b in zip(array.shape, lead, strict=False)):
            raise ValueError(f"p0 or bounds have shape {array.shape}: (p,) for all fits, or {lead} + (p,) for each")
        return array[(0,) * n_lead] if not empty else np.ones(array.shape[-1])

    def first_of_one(value: Any) -> Any:
        return np.asarray(value).reshape(-1)[0] if np.ndim(value) and np.size(value) else value

    if isinstance(p0, Mapping):
        one_p0: Any = {name: first_of_one(value) for name, value in p0.items()}
    else:
        one_p0 = None if p0 is None else first(p0)
    if isinstance(bounds, Mapping):
        one_bounds: Any = {
            name: tuple(map(first_of_one, sides_of(pair, f"bounds[{name!r}]"))) for name, pair in bounds.items()
        }
    else:
        one_bounds = tuple(map(first, bounds))
    per_fit = p0 is not None and not isinstance(p0, Mapping) and one_p0 is not p0
    start_of_first = one_p0
    if per_fit and not np.isfinite(np.asarray(one_p0, np.float64)).all():
        start_of_first = None if _names_itself(f) else np.ones(len(one_p0))
    parameters = _take_first(f, start_of_first, one_bounds, fixed, len(one_p0) if per_fit else 0)
    lower, upper = _stack_of_bounds(bounds, parameters, lead)
    start = _stack_of_start(p0, parameters, fixed, lower, upper, lead)
    return parameters, start, lower, upper


def _names_itself(f: Any) -> bool:
    signature = signature_of(f)
    return bool(signature.names) and not signature.takes_more


def _take_first(f: Callable[..., Any], p0: Any, bounds: Any, fixed: Any, n_given: int) -> Parameters:
    """What is wrong with the numbers of the first fit alone is for its status to say."""
    try:
        return take_parameters(f, p0, bounds, fixed)
    except ValueError:
        if not n_given:
            raise
        return take_parameters(f, None if _names_itself(f) else np.ones(n_given), UNBOUNDED, fixed)


def _all_fits(columns: list[Any], name: str, lead: tuple[int, ...]) -> Stack:
    """Of numbers, or of arrays over the fits, one for each parameter."""
    arrays = [np.asarray(as_array(column, name), np.float64) for column in columns]
    if all(a.ndim == 0 for a in arrays):
        return Stack(np.stack(arrays), name, lead, (len(arrays),))
    return Stack(np.stack([np.broadcast_to(a, lead) for a in arrays], axis=-1), name, lead, (len(arrays),))


def _stack_of_bounds(bounds: Any, parameters: Parameters, lead: tuple[int, ...]) -> tuple[Stack | None, Stack | None]:
    names, p = parameters.names, len(parameters.names)
    if isinstance(bounds, Mapping):
        if not bounds:
            return None, None
        sides = []
        for k, free in ((0, -np.inf), (1, np.inf)):
            columns = [sides_of(bounds[name], f"bounds[{name!r}]")[k] if name in bounds else free for name in names]
            sides.append(_all_fits(columns, "bounds", lead))
        lower, upper = sides
    else:
        pair = [np.asarray(as_array(side, "bounds"), np.float64) for side in bounds]
        if all(np.all(np.isinf(side)) for side in pair) and np.all(pair[0] < 0) and np.all(pair[1] > 0):
            return None, None
        lower, upper = (Stack(np.broadcast_to(s, (p,)) if not s.ndim else s, "bounds", lead, (p,)) for s in pair)
    if not (lower.shared and upper.shared):
        bad = ~np.asarray(lower.array < upper.array)
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(np.broadcast_to(bad, (*lead, p)))[0])
            raise ValueError(
                f"bounds: each lower bound must be strictly less than each upper bound: those of {names[at[-1]]} of "
                f"fit {at[:-1]} are not"
            )
    return lower, upper


def _stack_of_start(
    p0: Any, parameters: Parameters, fixed: Any, lower: Stack | None, upper: Stack | None, lead: tuple[int, ...]
) -> Stack:
    p = len(parameters.names)
    fitted_from_bounds = lower is not None and upper is not None and not (lower.shared and upper.shared)
    if isinstance(p0, Mapping):
        columns = [p0.get(name, value) for name, value in zip(parameters.names, parameters.start, strict=True)]
        return _all_fits(columns, "p0", lead)
    if p0 is None:
        if not fitted_from_bounds:
            return Stack(parameters.start, "p0", lead, (p,))
        assert lower is not None
        assert upper is not None
        shape = (*lead, p)
        low, high = (np.broadcast_to(side.array, shape).astype(np.float64) for side in (lower, upper))
        start = _inside(low.reshape(-1), high.reshape(-1)).reshape(shape)
        held = list(parameters.held)
        start[..., held] = parameters.start[held]
        return Stack(start, "p0", lead, (p,))
    values = as_array(p0, "p0")
    if values.ndim <= 1:
        return Stack(parameters.start, "p0", lead, (p,))
    given = values.shape[-1]
    if given == len(parameters.free) != p:
        whole = np.empty((*values.shape[:-1], p))
        whole[...] = parameters.start
        whole[..., list(parameters.free)] = values
        values = whole
    elif isinstance(fixed, Mapping):
        held = list(parameters.held)
        values = np.array(values, np.float64)
        values[..., held] = parameters.start[held]
    return Stack(values, "p0", lead, (p,))
