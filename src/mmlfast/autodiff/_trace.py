"""One recording of a function: the graph that grows, and how arrays of ids become new arrays of ids.

An array of traced numbers is an int32 array of ids of values of the graph. What only moves numbers (slices, reshape,
stack, broadcasting, assignment) is NumPy's own work on these arrays; what computes is one `emit`, one run of the tape.
"""

from __future__ import annotations

import math
import numbers
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast.autodiff._decisions import Decisions
from mmlfast.autodiff._errors import ForeignTrace, refuse, users_line

Ids = np.ndarray[Any, np.dtype[np.int32]]

OPS: dict[str, int] = dict(_core.tape_ops)

_recordings = threading.local()


class Traced(_core.TracedNumbers):
    """What an array of traced numbers consists of (`TracedArray` is how NumPy and the user's code see it): `owner`, its
    recording, `ids`, and `is_mask`, whether they are booleans."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def owner(self) -> Trace: ...


def active_traces() -> list[Trace]:
    """The recordings that run in this thread, the outermost first."""
    found: list[Trace] | None = getattr(_recordings, "traces", None)
    if found is None:
        found = _recordings.traces = []
    return found


class Trace:
    """A graph while a function is recorded into it."""

    __slots__ = ("decisions", "emit", "graph", "objects_line", "scalars", "with_jacobian")

    def __init__(self, graph: _core.TapeGraph, decisions: Decisions | None = None) -> None:
        self.graph = graph
        self.decisions = decisions  # None: the recording is for all points
        self.emit = graph.emit
        self.scalars: dict[float, Ids] = {}
        self.with_jacobian: set[int] = set()  # results of callbacks that have their Jacobian, or are about to get it
        self.objects_line = ""  # where traced numbers last became an array of objects

    def __enter__(self) -> Trace:
        """Recording, until the end of `with`."""
        active_traces().append(self)
        return self

    def __exit__(self, *error: object) -> None:
        active_traces().pop()

    # ---- what numbers are ----

    def known(self, ids: Ids) -> np.ndarray[Any, Any] | None:
        """The numbers that the function's own code goes on with; None if it has to do without them."""
        if self.decisions is not None and self.decisions.has_room():
            return self.decisions.ask(self, ids)
        if not np.all(self.graph.is_constant(ids.ravel())):
            return None
        return np.asarray(self.graph.values(ids.ravel())).reshape(ids.shape)

    def known_truth(self, ids: Ids, is_mask: bool) -> np.ndarray[Any, Any] | None:
        found = self.known(ids if is_mask else self.binary(OPS["not_equal"], ids, self.scalar(0.0)))
        return None if found is None else np.asarray(found != 0)

    # ---- what operands are ----

    def scalar(self, value: float) -> Ids:
        """The id of a constant, an array without dimensions that is not to be changed."""
        found = self.scalars.get(value) if value else None  # 0.0 and -0.0 are one key
        if found is None:
            found = self.graph.constants(np.array(value, np.float64))
            if value:
                self.scalars[value] = found
        return found

    def constant(self, values: Any) -> Ids:
        return self.graph.constants(np.ascontiguousarray(values, np.float64).reshape(np.shape(values)))

    def ids_of(self, x: Any) -> Ids:
        """The ids of an operand: traced numbers of this recording, or constants."""
        kind = type(x)
        if isinstance(x, Traced):
            if x.owner is not self:
                refuse_foreign(self, x.owner)
            return x.ids
        if kind is float or kind is int or kind is bool or kind is np.float64:
            return self.scalar(float(x))
        if kind is np.ndarray:
            if x.dtype.char in "df?":
                return self.constant(x)
            return self._ids_of_objects(x) if x.dtype.kind == "O" else self._checked_constant(x)
        if x is None or isinstance(x, str | bytes):
            refuse(f"{x!r} is not a number")
        if kind is list or kind is tuple:
            return self.ids_of(np.array(x, object) if _holds_traced(x) else np.asarray(x))
        if isinstance(x, numbers.Real) and not isinstance(x, np.generic):
            return self.scalar(float(x))  # fractions and other numbers of Python
        return self._checked_constant(x)

    def _checked_constant(self, x: Any) -> Ids:
        try:
            return self.constant(as_float(x, "constant"))
        except (TypeError, ValueError) as error:
            refuse(str(error))

    def _ids_of_objects(self, x: Any) -> Ids:
        ids = np.empty(x.shape, np.int32)
        flat = ids.reshape(-1)
        for i, item in enumerate(x.ravel()):
            found = self.ids_of(item)
            if found.ndim:
                refuse(f"an array of objects holds an array of shape {found.shape}", "write np.stack or np.concatenate")
            flat[i] = found[()]
        return ids

    # ---- what computes ----

    def unary(self, op: int, a: Ids, aux: int = 0) -> Ids:
        if not a.size:
            return a.copy()
        ids = self.emit(op, a, None, None, aux)
        return ids if a.ndim == 1 else ids.reshape(a.shape)

    def binary(self, op: int, a: Ids, b: Ids) -> Ids:
        """Elementwise, with NumPy's broadcasting."""
        shape = a.shape
        if b.shape == shape:
            if len(shape) == 1 and shape[0]:
                return self.emit(op, a, b)
        elif not shape:
            shape = b.shape
        elif b.shape:
            shape = np.broadcast_shapes(shape, b.shape)
            a, b = _spread(a, shape), _spread(b, shape)
        if 0 in shape:
            return np.empty(shape, np.int32)
        return self.emit(op, a, b).reshape(shape)

    def ternary(self, op: int, a: Ids, b: Ids, c: Ids) -> Ids:
        shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
        if 0 in shape:
            return np.empty(shape, np.int32)
        return self.emit(op, _spread(a, shape), _spread(b, shape), _spread(c, shape)).reshape(shape)

    def reduction(self, op: int, a: Ids, axis: Any, keepdims: bool = False, b: Ids | None = None) -> Ids:
        """Sum, norm, or dot with `b` (of a's shape) along axes."""
        a, shape = rows_of(a, axis, keepdims)
        if b is not None:
            b = rows_of(b, axis, keepdims)[0]
        count, terms = a.shape
        if not count:
            return np.empty(shape, np.int32)
        if not terms:
            return np.full(shape, self.scalar(0.0), np.int32)
        return self.emit(op, a, b, None, terms, count).reshape(shape)

    def fold(self, op: int, a: Ids, axis: Any, keepdims: bool = False, empty: float | None = None) -> Ids:
        """A tree of a binary operation along axes: maximum, minimum, multiply, logical_and, logical_or."""
        a, shape = rows_of(a, axis, keepdims)
        if not a.shape[1]:
            if empty is None:
                raise ValueError("zero-size array to reduction operation which has no identity")
            return np.full(shape, self.scalar(empty), np.int32)
        while a.shape[1] > 1:
            half = a.shape[1] // 2
            pairs = self.binary(op, a[:, :half], a[:, half : 2 * half])
            a = np.concatenate([pairs, a[:, 2 * half :]], axis=1) if a.shape[1] % 2 else pairs
        return np.array(a[:, 0]).reshape(shape)

    def accumulate(self, op: int, a: Ids, axis: int) -> Ids:
        """A chain of a binary operation along an axis: cumsum, cumprod."""
        out = np.moveaxis(a.copy(), axis, 0)
        for i in range(1, len(out)):
            out[i] = self.binary(op, out[i - 1], out[i])
        return np.moveaxis(out, 0, axis)


def _spread(a: Ids, shape: tuple[int, ...]) -> Ids:
    return a if a.shape == shape or a.size == 1 else np.broadcast_to(a, shape)


def rows_of(a: Ids, axis: Any, keepdims: bool) -> tuple[Ids, tuple[int, ...]]:
    """`a` with what is reduced in rows (count, terms), and the shape of the result."""
    if axis is None or (type(axis) is int and -1 <= axis <= 0 and a.ndim == 1):
        return a.reshape(1, -1), (1,) * a.ndim if keepdims else ()
    axes = normalize_axis_tuple(axis, a.ndim)
    kept = tuple(i for i in range(a.ndim) if i not in axes)
    shape = tuple(a.shape[i] for i in kept)
    rows = a.transpose(kept + axes).reshape(math.prod(shape), math.prod(a.shape[i] for i in axes))
    return rows, tuple(1 if i in axes else n for i, n in enumerate(a.shape)) if keepdims else shape


def _holds_traced(x: Any) -> bool:
    kind = type(x)
    if kind is list or kind is tuple:
        return any(map(_holds_traced, x))
    return isinstance(x, Traced) or (kind is np.ndarray and x.dtype.kind == "O")


def refuse_foreign(*traces: Trace) -> None:
    raise ForeignTrace(
        f"{users_line()}traced numbers of two functions meet: do not keep them in variables outside of the function",
        traces,
    )


def trace_of(arguments: Sequence[Any]) -> Trace | None:
    """The recording that any of the arguments belongs to."""
    for x in arguments:
        if isinstance(x, Traced):
            return x.owner
        if type(x) is np.ndarray and x.dtype.kind == "O":
            for item in x.flat:
                if isinstance(item, Traced):
                    return item.owner
        elif (type(x) is list or type(x) is tuple) and (found := trace_of(x)) is not None:
            return found
    return None
