"""Where the rules of NumPy's functions stand, and how one is called.

A rule takes the recording and then what the function takes; what it gives back is ids (an int32 array), a `Mask` of
ids, a tuple or list of these, or anything else, which the user's code gets as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._trace import Ids, Trace, Traced

Handler = Callable[..., Any]

FUNCTIONS: dict[Callable[..., Any], Handler] = {}
_ACCEPTED: dict[Handler, frozenset[str]] = {}
_TAKES_ALL: set[Handler] = set()


class Mask(NamedTuple):
    """Ids of booleans."""

    ids: Ids


def rule(*functions: Callable[..., Any] | None) -> Callable[[Handler], Handler]:
    """Make the decorated function the rule of these; None is what this version of NumPy does not have."""

    def register(handler: Handler) -> Handler:
        parameters = inspect.signature(handler).parameters.values()
        _ACCEPTED[handler] = frozenset(p.name for p in parameters)
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            _TAKES_ALL.add(handler)
        FUNCTIONS.update({f: handler for f in functions if f is not None})
        return handler

    return register


def since(name: str, module: Any = np) -> Callable[..., Any] | None:
    """A function that older versions of NumPy do not have."""
    return getattr(module, name, None)


_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "out": (None,),
    "where": (True,),
    "order": ("K", "C", "A"),
    "casting": ("same_kind", "safe", "unsafe"),
    "subok": (True, False),
    "dtype": (None, float, np.float64, bool, np.bool_, "float64", "float", "d", int, np.int64),
    "rowvar": (True,),
}


def meaningful(function: Callable[..., Any], handler: Handler | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keywords without those that say nothing; those that say something a rule does not know are refused by name."""
    accepted = _ACCEPTED[handler] if handler is not None else frozenset()
    left = {}
    for key, value in kwargs.items():
        if value is np._NoValue:
            continue
        if key in accepted and key not in _NEUTRAL:
            left[key] = value
            continue
        neutral = any(value is x or (isinstance(value, str) and value == x) for x in _NEUTRAL.get(key, ()))
        if key == "dtype" and not neutral:
            neutral = np.dtype(value) in (np.float64, np.bool_, np.int64)
        if (key in accepted or handler in _TAKES_ALL) and (neutral or key not in ("dtype", "out")):
            left[key] = value
        elif not neutral:
            refuse(
                f"{key}= of {name_of(function)} cannot be traced",
                "a tape computes in float64" if key == "dtype" else _HINT.get(key, ""),
            )
    return left


_HINT = {
    "where": "write np.where(condition, x, neutral value) for the argument",
    "out": "assign the result",
    "initial": "combine the result with it by np.maximum, np.minimum, + or *",
}


def name_of(function: Callable[..., Any]) -> str:
    module = (getattr(function, "__module__", "") or "numpy").replace("numpy", "np", 1)
    return f"{module}.{getattr(function, '__name__', function)}"


def mask_like(x: Any, ids: Ids) -> Any:
    """Ids that are booleans if x is."""
    return Mask(ids) if is_mask(x) else ids


def is_mask(x: Any) -> bool:
    if isinstance(x, Traced):
        return x.is_mask
    kind = type(x)
    return kind is bool or kind is np.bool_ or (kind is np.ndarray and x.dtype == np.bool_)


def all_ids(t: Trace, arrays: Any) -> list[Ids]:
    return [t.ids_of(x) for x in arrays]
