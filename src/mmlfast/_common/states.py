"""What `__setstate__` may be given: the state of an object of this library, or an error that says it is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]


class Restorable(Protocol):
    """A compiled state: `restore` raises ValueError for numbers that no such state has written."""

    def restore(self, numbers: Array, /) -> None: ...


State = TypeVar("State", bound=Restorable)


def restored(name: str, empty: Callable[[], State], state: Any) -> tuple[np.dtype[Any], State]:
    """The dtype and the compiled state from what `__getstate__` of the class `name` gave."""
    wrong = f"{name}.__setstate__: this is not a state that {name} has written"
    if not (isinstance(state, tuple) and len(state) == 2 and state[0] in ("float64", "float32")):
        raise ValueError(f"{wrong}; it would be a tuple of a dtype and an array")
    numbers = state[1]
    if not (isinstance(numbers, np.ndarray) and numbers.ndim == 1 and numbers.dtype == np.float64):
        raise ValueError(f"{wrong}; its numbers would be a vector of float64")
    fresh = empty()
    try:
        fresh.restore(np.require(numbers, np.float64, ["C", "A"]))
    except ValueError:
        raise ValueError(f"{wrong}; its numbers contradict each other") from None
    return np.dtype(state[0]), fresh
