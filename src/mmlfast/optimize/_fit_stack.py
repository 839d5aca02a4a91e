"""Arrays of many data sets, taken in pieces: float64 a piece at a time, whatever they are and wherever they lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array, as_float, contiguous

Array = np.ndarray[Any, Any]


class Stack:
    """An array of shape (*lead, *core), or one of `core` for all.

    Attributes
    ----------
    shared : bool
        Whether all data sets have the same.
    masked : bool
        Whether there is a mask that hides something.
    """

    def __init__(self, values: Any, name: str, lead: tuple[int, ...], core: tuple[int, ...]) -> None:
        self.name, self.core = name, core
        self.mask: Array | None = None
        if isinstance(values, np.ma.MaskedArray):
            if np.ma.is_masked(values):
                self.mask = np.ma.getmaskarray(values)
            values = values.data
        array = values if type(values) is np.ndarray else as_array(values, name)
        own = array.shape[: max(array.ndim - len(core), 0)]
        self.shared = not own or (own != lead and all(n == 1 for n in own))
        shape = core if self.shared else (*lead, *core)
        if self.shared:
            array = array.reshape(array.shape[max(array.ndim - len(core), 0) :])
            if self.mask is not None:
                self.mask = self.mask.reshape(array.shape)
        try:
            self.array = np.broadcast_to(array, shape)
            if self.mask is not None:
                self.mask = np.broadcast_to(self.mask, shape)
        except ValueError:
            raise ValueError(
                f"{name} has shape {array.shape}: it must be {core} for all fits, or {(*lead, *core)}, one for each"
            ) from None
        self.lead = lead

    def piece(self, start: int, stop: int) -> Array:
        """Of fits start to stop: (stop - start, *core), or `core` if it is shared; float64 without gaps."""
        return self._numbers(self._taken(self.array, start, stop))

    def hidden(self, start: int, stop: int) -> Array | None:
        """What the mask hides in a piece; None: nothing."""
        if self.mask is None:
            return None
        mask = self._taken(self.mask, start, stop)
        return mask if mask.any() else None

    def item(self, fit: int) -> Array:
        found = self.piece(fit, fit + 1)
        return found if self.shared else found[0]

    def _numbers(self, piece: Array) -> Array:
        return contiguous(np.asarray(as_float(piece, self.name), np.float64))

    def _taken(self, array: Array, start: int, stop: int) -> Array:
        if self.shared:
            return array
        if array.flags.c_contiguous:
            return array.reshape(math.prod(self.lead), *self.core)[start:stop]
        if len(self.lead) == 1:
            return array[start:stop]
        return np.asarray(array[np.unravel_index(np.arange(start, stop), self.lead)])
