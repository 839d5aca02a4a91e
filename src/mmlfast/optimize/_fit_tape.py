"""Tapes of the models of fits: kept for each function and shape of x, as long as all that it sees holds."""

from __future__ import annotations

import types
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.kept import kept
from mmlfast.autodiff._callbacks import callbacks_of, inline
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Recording, function_name, without_gaps
from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]

MOST_TAPES = 8  # of one function
_MOST_SELECTIONS = 4  # of points that count, with programs of their own


class OfVectors:
    """f(x, *parameters) as a function of its free parameters, x and its held parameters."""

    def __init__(self, f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> None:
        self.f, self.free, self.held = f, free, held
        self.__name__ = function_name(f)

    def __call__(self, p: Any, x: Any, fixed: Any = ()) -> Any:
        if not self.held:
            return self.f(x, *(p[i] for i in range(len(self.free))))
        values: list[Any] = [None] * (len(self.free) + len(self.held))
        for k, i in enumerate(self.free):
            values[i] = p[k]
        for k, i in enumerate(self.held):
            values[i] = fixed[k]
        return self.f(x, *values)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, self.free, self.held)


class OfConstants:
    """The same with x and the held parameters as numbers that the function may look at."""

    def __init__(self, inner: OfVectors, x: Any, fixed: Array) -> None:
        self.inner, self.x, self.fixed = inner, x, fixed
        self.__name__ = inner.__name__

    def __call__(self, p: Any) -> Any:
        return self.inner(p, self.x.copy() if type(self.x) is np.ndarray else self.x, self.fixed)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return self.inner._watched


class Programs:
    """Of the points that count: values, derivatives column by column, and second derivatives along a direction."""

    __slots__ = ("_linear", "_second", "columns", "kept", "precise", "tape", "values")

    def __init__(self, tape: FitTape, kept: Array | None) -> None:
        trace, p, result, _ = tape.seen
        self.tape, self.kept = tape, kept
        ids = result.ravel() if kept is None else result.ravel()[kept]
        self.values = program_of(trace, ids)
        one = int(trace.scalar(1.0)[()])
        columns = []
        for k in range(p.size):
            seeds = np.full(p.size, -1, np.int32)
            seeds[k] = one
            columns.append(trace.graph.jvp(p.ravel(), seeds, ids))
        self.columns = program_of(trace, np.concatenate(columns))
        self.precise = _core.TapeDoubleDouble(trace.graph, without_gaps(trace, ids))
        self._second: Any = None
        self._linear: Array | None = None

    @property
    def linear(self) -> Array:
        """Which parameters the values are linear in, all of them together."""
        if self._linear is None:
            trace, p, result, _ = self.tape.seen
            ids = result.ravel() if self.kept is None else result.ravel()[self.kept]
            self._linear = linear_parameters(trace, p.ravel(), ids)
        return self._linear

    @property
    def second(self) -> Any:
        """With a direction as one more group of inputs."""
        if self._second is None:
            old = self.tape.seen.trace.graph
            graph = _core.TapeGraph()
            inputs = [group_of(graph, size) for size in old.n_inputs]
            result = self.tape.seen.result.ravel()
            result = inline(graph, old, inputs, result if self.kept is None else result[self.kept])
            direction = group_of(graph, len(inputs[0]))
            first = graph.jvp(inputs[0], direction, result)
            present = first >= 0
            second = np.full(first.shape, -1, np.int32)
            second[present] = graph.jvp(inputs[0], direction, first[present])
            self._second = program_of(Trace(graph), second)
        return self._second


def linear_parameters(trace: Trace, p: Ids, ids: Ids) -> Array:
    """Which parameters the values are linear in, all of them together."""
    linear = np.zeros(p.size, bool)
    seeds = np.full((p.size, p.size), -1, np.int32)
    np.fill_diagonal(seeds, int(trace.scalar(1.0)[()]))
    needs: list[set[int]] = []  # which parameters each column of the Jacobian depends on
    for k in range(p.size):
        column = trace.graph.jvp(p, seeds[k], ids)
        _, indices = trace.graph.pattern(column[column >= 0], p)
        needs.append(set(np.asarray(indices).tolist()))
        chosen = np.flatnonzero(linear).tolist()
        linear[k] = not needs[k] & {*chosen, k} and not any(k in needs[i] for i in chosen)
    return linear


def group_of(graph: _core.TapeGraph, size: int) -> Ids:
    first = graph.input(size)
    return np.arange(first, first + size, dtype=np.int32)


def program_of(trace: Trace, ids: Ids) -> Any:
    return _core.TapeProgram(trace.graph, without_gaps(trace, ids), callbacks_of(trace.graph))


class FitTape:
    """A model on a tape, for points of one shape."""

    __slots__ = ("_programs", "constants", "seen", "shape", "watch")

    def __init__(self, watch: Watch, seen: Recording, constants: tuple[Any, ...] | None) -> None:
        self.watch, self.seen = watch, seen
        self.shape: tuple[int, ...] = tuple(seen.result.shape)
        self.constants = constants  # x and held parameters, if they are numbers of the tape
        self._programs: OrderedDict[bytes | None, Programs] = OrderedDict()

    def programs(self, kept: Array | None) -> Programs:
        key = None if kept is None else kept.tobytes()
        found = self._programs.get(key)
        if found is None:
            found = self._programs[key] = Programs(self, kept)
            if len(self._programs) > _MOST_SELECTIONS:
                self._programs.popitem(last=False)
        return found


class Shelf:
    """The tapes of one function, for one choice of parameters: the last used first."""

    def __init__(self, f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> None:
        self.of_vectors = OfVectors(f, free, held)
        self.tapes: dict[Any, list[FitTape]] = {}
        self.points: dict[int, Any] = {}  # of numbers of variables of a point: a PointTape
        self.no_points: dict[int, Watch] = {}  # for which there is none
        self.refused: dict[Any, tuple[Watch, str]] = {}  # kinds of points for which there is no tape, and why

    @property
    def n_bytes(self) -> int:
        """Of the tapes and their programs, about."""
        kept = [tape for tapes in list(self.tapes.values()) for tape in list(tapes)]
        return sum(100 * int(tape.seen.trace.graph.n_values) for tape in kept)

    def find(self, kind: Any, constants: tuple[Any, ...]) -> FitTape | None:
        for tape in self.tapes.get(kind, ()):
            if (tape.constants is None or _same_constants(tape.constants, constants)) and tape.watch.holds():
                return tape
        return None

    def put(self, kind: Any, tape: FitTape) -> None:
        kept = self.tapes.setdefault(kind, [])
        kept.insert(0, tape)
        del kept[MOST_TAPES:]
        while len(self.tapes) > MOST_TAPES:
            self.tapes.pop(next(iter(self.tapes)))

    def drop(self, kind: Any, tape: FitTape) -> None:
        self.tapes[kind] = [t for t in self.tapes.get(kind, ()) if t is not tape]


def _same_constants(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return all(
        x is y
        or (type(x) is np.ndarray and type(y) is np.ndarray and x.shape == y.shape and x.tobytes() == y.tobytes())
        for x, y in zip(a, b, strict=True)
    )


# Alive as long as somebody keeps them: their users, or what is kept for them (_common/kept.py).
_functions: dict[Any, weakref.ref[types.FunctionType]] = {}


def first_of_its_kind(f: Any) -> Any:
    """The function that was here before and does just what f does: of the same code, variables and defaults.

    A lambda that is written into a loop is another object each time around.
    """
    if type(f) is not types.FunctionType or f.__kwdefaults__ or f.__dict__:
        return f
    key = _kind_of(f)
    kept = _functions.get(key)
    found = kept() if kept is not None else None
    if found is None:  # whose variables it keeps alive, so that their numbers stay theirs
        found = f

        def forget(gone: weakref.ref[types.FunctionType]) -> None:
            if _functions.get(key) is gone:
                del _functions[key]

        _functions[key] = weakref.ref(f, forget)
    elif found is not f and (found.__kwdefaults__ or found.__dict__ or _kind_of(found) != key):
        return f
    return found


def _kind_of(f: types.FunctionType) -> tuple[Any, ...]:
    key: tuple[Any, ...] = (f.__code__, id(f.__globals__))
    if f.__closure__:
        key += tuple(map(id, f.__closure__))
    if f.__defaults__:
        key += tuple((type(v), v) if type(v) in _BY_VALUE else id(v) for v in f.__defaults__)
    return key


_BY_VALUE = frozenset((int, str, bool, type(None)))
_kept_shelf = kept(Shelf)


def shelf_of(f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> Shelf:
    try:
        return _kept_shelf(f, free, held)
    except TypeError:  # not hashable
        return Shelf(f, free, held)
