"""A Dask array as blocks of whole rows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from mmlfast._common.arrays import as_array, as_float, float_dtype, is_dask
from mmlfast.dask._engine import import_dask, tree_sum
from mmlfast.linalg._rfactor import RFactor
from mmlfast.stats._moments import Moments

State = TypeVar("State", Moments, RFactor)


class Table:
    """Delayed blocks of whole rows.

    Parameters
    ----------
    function, name : str
        Who asks for which argument, for messages.
    x : dask.array.Array, shape (n, d)
        Chunks of rows may have unknown lengths; chunks of columns are put together.
    """

    def __init__(self, function: str, name: str, x: Any) -> None:
        self.dask = import_dask()
        self._arrays: Any = importlib.import_module("dask.array")
        as_array(x, name)  # refuses masks, and data frames with the way out
        if not is_dask(x):
            raise TypeError(f"{function}: {name} must be a Dask array, got {type(x).__name__}")
        if x.ndim != 2:
            raise ValueError(f"{function}: {name} must have rows, shape (n, d); got shape {x.shape}")
        if x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
            raise TypeError(f"{function}: {name} must hold real numbers, got {x.dtype}")
        if np.isnan(x.shape[1]):
            raise ValueError(f"{function}: {name} has an unknown number of columns")
        self.function = function
        self.array = x.rechunk({1: -1}) if len(x.chunks[1]) > 1 else x
        self.dtype = float_dtype(x)
        self.n_columns = int(x.shape[1])
        self.blocks: list[Any] = list(self.array.to_delayed().ravel())

    @property
    def lengths(self) -> tuple[float, ...]:
        """The number of rows of each block, NaN where it is not known."""
        return tuple(self.array.chunks[0])

    def reduced(self, leaf: Callable[..., Any], *beside: Sequence[Any]) -> Any:
        """The state that `leaf` makes of each block and what else belongs to it, merged in a tree: delayed."""
        delayed = self.dask.delayed
        first = delayed(leaf, pure=False)
        leaves = [first(*parts) for parts in zip(self.blocks, *beside, strict=True)]
        return tree_sum(leaves, delayed(merged, pure=False))

    def weights(self, weights: Any) -> list[Any]:
        """Delayed blocks of a vector of weights, beside those of the rows."""
        w = as_array(weights, "weights")
        w = w if is_dask(w) else self.beside(as_float(w, "weights"))
        n = self.array.shape[0]
        if w.ndim != 1 or not (np.isnan(w.shape[0]) or w.shape[0] == n):
            raise ValueError(f"{self.function}: weights must have shape ({n},), got {w.shape}")
        if w.chunks[0] != self.lengths:
            w = w.rechunk((self.lengths,))
        return list(w.to_delayed())

    def to_array(self, value: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """A delayed value as a Dask array of one chunk."""
        return self._arrays.from_delayed(value, shape, dtype or self.dtype)

    def together(self, parts: list[Any]) -> Any:
        """Dask arrays one below the other."""
        return self._arrays.concatenate(parts, axis=0)

    def beside(self, values: Any) -> Any:
        """Numbers that are in memory as a Dask array."""
        return self._arrays.from_array(values)


def moments_of(block: Any, weights: Any = None) -> Moments:
    """The moments of a block."""
    return Moments(block.shape[1]).update(np.asarray(block), weights)


def merged(parts: Sequence[State]) -> State:
    """The state of all rows together; the parts, which others may need again, are left alone."""
    total = type(parts[0])(parts[0].n_features)
    for part in parts:
        total.merge(part)
    return total
