"""Derivatives with respect to several arguments at once: a tuple with one part for each, as in JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast.autodiff._bound import is_numbers
from mmlfast.autodiff._compiled import as_points, result_is_float32
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._joined import Joined, Kind, in_a_row, kind_of
from mmlfast.autodiff._recording import as_argument
from mmlfast.autodiff._trace import Traced


class _AmongOthers(Joined):
    """A function of some of its arguments in a row; the others stay what they are."""

    def __init__(self, f: Callable[..., Any], kinds: Sequence[Kind], positions: Sequence[int]) -> None:
        super().__init__(f, kinds)
        self.positions = tuple(positions)

    def __call__(self, numbers: Any, *others: Any, **keywords: Any) -> Any:
        args = list(others)
        for position, part in sorted(zip(self.positions, self.parts(numbers), strict=True), key=lambda pair: pair[0]):
            args.insert(position, part)
        return self.f(*args, **keywords)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, self.kinds, self.positions)


class OfSeveralArguments:
    """A derivative of f with respect to the arguments `argnums`; `kind` is the one of a single argument."""

    def __init__(self, kind: type[Any], f: Callable[..., Any], argnums: Sequence[int], *options: Any) -> None:
        self._kind = kind
        self._f = f
        self._options = options
        whole: list[Any] = [int(i) if isinstance(i, np.integer) else i for i in argnums]  # type: ignore[redundant-expr]
        self._argnums = tuple(whole)
        for i in whole:
            if type(i) is not int:
                raise TypeError(f"argnums must be an integer or a tuple of integers, got {argnums!r}")
        if not self._argnums:
            raise TypeError("argnums is empty: there is no argument to differentiate by")
        self._of_row: dict[Any, Derived] = {}
        self.__name__ = kind(f, 0, *options).__name__

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        positions, others = self._split(args)
        given = [args[i] for i in positions]
        joined = _AmongOthers(
            self._f, [kind_of(x, f"argument {i}") for i, x in zip(positions, given, strict=True)], positions
        )
        float32 = not any(isinstance(x, Traced) for x in args) and result_is_float32(
            as_argument(given[0], ""),
            [as_argument(x, "") for x in (*given[1:], *others, *keywords.values()) if is_numbers(x)],
        )
        found = self._derivative(joined)(in_a_row(given, "argument"), *others, **keywords)
        return self._parts(joined, found, float32)

    def batch(self, *args: Any, **keywords: Any) -> Any:
        """The derivatives at many points, which are in the first axis of each of the arguments `argnums`.

        Parameters
        ----------
        *args : array-like
            The arguments of the function; those that are not in `argnums` are the same for all points.
        **keywords
            Arguments by name, likewise.

        Returns
        -------
        tuple of ndarray
        """
        positions, others = self._split(args)
        given = [as_points(args[i], f"argument {i}") for i in positions]
        if len({len(x) for x in given}) > 1:
            raise ValueError(f"batch: arguments {positions} have {[len(x) for x in given]} points in their first axes")
        joined = _AmongOthers(self._f, [(x.shape[1:], x.ndim == 1) for x in given], positions)
        row = np.concatenate([x.reshape(len(x), math.prod(x.shape[1:])) for x in given], axis=1)
        return self._parts(joined, self._derivative(joined).batch(row, *others, **keywords), False)

    def _split(self, args: Sequence[Any]) -> tuple[list[int], list[Any]]:
        for i in self._argnums:
            if not -len(args) <= i < len(args):
                raise TypeError(
                    f"{self.__name__}: argnums={self._argnums}, but it was called with {len(args)} arguments"
                )
        positions = [i % len(args) for i in self._argnums]
        if len(set(positions)) < len(positions):
            raise TypeError(f"{self.__name__}: argnums={self._argnums} names an argument twice")
        return positions, [x for i, x in enumerate(args) if i not in positions]

    def _derivative(self, joined: _AmongOthers) -> Derived:
        key = (joined.kinds, joined.positions)
        found: Derived | None = self._of_row.get(key)
        if found is None:
            found = self._of_row[key] = self._kind(joined, 0, *self._options)
        return found

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self._f, self._argnums, self._kind, self._options)

    def __reduce__(self) -> Any:
        return OfSeveralArguments, (self._kind, self._f, self._argnums, *self._options)

    def _parts(self, joined: Joined, result: Any, float32: bool) -> Any:
        """Of each axis that is the row of arguments, the part of each."""
        if type(result) is tuple:
            return result[0], self._parts(joined, result[1], float32)
        parts = tuple(joined.parts(result))
        return tuple(np.float32(x) for x in parts) if float32 else parts

    def __repr__(self) -> str:
        return f"<{self.__name__}>"
