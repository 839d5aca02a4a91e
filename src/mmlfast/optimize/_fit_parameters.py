"""The parameters of a fit: their names, where they start, their bounds, and which of them are held."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_float, as_real, is_dask, refuse_dask
from mmlfast._common.kept import kept
from mmlfast._common.labels import by_label, labelled
from mmlfast.autodiff._function import Function
from mmlfast.autodiff._recording import function_name, place_of
from mmlfast.optimize._bounds import UNBOUNDED, bounds_by_name, bounds_by_side, check_order, sides_of

Array = np.ndarray[Any, Any]

_NUMBERS = frozenset((int, float, np.float64))


class Parameters(NamedTuple):
    names: tuple[str, ...]
    start: Array  # of all
    lower: Array | None  # of all; None: no bounds
    upper: Array | None
    free: tuple[int, ...]  # those that are fitted
    held: tuple[int, ...]  # those that stay at `start`


class Signature(NamedTuple):
    names: tuple[str, ...]  # of the arguments after x
    n_required: int
    takes_more: bool  # *p


def signature_of(f: Any) -> Signature:
    try:
        return _signature_of(f)
    except TypeError:  # not hashable
        return _read_signature(f)


def _read_signature(f: Any) -> Signature:
    if isinstance(f, Function):
        return Signature(tuple(f"p{i}" for i in range(len(f.parameter_shapes))), len(f.parameter_shapes), False)
    if isinstance(f, np.vectorize):
        return _read_signature(f.pyfunc)._replace(takes_more=True)
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return Signature((), 0, True)
    by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    names = tuple(p.name for p in by_position[1:])
    required = sum(1 for p in by_position[1:] if p.default is p.empty)
    return Signature(names, required, takes_more)


_signature_of = kept(_read_signature)


def take_parameters(f: Callable[..., Any], p0: Any, bounds: Any, fixed: Any) -> Parameters:
    signature = signature_of(f)
    if labelled(p0, fixed):
        p0, fixed = taken_by_name(p0, "p0"), _fixed_by_name(fixed)
    if fixed is None and (bounds is None or bounds is UNBOUNDED) and (found := _ordinary(signature, p0)) is not None:
        return found
    names = _names(f, signature, p0, fixed)
    n = len(names)
    bounds = bounds_with_names(bounds, names)
    held, values = _take_fixed(fixed, names)
    lower, upper = _take_bounds(bounds, names)
    start = _take_start(p0, names, lower, upper, held)
    for i, value in values.items():
        start[i] = value
    free = tuple(i for i in range(n) if i not in held)
    if not free:
        raise ValueError(f"all parameters are fixed ({', '.join(names)}): there is nothing to fit")
    _check_start(start, lower, upper, names, free)
    unbounded = bool(np.all(lower == -np.inf) and np.all(upper == np.inf))
    return Parameters(
        names, start, None if unbounded else lower, None if unbounded else upper, free, tuple(sorted(held))
    )


def taken_by_name(values: Any, name: str) -> Any:
    """Numbers with the names of parameters (a Series, a frame with a column for each) as a dict."""
    if is_dask(values):
        refuse_dask(name)
    return by_label(values)


def _fixed_by_name(fixed: Any) -> Any:
    named = taken_by_name(fixed, "fixed")
    if named is fixed or not all(isinstance(value, bool | np.bool_) for value in map(_item, named.values())):
        return named
    return [name for name, value in named.items() if value] or None


def _item(value: Any) -> Any:
    return value[()] if isinstance(value, np.ndarray) else value


def bounds_with_names(bounds: Any, names: tuple[str, ...]) -> Any:
    """Bounds by name where one of the two sides has names."""
    if bounds is None or bounds is UNBOUNDED or isinstance(bounds, Mapping):
        return bounds
    sides = [taken_by_name(side, "bounds") for side in sides_of(bounds)]
    if not any(isinstance(side, dict) for side in sides):
        return bounds
    for side in sides:
        _check_names(side if isinstance(side, dict) else {}, names, "bounds")

    def of(side: Any, k: int, free: float) -> Any:
        if isinstance(side, dict):
            return side.get(names[k], free)
        return side if not np.ndim(side) else np.asarray(side)[..., k]

    lower, upper = sides
    return {name: (of(lower, k, -np.inf), of(upper, k, np.inf)) for k, name in enumerate(names)}


def _ordinary(signature: Signature, p0: Any) -> Parameters | None:
    """Numbers for all parameters and nothing else: most fits."""
    kind = type(p0)
    if kind is np.ndarray:
        if p0.dtype.char != "d" or p0.ndim != 1:
            return None
    elif not ((kind is list or kind is tuple) and _NUMBERS.issuperset(map(type, p0))):
        return None
    names, n = signature.names, len(p0)
    if signature.takes_more or n != len(names) or not n:
        return None
    start = np.array(p0, np.float64)
    if not all(map(math.isfinite, start.tolist())):
        return None
    return Parameters(names, start, None, None, _all_of(n), ())


@functools.lru_cache(maxsize=64)
def _all_of(n: int) -> tuple[int, ...]:
    return tuple(range(n))


def _names(f: Any, signature: Signature, p0: Any, fixed: Any) -> tuple[str, ...]:
    names, n_required, takes_more = signature
    if p0 is None or isinstance(p0, Mapping):
        if takes_more or not names:
            raise ValueError(
                f"Unable to determine number of fit parameters. {function_name(f)}{place_of(f)} does not name its "
                "parameters: p0= says how many there are, and where each starts"
            )
        if p0 is None:
            return names
        _check_names(p0, names, "p0")
        given = set(p0) | (set(fixed) if isinstance(fixed, Mapping) else set())
        while len(names) > n_required and names[-1] not in given:
            names = names[:-1]  # these keep their defaults
        return names
    n = int(np.size(p0))
    if not takes_more and names:
        n_all = len(names)
        if isinstance(fixed, Mapping) and n == n_all - len(fixed):
            return names
        if not n_required <= n <= n_all:
            raise ValueError(
                f"p0 has {n} numbers, and {function_name(f)}{place_of(f)} takes {n_required}"
                f"{f' to {n_all}' if n_all > n_required else ''} parameters: {', '.join(names)}"
            )
        return names[:n]
    if isinstance(fixed, Mapping):
        raise ValueError("fixed= by names needs a function that names its parameters; a mask says which are fixed")
    return (*names, *(f"p{i}" for i in range(len(names), n)))[:n]


def _check_names(given: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    for name in given:
        if name not in names:
            raise ValueError(f"{what} names {name!r}, which is no parameter of f; its parameters: {', '.join(names)}")


def _take_fixed(fixed: Any, names: tuple[str, ...]) -> tuple[set[int], dict[int, float]]:
    """Which parameters are held, and the values of those that have one of their own."""
    if fixed is None:
        return set(), {}
    if isinstance(fixed, str):
        fixed = [fixed]
    if isinstance(fixed, Mapping):
        _check_names(fixed, names, "fixed")
        values = {names.index(k): as_real(v, f"fixed[{k!r}]") for k, v in fixed.items()}
        for i, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"fixed[{names[i]!r}] is {value}: a parameter is fixed at a number")
        return set(values), values
    items = list(fixed)
    if items and all(isinstance(item, str) for item in items):
        _check_names(dict.fromkeys(items), names, "fixed")
        return {names.index(item) for item in items}, {}
    if len(items) != len(names) or not all(isinstance(item, bool | np.bool_) for item in items):
        raise ValueError(
            f"fixed must be a dict of values by name, names, or True and False for each of the {len(names)} "
            f"parameters, got {fixed!r:.80}"
        )
    return {i for i, item in enumerate(items) if item}, {}


def _take_start(p0: Any, names: tuple[str, ...], lower: Array, upper: Array, held: set[int]) -> Array:
    inside = _inside(lower, upper)
    if p0 is None:
        return inside
    if isinstance(p0, Mapping):
        for name, value in p0.items():
            inside[names.index(name)] = as_real(value, f"p0[{name!r}]")
        return inside
    values = np.array(as_float(p0, "p0"), np.float64).ravel()
    if len(values) == len(names) - len(held) and held:
        inside[[i for i in range(len(names)) if i not in held]] = values
        return inside
    if len(values) != len(names):
        raise ValueError(f"p0 has {len(values)} numbers, there are {len(names)} parameters: {', '.join(names)}")
    return values


def _inside(lower: Array, upper: Array) -> Array:
    """Where SciPy starts without p0: ones, or within the bounds."""
    start = np.ones(len(lower))
    both = np.isfinite(lower) & np.isfinite(upper)
    start[both] = lower[both] + 0.5 * (upper[both] - lower[both])
    for i in np.flatnonzero(~both & (np.isfinite(lower) | np.isfinite(upper))):
        bound, step = (lower[i], 1.0) if np.isfinite(lower[i]) else (upper[i], -1.0)
        start[i] = bound + step * max(1.0, abs(bound) * 2.0**-10)
    return start


def _take_bounds(bounds: Any, names: tuple[str, ...]) -> tuple[Array, Array]:
    if isinstance(bounds, Mapping):
        _check_names(bounds, names, "bounds")
        lower, upper = bounds_by_name(bounds, names)
    else:
        lower, upper = bounds_by_side(bounds, len(names), names.__getitem__)

    check_order(
        lower,
        upper,
        names.__getitem__,
        holding=lambda i: f"fixed={{{names[i]!r}: {float(lower[i])!r}}} holds a parameter",
    )
    return lower, upper


def _check_start(start: Array, lower: Array, upper: Array, names: tuple[str, ...], free: tuple[int, ...]) -> None:
    for i in free:
        if not lower[i] <= start[i] <= upper[i]:
            if not math.isfinite(start[i]):
                raise ValueError(f"p0 must be finite: that of {names[i]} is {start[i]}")
            raise ValueError(
                f"Initial guess is outside of provided bounds: p0 of {names[i]} is {float(start[i])!r}, its bounds are "
                f"{float(lower[i])!r} and {float(upper[i])!r}"
            )
        if not math.isfinite(start[i]):
            raise ValueError(f"p0 must be finite: that of {names[i]} is {start[i]}")
    for i, value in enumerate(start):
        if not math.isfinite(value):
            raise ValueError(f"p0 must be finite: that of {names[i]} is {value}")
