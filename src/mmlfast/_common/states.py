"""Objects that take in rows piece by piece: what they have in common, and what `__setstate__` may be given."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from mmlfast._common.arrays import as_float, as_integer

Array = np.ndarray[Any, Any]


class CompiledState(Protocol):
    """The state in `_core`. A negative number of columns is one that is not known yet."""

    def __init__(self, columns: int, /) -> None: ...
    def n_features(self) -> int: ...
    def count(self) -> float: ...
    def merge(self, other: Any, /) -> None: ...
    def save(self) -> Array: ...
    def restore(self, numbers: Array, /) -> None:
        """Raise ValueError for numbers that no such state has written."""


class RowState:
    """A state of rows, of which `Moments` and `RFactor` are public; the state is float64 in any case."""

    __slots__ = ("_dtype", "_labels", "_state")
    __hash__ = None  # type: ignore[assignment]

    _name: ClassVar[str]
    _compiled: ClassVar[type[CompiledState]]
    _too_many_features: ClassVar[int]
    _dtype: np.dtype[Any]
    _labels: list[Any] | None  # of the columns, if rows have come that had some
    _state: Any

    def __init_subclass__(
        cls, compiled: type[CompiledState] | None = None, too_many_features: int = 0, **others: Any
    ) -> None:
        super().__init_subclass__(**others)
        if compiled is not None:  # else it is derived from one of ours, whose name and state it keeps
            cls._name, cls._compiled, cls._too_many_features = cls.__name__, compiled, too_many_features

    def __init__(self, n_features: int | None = None, dtype: DTypeLike = np.float64) -> None:
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise TypeError(f"dtype must be float64 or float32, got {self._dtype}")
        columns = -1
        if n_features is not None:
            columns = as_integer(n_features, "n_features")
            if not 0 <= columns < self._too_many_features:
                raise ValueError(f"n_features must be from 0 to {self._too_many_features - 1}, got {n_features}")
        self._state = self._compiled(columns)
        self._labels = None

    @property
    def n_features(self) -> int | None:
        """The number of columns, or None if that is not known yet."""
        columns = self._state.n_features()
        return None if columns < 0 else columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the results."""
        return self._dtype

    @property
    def count(self) -> int | float:
        """The number of rows."""
        return int(self._state.count())

    def merge(self, other: Self) -> Self:
        """Take in the rows that another object has seen.

        Results agree to rounding, about 1e-15 relative, whatever the order of merging. Merging into an empty object
        copies `other`.

        Parameters
        ----------
        other : object of the same class
            Is not changed.

        Returns
        -------
        object
            The object itself.

        Raises
        ------
        ValueError
            If the numbers of columns differ, or their labels.
        TypeError
            If `other` is something else.
        """
        if not self._is_alike(other):
            raise TypeError(f"merge: other must be {self._name}, got {type(other).__name__}")
        if self._labels is not None and other._labels is not None and self._labels != other._labels:
            raise ValueError(
                f"merge: the columns of other have other labels, or another order: {other._labels[:10]} beside "
                f"{self._labels[:10]}"
            )
        self._state.merge(other._state)
        self._labels = other._labels if self._labels is None else self._labels
        return self

    def _is_alike(self, other: object) -> bool:
        return isinstance(other, RowState) and other._compiled is self._compiled

    def __eq__(self, other: object) -> bool:
        """The same state: the same rows in the same blocks, so that everything from here on has the same bits."""
        if not isinstance(other, RowState) or not self._is_alike(other):
            return NotImplemented
        return self._dtype == other._dtype and self._state.save().tobytes() == other._state.save().tobytes()

    def __getstate__(self) -> tuple[Any, ...]:
        state = self._dtype.name, self._state.save()
        return state if self._labels is None else (*state, self._labels)

    def __setstate__(self, state: Any) -> None:
        wrong = f"{self._name}.__setstate__: this is not a state that {self._name} has written"
        if not (isinstance(state, tuple) and len(state) in (2, 3) and state[0] in ("float64", "float32")):
            raise ValueError(f"{wrong}; it would be a tuple of a dtype and an array")
        numbers, labels = state[1], state[2] if len(state) == 3 else None
        if not (isinstance(numbers, np.ndarray) and numbers.ndim == 1 and numbers.dtype == np.float64):
            raise ValueError(f"{wrong}; its numbers would be a vector of float64")
        fresh = self._compiled(-1)
        try:
            fresh.restore(np.require(numbers, np.float64, ["C", "A"]))
        except ValueError:
            raise ValueError(f"{wrong}; its numbers contradict each other") from None
        if labels is not None and not (isinstance(labels, list) and len(labels) == fresh.n_features()):
            raise ValueError(f"{wrong}; its labels would be a list, one for each column")
        self._dtype, self._state, self._labels = np.dtype(state[0]), fresh, labels

    def __repr__(self) -> str:
        return f"{self._name}(n_features={self.n_features}, count={self.count}, dtype={self._dtype})"


def as_rows(function: str, x: ArrayLike, of_one_number: bool = False) -> Array:
    """Native, aligned float32 or float64 rows; one dimension is one row, or rows `of_one_number` each."""
    rows = as_float(x, "x")
    if rows.ndim == 1:
        rows = rows[:, None] if of_one_number else rows[None]
    if rows.ndim != 2:
        raise ValueError(f"{function}: x must be rows, shape (n, d), or one row, shape (d,); got shape {rows.shape}")
    return np.require(rows, requirements="A")
