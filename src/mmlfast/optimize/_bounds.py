"""Bounds, as SciPy's functions take them: two sides, Bounds, a pair for each variable, or pairs by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float

Array = np.ndarray[Any, Any]

UNBOUNDED = (-np.inf, np.inf)


def sides_of(bounds: Any, name: str = "bounds") -> tuple[Any, Any]:
    """What stands for the lower and for the upper side, of whatever shape; infinite where nothing does."""
    if bounds is None:
        return UNBOUNDED
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return bounds.lb, bounds.ub
    try:
        lower, upper = bounds
    except (TypeError, ValueError):
        other = "" if name != "bounds" else ", each a number or an array, or scipy.optimize.Bounds"
        raise ValueError(f"{name} must be a pair (lower, upper){other}, got {bounds!r:.60}") from None
    return (-np.inf if lower is None else lower), (np.inf if upper is None else upper)


def bounds_by_side(bounds: Any, n: int, called: Callable[[int], str]) -> tuple[Array, Array]:
    """Lower and upper bounds of n variables from two sides, each a number, n of them or None; or from Bounds.

    `called` gives the name of a variable, for messages.
    """
    sides = []
    alone = hasattr(bounds, "lb")  # Bounds makes arrays of one number of numbers
    for name, side in zip(("lower", "upper"), sides_of(bounds), strict=True):
        values = np.asarray(as_float(side, f"{name} bounds"), np.float64)
        if values.shape not in ((), (n,)) and not (alone and values.shape == (1,)):
            raise ValueError(
                f"the {name} bounds have shape {values.shape}, there are {n} parameters ({called(0)} ...): "
                "inconsistent shapes"
            )
        sides.append(np.array(np.broadcast_to(values.reshape(-1), (n,))))
    lower, upper = sides
    return lower, upper


def bounds_by_variable(bounds: Any, n: int, called: Callable[[int], str]) -> tuple[Array, Array]:
    """The same from a pair (low, high) for each variable, None in it being infinite; or from Bounds."""
    if bounds is None or (hasattr(bounds, "lb") and hasattr(bounds, "ub")):
        return bounds_by_side(bounds, n, called)
    try:
        pairs = [sides_of(pair, f"bounds[{i}]") for i, pair in enumerate(bounds)]
    except TypeError:
        pairs = []
    if len(pairs) != n:
        raise ValueError(
            f"bounds must have {n} pairs (low, high), one for each variable, or be scipy.optimize.Bounds, "
            f"got {bounds!r:.60}"
        )
    table = np.asarray(as_float(pairs, "bounds"), np.float64).reshape(n, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def bounds_by_name(bounds: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Array, Array]:
    """The same from pairs (lower, upper) of the variables that have any."""
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for name, pair in bounds.items():
        i = names.index(name)
        for out, side in zip((lower, upper), sides_of(pair, f"bounds[{name!r}]"), strict=True):
            value = np.asarray(as_float(side, f"bounds[{name!r}]"), np.float64)
            if value.ndim:
                raise ValueError(f"bounds[{name!r}] must be a pair of numbers, got {pair!r:.60}")
            out[i] = value
    return lower, upper


def check_order(
    lower: Array,
    upper: Array,
    called: Callable[[int], str],
    *,
    equal: bool = False,
    holding: Callable[[int], str] | None = None,
) -> None:
    """ValueError where a lower bound is above its upper one, or equal to it without `equal`, or one of them is NaN.

    `holding` says how else a variable is held than by equal bounds.
    """
    good = lower <= upper if equal else lower < upper
    if good.all():
        return
    i, relation = int(np.argmin(good)), "at most" if equal else "strictly less than"
    way = f": {holding(i)}" if holding is not None and lower[i] == upper[i] else ""
    raise ValueError(
        f"bounds: each lower bound must be {relation} each upper bound: those of {called(i)} are "
        f"{float(lower[i])!r} and {float(upper[i])!r}{way}"
    )
