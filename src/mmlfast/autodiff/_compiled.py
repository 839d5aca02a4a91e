"""Programs with the shapes of what goes in and comes out: one point, or points in the leading axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast.autodiff._callbacks import callbacks_of
from mmlfast.autodiff._recording import Argument
from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]


class Compiled:
    """A program whose outputs are several arrays, one after the other."""

    __slots__ = ("offsets", "program", "shapes", "x_shape")

    def __init__(
        self, trace: Trace, x_shape: tuple[int, ...], outputs: Sequence[Ids], as_written: bool = False
    ) -> None:
        self.x_shape = x_shape
        self.shapes = [ids.shape for ids in outputs]
        sizes = [ids.size for ids in outputs]
        self.offsets = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
        flat = [ids.ravel() for ids in outputs]  # a program takes -1 for 0
        self.program = _core.TapeProgram(
            trace.graph, flat[0] if len(flat) == 1 else np.concatenate(flat), callbacks_of(trace.graph), as_written
        )

    def at_point(self, x: Any, parameters: Sequence[Array]) -> list[Array]:
        return self.parts(self.program(x, *parameters))

    def parts(self, flat: Array) -> list[Array]:
        """The outputs of one point, apart and in their shapes."""
        if len(self.shapes) == 1:
            return [flat.reshape(self.shapes[0])]
        return [flat[self.offsets[i] : self.offsets[i + 1]].reshape(shape) for i, shape in enumerate(self.shapes)]

    def at_points(self, x: Array, parameters: Sequence[Array]) -> list[Array]:
        """x (..., *x_shape): each result gets the same leading axes."""
        lead = x.shape[: x.ndim - len(self.x_shape)]
        rows = _as_doubles(x).reshape(math.prod(lead), math.prod(self.x_shape))
        out = self.program.batch(rows, *parameters)
        return [
            out[:, self.offsets[i] : self.offsets[i + 1]].reshape(lead + shape) for i, shape in enumerate(self.shapes)
        ]


def _as_doubles(x: Array) -> Array:
    return np.ascontiguousarray(x, np.float64)


def result_is_float32(x: Argument, parameters: Sequence[Argument]) -> bool:
    """float32 in, float32 out; numbers have no precision of their own."""
    return x.values.dtype.char == "f" and all(p.is_number or p.values.dtype.char == "f" for p in parameters)


def as_points(x: Any, name: str) -> Array:
    points = as_float(x, name)
    if not points.ndim:
        raise ValueError(f"{name} is one number: batch takes points in the leading axis")
    return points
