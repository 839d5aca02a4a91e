"""Arguments that are no numbers: names, options, functions, tables; and arguments by keyword.

A derivative takes numbers and arrays. All else is bound to the function first: what is left is a function of numbers.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmlfast.autodiff._recording import function_name
from mmlfast.autodiff._trace import Traced

_PLAIN = (str, bytes, bool, type(None))


class _Place:
    """Where argument number `i` of those that are numbers goes."""

    __slots__ = ("i",)

    def __init__(self, i: int) -> None:
        self.i = i


class Bound:
    """f with some of its arguments given."""

    def __init__(self, f: Callable[..., Any], positional: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        self._f = f
        self._positional = tuple(positional)
        self._keywords = dict(keywords)
        self.__name__ = function_name(f)
        self.__code__ = getattr(f, "__code__", None)  # for messages that say where it is

    def __call__(self, *numbers: Any) -> Any:
        def given(x: Any) -> Any:
            return numbers[x.i] if type(x) is _Place else x

        keywords = {name: given(x) for name, x in self._keywords.items()}
        return self._f(*(given(x) for x in self._positional), **keywords)

    @property
    def _watched(self) -> tuple[Any, ...]:
        others = (*self._positional, *self._keywords.values())
        return (self._f, *(x for x in others if type(x) is not _Place))


class Bindings:
    """What has been bound to a function, so that the next call finds the same one; the oldest are forgotten."""

    _MOST = 32

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[Any, Any]] = {}

    def find(self, args: Sequence[Any], keywords: Mapping[str, Any], argnum: int) -> tuple[Any, list[Any], list[Any]]:
        """(key, what goes where, numbers). Argument number `argnum` is numbers."""
        numbers: list[Any] = []
        key: list[Any] = [len(args), *keywords]
        slots: list[Any] = []
        for i, x in enumerate((*args, *keywords.values())):
            if i == argnum or is_numbers(x):
                slots.append(_Place(len(numbers)))
                numbers.append(x)
                key.append(None)
            else:
                slots.append(x)
                key.append((type(x), x if isinstance(x, _PLAIN) else id(x)))
        return tuple(key), slots, numbers

    def get(self, key: Any) -> Any:
        found = self._kept.get(key)
        return None if found is None else found[0]

    def keep(self, key: Any, derived: Any, slots: Sequence[Any]) -> None:
        self._kept[key] = derived, slots  # what has an id in the key lives as long as this
        while len(self._kept) > self._MOST:
            self._kept.pop(next(iter(self._kept)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Bindings, ()


def is_numbers(x: Any) -> bool:
    """Whether a derivative can take it as it is: a number, an array, or what NumPy makes an array of numbers of."""
    if isinstance(x, Traced | float | int | np.number) and not isinstance(x, bool):
        return True
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "biufO"
    if x is None or isinstance(x, str | bytes | bool | dict | set | frozenset) or callable(x):
        return False
    if isinstance(x, list | tuple):
        return all(map(is_numbers, x)) and len({np.shape(part) for part in x}) <= 1
    return isinstance(x, range | array.array | memoryview) or any(
        hasattr(x, name) for name in ("__array__", "__dlpack__", "__buffer__", "dtype")
    )


def all_numbers(args: Sequence[Any]) -> bool:
    for x in args:
        kind = type(x)
        if kind is not np.ndarray and kind is not float and kind is not int and not is_numbers(x):
            return False
    return True
