"""The model of a fit: f(x, *parameters) on a tape of its free parameters, or called as it is.

f is called once with numbers before anything else: what it raises or returns is seen as it is, and a tape has to give
the same. Where there is no tape, it is called, and its derivatives are differences with steps of their own for each
parameter, never beyond a bound.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import types
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._primitive import CALLBACKS
from mmlfast.autodiff._recording import Argument, Recording, function_name, place_of, record, without_gaps
from mmlfast.autodiff._trace import Ids, Trace
from mmlfast.optimize._differences import Differences
from mmlfast.optimize._fit_data import take_points

Array = np.ndarray[Any, Any]

EXACT, GIVEN, DIFFERENCES = "exact", "given", "finite differences"

_MOST_TAPES = 8  # of one function
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
        self.values = _program(trace, ids)
        one = int(trace.scalar(1.0)[()])
        columns = []
        for k in range(p.size):
            seeds = np.full(p.size, -1, np.int32)
            seeds[k] = one
            columns.append(trace.graph.jvp(p.ravel(), seeds, ids))
        self.columns = _program(trace, np.concatenate(columns))
        self.precise = _core.TapeDoubleDouble(trace.graph, without_gaps(trace, ids))
        self._second: Any = None
        self._linear: Array | None = None

    @property
    def linear(self) -> Array:
        """Which parameters the values are linear in, all of them together."""
        if self._linear is None:
            trace, p, result, _ = self.tape.seen
            ids = result.ravel() if self.kept is None else result.ravel()[self.kept]
            self._linear = np.zeros(p.size, bool)
            seeds = np.full((p.size, p.size), -1, np.int32)
            np.fill_diagonal(seeds, int(trace.scalar(1.0)[()]))
            needs = []  # which parameters each column of the Jacobian depends on
            for k in range(p.size):
                column = trace.graph.jvp(p.ravel(), seeds[k], ids)
                _, indices = trace.graph.pattern(column[column >= 0], p.ravel())
                needs.append(set(np.asarray(indices).tolist()))
                chosen = np.flatnonzero(self._linear).tolist()
                self._linear[k] = not needs[k] & {*chosen, k} and not any(k in needs[i] for i in chosen)
        return self._linear

    @property
    def second(self) -> Any:
        """With a direction as one more group of inputs."""
        if self._second is None:
            old = self.tape.seen.trace.graph
            graph = _core.TapeGraph()
            inputs = [_group(graph, size) for size in old.n_inputs]
            result = self.tape.seen.result.ravel()
            result = graph.inline(old, inputs, result if self.kept is None else result[self.kept])
            direction = _group(graph, len(inputs[0]))
            first = graph.jvp(inputs[0], direction, result)
            present = first >= 0
            second = np.full(first.shape, -1, np.int32)
            second[present] = graph.jvp(inputs[0], direction, first[present])
            self._second = _program(Trace(graph), second)
        return self._second


def _group(graph: _core.TapeGraph, size: int) -> Ids:
    first = graph.input(size)
    return np.arange(first, first + size, dtype=np.int32)


def _program(trace: Trace, ids: Ids) -> Any:
    return _core.TapeProgram(trace.graph, without_gaps(trace, ids), tuple(CALLBACKS))


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
        self.refused: dict[Any, tuple[Watch, str]] = {}  # kinds of points for which there is no tape, and why

    def find(self, kind: Any, constants: tuple[Any, ...]) -> FitTape | None:
        for tape in self.tapes.get(kind, ()):
            if (tape.constants is None or _same_constants(tape.constants, constants)) and tape.watch.holds():
                return tape
        return None

    def put(self, kind: Any, tape: FitTape) -> None:
        kept = self.tapes.setdefault(kind, [])
        kept.insert(0, tape)
        del kept[_MOST_TAPES:]
        while len(self.tapes) > _MOST_TAPES:
            self.tapes.pop(next(iter(self.tapes)))

    def drop(self, kind: Any, tape: FitTape) -> None:
        self.tapes[kind] = [t for t in self.tapes.get(kind, ()) if t is not tape]


def _same_constants(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return all(
        x is y
        or (type(x) is np.ndarray and type(y) is np.ndarray and x.shape == y.shape and x.tobytes() == y.tobytes())
        for x, y in zip(a, b, strict=True)
    )


_functions: OrderedDict[Any, types.FunctionType] = OrderedDict()
_MOST_FUNCTIONS = 256


def first_of_its_kind(f: Any) -> Any:
    """The function that was here before and does just what f does: of the same code, variables and defaults.

    A lambda that is written into a loop is another object each time around.
    """
    if type(f) is not types.FunctionType or f.__kwdefaults__ or f.__dict__:
        return f
    key = _kind_of(f)
    found = _functions.get(key)
    if found is None:  # whose variables it keeps alive, so that their numbers stay theirs
        found = _functions[key] = f
        if len(_functions) > _MOST_FUNCTIONS:
            with contextlib.suppress(KeyError):  # another thread was faster
                _functions.popitem(last=False)
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
_kept_shelf = functools.lru_cache(maxsize=128)(Shelf)


def shelf_of(f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> Shelf:
    try:
        return _kept_shelf(f, free, held)
    except TypeError:  # not hashable
        return Shelf(f, free, held)


class FitModel:
    """The model at the points x.

    Attributes
    ----------
    first : ndarray
        What f gave for the start, called as it is.
    tape : FitTape or None
    reason : str
        Why there is no tape.
    n_calls : int
        How many times f was called as it is.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        free: tuple[int, ...],
        start: Array,
        held: tuple[int, ...],
        x: Any,
        x_for_calls: Any,
    ) -> None:
        self.f, self.x, self.x_for_calls = f, x, x_for_calls
        self.shelf = shelf_of(f, free, held)
        self.fixed = np.ascontiguousarray(start[list(held)]) if held else np.empty(0)
        self.p0 = np.ascontiguousarray(start[list(free)]) if held else np.array(start)
        self.n_calls = 0
        self.reason = ""
        self.tape: FitTape | None = None
        self._last: tuple[bytes, Array] | None = None
        x_is_array = type(x) is np.ndarray
        kind = (x.shape if x_is_array else None, len(start))
        constants = (x, self.fixed)
        tape = self.shelf.find(kind, constants)
        known, why = self.shelf.refused.get(kind, (None, ""))
        if known is not None and not known.holds():
            known = None
        watch = tape.watch if tape is not None else known or Watch(self.shelf.of_vectors)
        could_hold = watch.holds()
        self.first, dtype = self._called(self.p0)
        self.returns_integers = dtype.kind in "biu"
        self.is_single = dtype.itemsize < 8 and dtype.kind == "f"
        if could_hold and not watch.holds():
            self.reason = "it changes what it uses besides its arguments"
            return
        if tape is not None and not self._agrees(tape):
            self.shelf.drop(kind, tape)
            tape = None
        if tape is None and known is not None:
            self.reason = why
            return
        if tape is None:
            tape = self._traced(watch, x_is_array, constants)
            if tape is not None:
                self.shelf.put(kind, tape)
            elif could_hold:
                self.shelf.refused[kind] = watch, self.reason
                while len(self.shelf.refused) > _MOST_TAPES:
                    self.shelf.refused.pop(next(iter(self.shelf.refused)))
        self.tape = tape

    # ---- f as it is ----

    def _called(self, p: Array) -> tuple[Array, np.dtype[Any]]:
        """What f gives, as float64 in an array of its own, and what it was."""
        self.n_calls += 1
        x = self.x_for_calls
        with np.errstate(all="ignore"):
            result = self.shelf.of_vectors(p, x.copy() if type(x) is np.ndarray else x, self.fixed)
        values = numbers_of(self.f, result)
        as_float64 = np.array(values, np.float64)
        self._last = (p.tobytes(), as_float64)
        return as_float64, values.dtype

    def called(self, p: Array) -> Array:
        """The numbers of f in a row; of the same parameters again without another call.

        NumPy's warnings are the caller's to turn off.
        """
        key = p.tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1].ravel()
        if self.fixed.size or type(self.x_for_calls) is not np.ndarray:
            values = self._called(p)[0]
        else:
            self.n_calls += 1
            values = self.f(self.x_for_calls.copy(), *p)
            if type(values) is not np.ndarray or values.dtype.char != "d":
                values = np.asarray(numbers_of(self.f, values), np.float64)
            self._last = key, values
        if values.shape != self.first.shape:
            raise ValueError(
                f"{function_name(self.f)}{place_of(self.f)} gave an array of shape {self.first.shape} for p0, and "
                f"of shape {values.shape} for other parameters: it must always be the same"
            )
        return values.ravel()

    # ---- the tape ----

    def _arguments(self, as_constants: bool) -> list[Argument]:
        arguments = [Argument(self.p0, False)]
        if not as_constants:
            arguments.append(Argument(self.x, False))
            if self.fixed.size:
                arguments.append(Argument(self.fixed, False))
        return arguments

    def _traced(self, watch: Watch, x_is_array: bool, constants: tuple[Any, ...]) -> FitTape | None:
        """With x as an input of the tape; if f looks at the numbers of x, with x as constants."""
        reasons = []
        for as_constants in (False, True) if x_is_array else (True,):
            function: Callable[..., Any] = self.shelf.of_vectors
            plain: Callable[..., Any] = function
            if as_constants:
                function = OfConstants(self.shelf.of_vectors, self.x, self.fixed)
                plain = OfConstants(self.shelf.of_vectors, self.x_for_calls, self.fixed)
            elif self.x_for_calls is not self.x:  # a Series for calls
                plain = functools.partial(_with_own_x, self.shelf.of_vectors, self.x_for_calls)
            arguments = self._arguments(as_constants)
            try:
                seen = record(function, arguments, 0)
                tape = FitTape(watch, seen, constants if as_constants else None)
                if not (self.is_single and self._agrees(tape)):  # which a tape, in float64, agrees with in few digits
                    compare_with_plain_call(plain, arguments, 0, seen)
                    self.n_calls += 1
            except Exception as error:  # whatever traced numbers meet in there: the plain call went well
                reasons.append(str(error) or type(error).__name__)
                continue
            if as_constants:
                tape.constants = tuple(c.copy() if type(c) is np.ndarray else c for c in constants)
            return tape
        self.reason = reasons[-1]
        return None

    def _agrees(self, tape: FitTape) -> bool:
        """To the last digits with the plain call; what is further off is traced anew and looked at again."""
        if tape.shape != self.first.shape:
            return False
        traced = tape.programs(None).values(self.p0, *self.inputs(tape))
        plain = self.first.ravel()
        with np.errstate(all="ignore"):
            sizes = np.maximum(np.abs(traced), np.abs(plain))
            close = np.abs(traced - plain) <= (1e-5 * np.max(sizes, initial=0.0) if self.is_single else 1e-12 * sizes)
            return bool(close.all() or np.all(close | (traced == plain) | (np.isnan(traced) & np.isnan(plain))))

    def inputs(self, tape: FitTape) -> tuple[Array, ...]:
        """The numbers that programs take after the parameters."""
        if tape.constants is not None:
            return ()
        return (self.x.reshape(-1), self.fixed) if self.fixed.size else (self.x.reshape(-1),)

    @property
    def inputs_are_data(self) -> bool:
        """Whether x is an input of the tape, and not numbers in it."""
        return self.tape is not None and self.tape.constants is None

    @property
    def derivatives(self) -> str:
        return EXACT if self.tape is not None else DIFFERENCES

    # ---- values and derivatives of the points that count ----

    def values_of(self, rows: Array | None) -> Callable[[Array], Array]:
        """The numbers of f, called as it is, at the points that count."""
        return self.called if rows is None else lambda p: self.called(p)[rows]

    def jacobian(self, rows: Array | None, bounds: tuple[Array | None, Array | None] = (None, None)) -> Array:
        """At the start: (points that count, free parameters)."""
        if self.tape is not None:
            columns = self.tape.programs(rows).columns(self.p0, *self.inputs(self.tape))
            return np.asarray(columns.reshape(self.p0.size, -1).T)
        if self.is_single:
            return self.coarse_jacobian(rows, bounds)(self.p0)
        values = self.values_of(rows)
        lower = -np.inf if bounds[0] is None else bounds[0]
        upper = np.inf if bounds[1] is None else bounds[1]
        return Differences(values, lower, upper).jacobian(self.p0, values(self.p0))

    def coarse_jacobian(
        self, rows: Array | None, bounds: tuple[Array | None, Array | None]
    ) -> Callable[[Array], Array]:
        """Of an f that gives float32: differences as wide as its few digits need."""
        values = self.values_of(rows)

        def derivative(p: Array) -> Array:
            columns = []
            for k in range(len(p)):
                step = (abs(p[k]) or float(np.max(np.abs(p))) or 1.0) * 2.0**-8
                ends = []
                for sign in (1.0, -1.0):
                    there = p.copy()
                    there[k] += sign * step
                    if bounds[0] is not None and bounds[1] is not None:
                        there[k] = min(max(there[k], bounds[0][k]), bounds[1][k])
                    ends.append((there[k], values(there)))
                columns.append((ends[0][1] - ends[1][1]) / (ends[0][0] - ends[1][0]))
            return np.stack(columns, axis=-1)

        return derivative

    def why(self) -> str:
        """A sentence for messages; nothing if derivatives are exact."""
        if self.tape is not None:
            return ""
        return f"derivatives are finite differences, because f cannot be traced: {self.reason.rstrip('.')}"


def _with_own_x(of_vectors: OfVectors, own: Any, p: Any, x: Any, *fixed: Any) -> Any:
    return of_vectors(p, own, *fixed)


def numbers_of(f: Callable[..., Any], result: Any) -> Array:
    if type(result) is np.ndarray and result.dtype.char == "d":
        return result
    where = f"f, {function_name(f)}{place_of(f)},"
    if result is None:
        raise TypeError(f"{where} returns None: is a return missing?")
    try:
        values = np.asarray(result)
        if values.dtype.kind == "c":
            raise TypeError("complex numbers: .real or abs makes them real")
        if values.dtype.kind not in "biuf":
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where} must return a number for each point, got {type(result).__name__}: {error}") from None
    return values


def fits_shape(f: Callable[..., Any], shape: tuple[int, ...], y_shape: tuple[int, ...]) -> bool:
    """Whether the model gives one number for all points; ValueError if its shape is not that of y."""
    if shape == y_shape or _without_ones(shape) == _without_ones(y_shape):
        return False
    if not _without_ones(shape):
        return True
    raise ValueError(
        f"{function_name(f)}{place_of(f)} gives an array of shape {shape}, and ydata has shape {y_shape}: they must be "
        "equal"
    )


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


class Curve:
    """The model of a fit at other points."""

    def __init__(self, f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> None:
        self.f, self.free, self.held = f, free, held

    def values(self, x: Any, params: Array) -> Array:
        _, x = take_points(x)
        with np.errstate(all="ignore"):
            return np.asarray(numbers_of(self.f, self.f(x, *params)), np.float64)

    def values_and_slopes(self, x: Any, params: Array) -> tuple[Array, Array]:
        """What f gives, and (size of it, number of free parameters) derivatives."""
        model = FitModel(self.f, self.free, params, self.held, *take_points(x))
        return model.first, model.jacobian(None)

    def __getstate__(self) -> dict[str, Any]:
        """Without a function that cannot be pickled, as a lambda."""
        state = dict(self.__dict__)
        try:
            pickle.dumps(self.f)
        except Exception:  # whatever it is that pickle does not like
            state["f"] = _NotPickled(function_name(self.f))
        return state


class _NotPickled:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.name} could not be pickled with its fit: predictions need a function of a module")
