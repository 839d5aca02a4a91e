"""Several arguments of a function as one array, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast._common.kept import Around, kept
from mmlfast.autodiff._function import as_result
from mmlfast.autodiff._recording import as_argument, function_name
from mmlfast.autodiff._trace import Traced

Array = np.ndarray[Any, Any]
Kind = tuple[tuple[int, ...], bool]  # shape, and whether it is a number rather than an array


class Joined(Around):
    """A function of several arrays as a function of all their numbers in a row.

    Further arguments are directions, of which the function itself knows nothing.
    """

    def __init__(self, f: Callable[..., Any], kinds: Sequence[Kind]) -> None:
        super().__init__(f)
        self.kinds = tuple(kinds)
        self.__name__ = function_name(f)

    def __call__(self, numbers: Any, *directions: Any) -> Any:
        return self.f(*self.parts(numbers))

    def parts(self, numbers: Any) -> list[Any]:
        found, at = [], 0
        for shape, is_number in self.kinds:
            size = math.prod(shape)
            part = numbers[..., at : at + size].reshape(numbers.shape[:-1] + shape)
            found.append(np.float64(part) if is_number and not isinstance(part, Traced) and not part.ndim else part)
            at += size
        return found

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, self.kinds)


_joined = kept(Joined)


def kind_of(x: Any, name: str) -> Kind:
    if isinstance(x, Traced):
        return x.ids.shape, False
    a = as_argument(x, name)
    return a.values.shape, a.is_number


def join(f: Callable[..., Any], primals: Sequence[Any]) -> tuple[Joined, Any]:
    """f as a function of one array, and the array."""
    kinds = tuple(kind_of(x, f"primals[{i}]") for i, x in enumerate(primals))
    try:
        joined = _joined(f, kinds)
    except TypeError:
        joined = Joined(f, kinds)
    return joined, in_a_row(primals, "primals")


def in_a_row(arrays: Sequence[Any], name: str) -> Any:
    if not arrays:
        raise TypeError("there is no argument to differentiate by")
    if any(isinstance(x, Traced) for x in arrays):
        return np.concatenate([np.ravel(x) for x in arrays])
    flat = [as_argument(x, f"{name}[{i}]").values.ravel() for i, x in enumerate(arrays)]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)


def parts_of(joined: Joined, numbers: Array) -> list[Any]:
    return [as_result(np.asarray(x), False) for x in joined.parts(numbers)]
