"""The model of a fit: f(x, *parameters) on a tape of its free parameters, or called as it is.

f is called once with numbers before anything else: what it raises or returns is seen as it is, and a tape has to give
the same. Where there is no tape, it is called, and its derivatives are differences with steps of their own for each
parameter, never beyond a bound.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Argument, function_name, place_of, record
from mmlfast.optimize._differences import Differences
from mmlfast.optimize._fit_data import take_points
from mmlfast.optimize._fit_points import PointTape, as_points, beside
from mmlfast.optimize._fit_tape import MOST_TAPES, FitTape, OfConstants, OfVectors, shelf_of

Array = np.ndarray[Any, Any]
ndarray = np.ndarray  # found faster

_MOST_POINTS = 20_000  # of a tape of all points: some microseconds each
EXACT, GIVEN, DIFFERENCES = "exact", "given", "finite differences"


class FitModel:
    """The model at the points x.

    Attributes
    ----------
    first : ndarray
        What f gave for the start, called as it is.
    tape : FitTape or None
    reason : str
        Why there is no tape.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        free: tuple[int, ...],
        start: Array,
        held: tuple[int, ...],
        x: Any,
        x_for_calls: Any,
        bounds: tuple[Array | None, Array | None] = (None, None),
    ) -> None:
        self._bounds = bounds
        self.f, self.x, self.x_for_calls = f, x, x_for_calls
        self.shelf = shelf_of(f, free, held)
        self.fixed = np.ascontiguousarray(start[list(held)]) if held else np.empty(0)
        self.p0 = np.ascontiguousarray(start[list(free)]) if held else np.array(start)
        self.reason = ""
        self.tape: FitTape | None = None
        self.point_tape: PointTape | None = None
        self.points: Array | None = None  # x for it
        self._last: tuple[bytes, Array] | None = None
        self._own_x: Array | None = None
        self._is_plain = not held and type(x_for_calls) is ndarray
        x_is_array = type(x) is np.ndarray
        kind = (x.shape if x_is_array else None, len(start))
        constants = (x, self.fixed)
        of_points = self._known_points(x_is_array and x_for_calls is x)
        tape = None if of_points is not None else self.shelf.find(kind, constants)
        known, why = self.shelf.refused.get(kind, (None, ""))
        if known is not None and not known.holds():
            known = None
        found = of_points or tape
        watch = found.watch if found is not None else known or Watch(self.shelf.of_vectors)
        could_hold = watch.holds()
        self.first, dtype = self._called(self.p0)
        self.returns_integers = dtype.kind in "biu"
        self.is_single = dtype.itemsize < 8 and dtype.kind == "f"
        if could_hold and not watch.holds():
            self.reason = "it changes what it uses besides its arguments"
            return
        if of_points is not None and self._points_agree(of_points):
            return
        if tape is not None and not self._agrees(tape):
            self.shelf.drop(kind, tape)
            tape = None
        if tape is None and known is not None:
            self.reason = why
            return
        if tape is None and of_points is None and self._traced_by_points(watch):
            return
        if tape is None:
            tape = self._traced(watch, x_is_array, constants)
            if tape is not None:
                self.shelf.put(kind, tape)
            elif could_hold:
                self.shelf.refused[kind] = watch, self.reason
                while len(self.shelf.refused) > MOST_TAPES:
                    self.shelf.refused.pop(next(iter(self.shelf.refused)))
        self.tape = tape

    # ---- f as it is ----

    def _called(self, p: Array) -> tuple[Array, np.dtype[Any]]:
        """What f gives, as float64 in an array of its own, and what it was."""
        x = self.x_for_calls
        own = x.copy() if type(x) is ndarray else x
        with np.errstate(all="ignore"):
            result = self.shelf.of_vectors(p, own, self.fixed)
        if self._is_plain and self._own_x is None and own.tobytes() == x.tobytes():
            self._own_x = own  # into which f has not written; where it does later, it gets copies
            own.flags.writeable = False
        values = numbers_of(self.f, result)
        as_float64 = np.array(values, np.float64)
        self._last = (p.tobytes(), as_float64)
        return as_float64, values.dtype

    def called(self, p: Array) -> Array:
        """The numbers of f in a row; of the same parameters again without another call.

        NumPy's warnings are the caller's to turn off.
        """
        key = p.tobytes()
        last = self._last
        if last is not None and last[0] == key:
            return last[1].ravel()
        if self._is_plain:
            values = self.f(self.x_for_calls.copy(), *p)
            numbers: Array = np.asarray(numbers_of(self.f, values), np.float64)
            self._last = key, numbers
        else:
            numbers = self._called(p)[0]
        if numbers.shape != self.first.shape:
            raise ValueError(
                f"{function_name(self.f)}{place_of(self.f)} gave an array of shape {self.first.shape} for p0, and "
                f"of shape {numbers.shape} for other parameters: it must always be the same"
            )
        return numbers.ravel()

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
        if self.first.size > _MOST_POINTS:
            self.reason = f"{self.first.size} points, which it does not treat alike, are too many for a tape"
            return None
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
                    compare_with_plain_call(plain, arguments, 0, seen, function)
            except Exception as error:  # whatever traced numbers meet in there: the plain call went well
                reasons.append(str(error) or type(error).__name__)
                continue
            if as_constants:
                tape.constants = tuple(c.copy() if type(c) is np.ndarray else c for c in constants)
            return tape
        self.reason = reasons[-1]
        return None

    def _known_points(self, is_plain: bool) -> PointTape | None:
        """A tape of one point that an earlier fit has made, if all that f sees is what it was."""
        if not is_plain:
            return None
        for n_variables in {0, self.x.shape[0] if self.x.ndim > 1 else 0}:
            found: PointTape | None = self.shelf.points.get(n_variables)
            if found is not None and found.watch.holds():
                return found
        return None

    def _points_agree(self, found: PointTape) -> bool:
        points = as_points(self.x, self.first.shape)
        if points is None or found.n_variables != (points.shape[1] if points.ndim > 1 else 0):
            return False
        if not self._is_close(found.at(found.values, points, self.p0, self.fixed)[:, 0]):
            return False
        if len(points) not in found.sizes:
            if not self._agrees_beside(found, points):
                return False
            found.sizes.add(len(points))
        self.point_tape, self.points = found, points
        return True

    def _agrees_beside(self, found: PointTape, points: Array) -> bool:
        """At parameters where parts of the model that are alike at p0 are not: data sets one after the other, each with
        its own amplitude, are the first one's if all amplitudes start at 1."""
        last, other = self._last, beside(self.p0, self._bounds)
        try:
            plain = self._called(other)[0].ravel()
        except Exception:  # it is not asked for there
            return True
        finally:
            self._last = last
        traced = found.at(found.values, points, other, self.fixed)[:, 0]
        return plain.shape == traced.shape and self._is_close(traced, plain)

    def _traced_by_points(self, watch: Watch) -> bool:
        points = as_points(self.x, self.first.shape) if self.x_for_calls is self.x else None
        if points is None:
            return False
        n_variables = points.shape[1] if points.ndim > 1 else 0
        refused = self.shelf.no_points.get(n_variables)
        if refused is not None and refused.holds():
            return False
        try:
            found = PointTape(watch, self.shelf.of_vectors, points, self.p0, self.fixed)
        except Exception:  # whatever traced numbers meet in there: the plain call went well
            self.shelf.no_points[n_variables] = watch
            return False
        if not self._points_agree(found):
            self.shelf.no_points[n_variables] = watch
            return False
        self.shelf.points[n_variables] = found
        return True

    def _agrees(self, tape: FitTape) -> bool:
        if tape.shape != self.first.shape:
            return False
        return self._is_close(tape.programs(None).values(self.p0, *self.inputs(tape)))

    def _is_close(self, traced: Array, plain: Array | None = None) -> bool:
        """To the last digits to the plain call; what is further off is traced anew and looked at again."""
        plain = self.first.ravel() if plain is None else plain
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
        return self.point_tape is not None or (self.tape is not None and self.tape.constants is None)

    @property
    def is_traced(self) -> bool:
        return self.point_tape is not None or self.tape is not None

    def is_linear(self, rows: Array | None) -> bool:
        """In all of its parameters together, as far as is known."""
        linear = self.linear(rows)
        return linear is not None and bool(linear.all())

    def linear(self, rows: Array | None) -> Array | None:
        """Which parameters the values are linear in, all of them together, if it is known."""
        if self.point_tape is not None:
            return self.point_tape.linear
        return None if self.tape is None else self.tape.programs(rows).linear

    @property
    def derivatives(self) -> str:
        return EXACT if self.is_traced else DIFFERENCES

    # ---- values and derivatives of the points that count ----

    def values_of(self, rows: Array | None) -> Callable[[Array], Array]:
        """The numbers of f, called as it is, at the points that count."""
        if rows is not None:
            return lambda p: self.called(p)[rows]
        return self.called

    def direct(self, rows: Array | None) -> tuple[Any, Any]:
        """f itself and x for it, if all there is to do is f(x, *p); x cannot be written to."""
        if rows is not None or self._own_x is None or self.first.ndim != 1:
            return None, None
        return self.f, self._own_x

    def called_again(self, rows: Array | None) -> Array:
        """At the start, by another call."""
        self._last = None
        values = self.called(self.p0)
        return values if rows is None else values[rows]

    def jacobian(self, rows: Array | None, bounds: tuple[Array | None, Array | None] = (None, None)) -> Array:
        """At the start: (points that count, free parameters)."""
        if self.point_tape is not None and self.points is not None:
            points = self.points if rows is None else self.points[rows]
            return self.point_tape.at(self.point_tape.jacobian, points, self.p0, self.fixed)
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
        if self.is_traced:
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
