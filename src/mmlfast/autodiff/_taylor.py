"""Taylor series: coefficients of a function along a line, and the polynomial of second order of many variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast import _core
from mmlfast.autodiff._compiled import result_is_float32
from mmlfast.autodiff._derivatives import Gradient, Hessian
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._directions import derived
from mmlfast.autodiff._elementwise import of_one_element
from mmlfast.autodiff._errors import ForeignTrace, users_line
from mmlfast.autodiff._function import Function, as_result
from mmlfast.autodiff._power_series import NoSeries, without_calls
from mmlfast.autodiff._recording import (
    Argument,
    Recording,
    as_argument,
    call_traced,
    decisions_at,
    function_name,
    outer_trace,
    without_gaps,
)
from mmlfast.autodiff._trace import Ids, Trace, trace_of
from mmlfast.autodiff._tracer import TracedArray

Array = np.ndarray[Any, Any]

_HIGHEST = 500
# Zeros that cancel, as in sin(t) / t at 0, cost coefficients at the end: computed again with so many more.
_MORE = 8
# From so many elements on it is looked whether a function does the same with each.
_MANY = 32
_PLAIN_NUMBERS = (float, np.float64)
_A_NUMBER = (Argument(np.array(0.0), True).kind,)


class _Plans:
    """The graph of a function as series, of any order."""

    __slots__ = ("_graph", "_of_one", "_plans", "_result", "shape")

    def __init__(self, graph: _core.TapeGraph, result: Ids) -> None:
        self._graph = graph
        self._result = result.ravel()
        self.shape = result.shape
        self._plans: dict[int, _core.TaylorPlan] = {}
        one = of_one_element(graph, self._result) if result.size >= _MANY else None
        self._of_one = None if one is None else _Plans(*one)

    def plan(self, order: int) -> _core.TaylorPlan:
        found = self._plans.get(order)
        if found is None:
            found = self._plans[order] = _core.TaylorPlan(self._graph, self._result, 2, order)
        return found

    def series(self, lines: Array, parameters: Sequence[Array], order: int) -> Array:
        """lines: points and their directions, (lines, numbers, 2). The result is (lines, results, order + 1)."""
        if self._of_one is not None:  # its series are small enough for the caches, and there is one for each thread
            found = self._of_one.series(lines.reshape(-1, 1, 2), parameters, order)
            return found.reshape(len(lines), -1, order + 1)
        found = self.plan(order)(lines, *parameters)
        finite = np.isfinite(found)
        if not finite.all():
            lines_again = np.flatnonzero(~finite.all(axis=(1, 2)))
            again = self.plan(2 * order + _MORE)(lines[lines_again], *parameters)
            found[lines_again] = again[..., : order + 1]
        return found

    def series_near_each(self, lines: Array, parameters: Sequence[Array], order: int) -> Array:
        """The same of a tape that calls functions; NoSeries tells which of them has no series."""
        found = np.empty((len(lines), self._result.size, order + 1))
        for line, coefficients in zip(lines, found, strict=True):
            point = np.concatenate([line[:, 0], *(np.ravel(p) for p in parameters)])
            plans = _Plans(*without_calls(self._graph, self._result, point, order))
            coefficients[...] = plans.series(line[None], parameters, order)[0]
        return found


class Series(Derived):
    """A function as its Taylor series; `along` gives the coefficients."""

    _what = "Taylor series"

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        return [seen.result], None

    def _compiled(self, seen: Recording, outputs: list[Ids]) -> _Plans:
        return _Plans(seen.trace.graph, without_gaps(seen.trace, outputs[0]))

    def plans(self, arguments: Sequence[Argument]) -> _Plans:
        plans: _Plans = self._entry(arguments, 0).compiled
        return plans

    def _has_sides(self, arguments: Sequence[Argument]) -> bool:
        return self._entry(arguments, 0).guard is not None

    def along(self, arguments: list[Argument], directions: Array, order: int, n_lead: int = 0) -> Array:
        """Coefficients, (order + 1, *lead, *shape), of f(x + t direction).

        x is the first argument, and has points in its first n_lead axes; directions has points in its first axes, and
        both are spread over each other.
        """
        x = arguments[0]
        shape = x.values.shape[n_lead:]
        if n_lead == 0 and directions.shape == shape:
            lead: tuple[int, ...] = ()
            lines = np.empty((1, x.values.size, 2))
            lines[0, :, 0] = x.values.reshape(-1)
            lines[0, :, 1] = directions.reshape(-1)
        else:
            lead = np.broadcast_shapes(x.values.shape[:n_lead], directions.shape[: directions.ndim - len(shape)])
            lines = np.empty((math.prod(lead), math.prod(shape), 2))
            for part, values in enumerate((x.values, directions)):
                lines[:, :, part] = np.broadcast_to(values, lead + shape).reshape(lines.shape[:2])
        one = x.values
        if n_lead:
            one = np.asarray(one[(0,) * n_lead]) if one.size else np.ones(shape, one.dtype)
        first = [Argument(one, x.is_number or not shape), *arguments[1:]]
        plans = self.plans(first)
        if len(lines) > 0 and lead and self._has_sides(first):
            return self._point_by_point(arguments, directions, order, lead, shape)
        parameters = [p.values for p in arguments[1:]]
        if plans.plan(0).has_callback:
            found = plans.series_near_each(lines, parameters, order)
        else:
            found = plans.series(lines, parameters, order)
        return found.transpose(2, 0, 1).reshape((order + 1, *lead, *plans.shape))

    def _point_by_point(
        self, arguments: list[Argument], directions: Array, order: int, lead: tuple[int, ...], shape: tuple[int, ...]
    ) -> Array:
        """Of a function with branches."""
        points, ways = (np.broadcast_to(v, lead + shape) for v in (arguments[0].values, directions))
        found = []
        for at in np.ndindex(lead):
            point = Argument(np.array(points[at]), arguments[0].is_number or not shape)
            found.append(self.along([point, *arguments[1:]], np.asarray(ways[at]), order))
        columns = np.stack(found, axis=1)
        return columns.reshape((order + 1, *lead, *columns.shape[2:]))

    def refuse(self, arguments: list[Argument], line: Array, order: int) -> None:
        """ValueError: where the series of f along this line does not exist."""
        plans = self.plans(arguments)
        parameters = [p.values for p in arguments[1:]]
        plan = plans.plan(2 * order + _MORE)
        failure = None if plan.has_callback else plan.find_failure(line[None], *parameters)
        x = line[:, 0].reshape(arguments[0].values.shape)
        point = f"x0 = {np.array2string(x, threshold=8)}"
        message = f"{function_name(self._f)} has no Taylor series of order {order} at {point}"
        if failure is None:
            raise ValueError(f"{message}: its coefficients are not finite")
        where, name, a, b = failure
        operands = f"{a:.17g}, {b:.17g}" if name in _OF_TWO else f"{a:.17g}"
        raise ValueError(
            f"{_line_of(self._f, arguments, where)}{message}: {name} of {operands} is not finite there, or has a kink "
            f"or no derivatives; take another point, or np.where to choose another formula"
        )


_OF_TWO = frozenset(("divide", "power", "arctan2", "logaddexp", "fmod", "multiply", "add", "subtract"))


class _GraphOfPython:
    """A graph that operators in C++ do not know as one: everything goes through `Trace.emit`."""

    def __init__(self, graph: _core.TapeGraph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


def _line_of(f: Callable[..., Any], arguments: Sequence[Argument], where: int) -> str:
    """The line of the user's code that computes value number `where` of the graph: f is recorded once more."""
    if isinstance(f, Function):
        return ""
    graph = _core.TapeGraph()
    trace = Trace(graph, decisions_at(arguments, 0))
    trace.graph = cast("_core.TapeGraph", _GraphOfPython(graph))
    emit, line = trace.emit, ""

    def watched(*args: Any, **kwargs: Any) -> Ids:
        nonlocal line
        ids = emit(*args, **kwargs)
        if not line and graph.n_values > where:
            line = users_line()
        return ids

    traced = []
    for a in arguments:
        first = graph.input(a.values.size)
        ids = np.arange(first, first + a.values.size, dtype=np.int32).reshape(a.values.shape)
        traced.append(TracedArray(trace, ids))
    trace.emit = watched
    call_traced(trace, f, traced)
    return line


def _checked_order(order: Any, least: int = 0) -> int:
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or not least <= order <= _HIGHEST:
        raise ValueError(f"order must be an integer of {least} to {_HIGHEST}, got {order!r}")
    return int(order)


def taylor(f: Callable[..., Any], x0: Any, order: int, *parameters: Any, direction: Any = None) -> Any:
    """The Taylor coefficients of a function: f(x0 + t) = c[0] + c[1] t + c[2] t**2 + ...

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`. Of one number, or of an array: then t is added to all entries of x0
        unless there is a `direction`.
    x0 : array-like
        The point. A `Function` of numbers or arrays takes many of them in the leading axes.
    order : int
        How many coefficients after the first, 0 to 500.
    *parameters : array-like
        Further arguments of f.
    direction : array-like, optional
        The coefficients of f(x0 + t direction) instead. Of the shape of x0, or many directions in the leading axes.

    Returns
    -------
    ndarray
        The order + 1 coefficients (not the derivatives, which are k! c[k]) along the first axis, followed by the
        leading axes of x0 and of the direction, and by the shape of f's result.

    Raises
    ------
    ValueError
        Where a coefficient is not finite: at poles and branch points (sqrt(t) and t**2.5 at 0), with the line of the
        function that has no series there. Zeros that cancel are no poles: sin(t) / t at 0 has the series of its
        continuation.

    Notes
    -----
    Exact but for roundoff: coefficients are computed to about 30 digits, from values of the elementary functions to 16.
    At a kink (abs, maximum, norm) the series is the average of those of both sides; what `numpy.where` did not choose
    adds nothing. The cost grows with the square of the order.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import taylor
    >>> taylor(np.exp, 0.0, 4).tolist() == [1, 1, 1 / 2, 1 / 6, 1 / 24]
    True
    >>> taylor(lambda v: v[0] * v[1] ** 2, [1.0, 2.0], 3, direction=[0.0, 1.0]).tolist()
    [4.0, 4.0, 1.0, 0.0]
    >>> taylor(np.log, [1.0, 2.0], 1).tolist()
    [[0.0, 0.6931471805599453], [1.0, 0.5]]
    """
    order = _checked_order(order)
    if direction is None and not parameters and type(x0) in _PLAIN_NUMBERS:
        found = _of_a_number(f, x0, order)
        if found is not None:
            return found
    if (outer := trace_of((x0, direction, *parameters))) is not None:
        return _inside(outer, f, x0, order, parameters, direction)
    try:
        return _of_numbers(f, x0, order, parameters, direction)
    except ForeignTrace as error:
        if (outer := outer_trace(error)) is None:
            raise
        return _inside(outer, f, x0, order, parameters, direction)


def _of_a_number(f: Callable[..., Any], x0: float, order: int) -> Array | None:
    """What `_of_numbers` gives, if f was seen at a number before and all that comes out is finite."""
    entries = derived(Series, f)._entries.get(_A_NUMBER)
    if not entries or entries[0].guard is not None or not entries[0].watch.holds():
        return None
    plans: _Plans = entries[0].compiled
    plan = plans.plan(order)
    if plan.has_callback:
        return None
    found: Array = plan(np.array([[[x0, 1.0]]]))
    if not math.isfinite(np.vdot(found, found)):
        return None
    coefficients: Array = found[0].T.reshape((order + 1, *plans.shape))
    return coefficients


def _of_numbers(f: Callable[..., Any], x0: Any, order: int, parameters: Sequence[Any], direction: Any) -> Any:
    series = derived(Series, f)
    arguments = [as_argument(x0, "x0"), *(as_argument(p, f"argument {i}") for i, p in enumerate(parameters, 1))]
    x = arguments[0]
    n_lead = max(x.values.ndim - len(f.x_shape), 0) if isinstance(f, Function) else 0
    shape = x.values.shape[n_lead:]
    along = np.ones(shape) if direction is None else as_argument(direction, "direction").values
    if along.shape[along.ndim - len(shape) :] != shape or along.ndim < len(shape):
        raise ValueError(f"direction has shape {along.shape}, x0 has shape {shape}: it has to end with that")
    try:
        found = series.along(arguments, along, order, n_lead)
    except NoSeries as error:
        raise TypeError(
            f"{function_name(f)} has a step without a Taylor series: {error}; derivative, jvp and grad take it"
        ) from None
    if not np.isfinite(found).all():
        _refuse(series, arguments, along, order, n_lead, found)
    return found.astype(np.float32) if result_is_float32(x, arguments[1:]) else found


def _refuse(series: Series, arguments: list[Argument], along: Array, order: int, n_lead: int, found: Array) -> None:
    """For the first line whose coefficients are not all finite."""
    x = arguments[0]
    shape = x.values.shape[n_lead:]
    lead = np.broadcast_shapes(x.values.shape[:n_lead], along.shape[: along.ndim - len(shape)])
    bad = np.moveaxis(~np.isfinite(found), 0, -1).reshape(math.prod(lead), -1).any(axis=1)
    at = np.unravel_index(int(np.argmax(bad)), lead)
    point, way = (np.broadcast_to(v, lead + shape)[at] for v in (x.values, along))
    one = [Argument(np.array(point), x.is_number or not shape), *arguments[1:]]
    series.refuse(one, np.stack([point.ravel(), way.ravel()], axis=-1).astype(np.float64), order)


def _inside(trace: Trace, f: Callable[..., Any], x0: Any, order: int, parameters: Sequence[Any], direction: Any) -> Any:
    """Inside of a traced function: coefficients by repeated derivatives along the direction."""
    ids = trace.ids_of(x0)
    x = trace.graph.identity(ids.ravel()).reshape(ids.shape)
    way = trace.scalar(1.0) if direction is None else trace.ids_of(direction)
    if way.ndim > x.ndim:
        raise ValueError(
            f"direction has shape {way.shape}: inside of a traced function it must be that of x0, {x.shape}"
        )
    way = np.broadcast_to(way, x.shape)
    result = call_traced(trace, f, [TracedArray(trace, x.copy()), *parameters])
    found: list[Any] = [TracedArray(trace, result)]
    for k in range(1, order + 1):
        result = without_gaps(trace, transforms.pushforward(trace, x, way, result))
        slopes: Any = TracedArray(trace, result)
        found.append(slopes / float(math.factorial(k)))
    return np.stack(found)


def derivatives_by_series(f: Callable[..., Any], points: Array, order: int) -> Array | None:
    """The derivative of some order of a function of one number at all points, or None: another way has to be taken."""
    shape = f.x_shape if isinstance(f, Function) else ()
    n_lead = points.ndim - len(shape)
    if n_lead < 0 or points.shape[n_lead:] != shape:
        return None
    try:
        found = derived(Series, f).along([Argument(points, not shape)], np.ones(shape), order, n_lead)
    except (ForeignTrace, NoSeries):
        return None
    if found.shape[1:] != points.shape:
        return None
    return np.asarray(found[order] * float(math.factorial(order)))


def overflows_at(f: Callable[..., Any], point: Any, order: int) -> bool:
    """Whether the series of a function of one number ends at something that is infinite only because it is so large."""
    argument = Argument(np.array(point, np.float64), np.ndim(point) == 0)
    plan = derived(Series, f).plans([argument]).plan(order)
    if plan.has_callback:
        return False
    failure = plan.find_failure(np.array([[[float(argument.values), 1.0]]]))
    return failure is not None and failure[1] in ("exp", "expm1", "cosh", "sinh")


class Quadratic:
    """The polynomial of second order that touches a function at a point: made by `quadratize`.

    Attributes
    ----------
    x0 : ndarray
        The point.
    value, gradient, hessian : ndarray
        The function and its first and second derivatives there.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import quadratize
    >>> q = quadratize(lambda v: np.exp(v[0]) * v[1], [0.0, 1.0])
    >>> float(q([0.1, 1.0])), q.hessian.tolist()
    (1.105, [[1.0, 1.0], [1.0, 0.0]])
    >>> round(float(q.error([0.1, 1.0])), 9)
    0.000166667
    """

    def __init__(self, f: Callable[..., Any], x0: Any, parameters: tuple[Any, ...]) -> None:
        x = as_argument(x0, "x0").values
        self._f = f
        self._parameters = parameters
        self.x0: Any = as_result(x.astype(np.float64), False)
        self.gradient: Any = derived(Gradient, f, 0)(self.x0, *parameters)
        self.hessian: Any = derived(Hessian, f, 0, False)(self.x0, *parameters)
        self.value: Any = as_result(taylor(f, self.x0, 0, *parameters, direction=np.zeros(x.shape))[0], False)

    def _differences(self, x: Any) -> tuple[Array, tuple[int, ...]]:
        values = as_argument(x, "x").values
        shape = np.shape(self.x0)
        n_lead = values.ndim - len(shape)
        if n_lead < 0 or values.shape[n_lead:] != shape:
            raise ValueError(f"x has shape {values.shape}, x0 has shape {shape}: it has to end with that")
        return np.asarray(values - self.x0), values.shape[:n_lead]

    def __call__(self, x: Any) -> Any:
        """value + gradient d + d hessian d / 2, d = x - x0, at one point or at points in the leading axes."""
        d, lead = self._differences(x)
        n = d.size // max(math.prod(lead), 1)
        flat = d.reshape(-1, n)
        g, h = np.reshape(self.gradient, n), np.reshape(self.hessian, (n, n))
        found = self.value + flat @ g + 0.5 * np.einsum("ij,ij->i", flat @ h, flat)
        return as_result(found.reshape(lead), False)

    def error(self, x: Any) -> Any:
        """The term of third order that the polynomial leaves out.

        For small steps this is the error f(x) - q(x) but for terms of fourth order.

        Parameters
        ----------
        x : array-like
            One point, or points in the leading axes.

        Returns
        -------
        ndarray
        """
        d, _ = self._differences(x)
        return as_result(taylor(self._f, self.x0, 3, *self._parameters, direction=d)[3], False)

    def __repr__(self) -> str:
        return f"<Quadratic at {self.x0}: value {self.value}, gradient {self.gradient}>"


def quadratize(f: Callable[..., Any], x0: Any, *parameters: Any) -> Quadratic:
    """The Taylor polynomial of second order of a function of many variables: value, gradient and Hessian.

    Parameters
    ----------
    f : callable
        A function that gives one number: a plain function of NumPy, or a `Function`.
    x0 : array-like
        The point.
    *parameters : array-like
        Further arguments of f.

    Returns
    -------
    Quadratic
        A function of x, with ``value``, ``gradient``, ``hessian`` and ``error(x)``, the term of third order.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import quadratize
    >>> q = quadratize(lambda v: v[0] ** 2 + 3 * v[0] * v[1], [1.0, 2.0])
    >>> q([0.0, 0.0]), q.gradient.tolist()
    (np.float64(0.0), [8.0, 3.0])
    """
    return Quadratic(f, x0, parameters)
