"""Taylor series of steps that tapes call by name: special functions, and functions of the user's own.

All that is known of such a function g is its value and a formula for g', perhaps with g itself in it or with others of
its kind. The formula at u0 + t, as a power series up to t**(k - 1), gives the coefficient of t**k; what it asks for of
g and the others is known by then. Where g is of a series of t, as in g(sin(t)), its polynomial takes the place of the
step on the tape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._callbacks import callbacks_of
from mmlfast.autodiff._step import Step
from mmlfast.autodiff._trace import OPS, Ids

Array = np.ndarray[Any, Any]


class NoSeries(TypeError):
    """What a step is that has none."""


class _Point:
    """A number u0, and the coefficients of functions at it as far as they are known."""

    def __init__(self, u0: float) -> None:
        self.u0 = u0
        self._known: dict[Step, list[float]] = {}

    def coefficients(self, g: Step, order: int) -> Array:
        found = self._known.get(g)
        if found is None:
            found = self._known[g] = [float(np.asarray(g.f(np.float64(self.u0))))]
        while (k := len(found)) <= order:
            slope = self._slope(g, k - 1)
            c = slope.c[k - 1] if isinstance(slope, PowerSeries) else float(slope) * (k == 1)
            found.append(float(c) / k)
        return np.array(found[: order + 1])

    def _slope(self, g: Step, order: int) -> Any:
        if g.derivative is None:
            raise NoSeries(f"{g.name} is no function of one number each")
        c = np.zeros(order + 1)
        c[:2] = (self.u0, 1.0)[: order + 1]
        t = PowerSeries(c, self)
        try:
            return g.derivative(t)
        except NoSeries:
            raise
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise NoSeries(f"the derivative of {g.name} takes numbers only: {error}") from error


class PowerSeries(np.lib.mixins.NDArrayOperatorsMixin):
    """c[0] + c[1] t + c[2] t**2 + ..., up to some order. `point`: that of c[0], if it is c[0] + t."""

    def __init__(self, c: Array, point: _Point | None = None) -> None:
        self.c = c
        self._point = point

    def of(self, coefficients: Array) -> PowerSeries:
        """A polynomial of what is beyond c[0]."""
        rest = np.concatenate([[0.0], self.c[1:]])
        total = np.zeros_like(self.c)
        for c in coefficients[::-1]:
            total = np.convolve(total, rest)[: len(rest)]
            total[0] += c
        return PowerSeries(total)

    def through(self, g: Step) -> PowerSeries:
        order = len(self.c) - 1
        if self._point is not None:
            return PowerSeries(self._point.coefficients(g, order))
        return self.of(_Point(float(self.c[0])).coefficients(g, order))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        if ufunc in _COMPARISONS:
            return ufunc(*(x.c[0] if isinstance(x, PowerSeries) else x for x in inputs))
        if ufunc in _BY_COEFFICIENTS:
            return _BY_COEFFICIENTS[ufunc](*(self._like(x) for x in inputs))
        at = [i for i, x in enumerate(inputs) if isinstance(x, PowerSeries)]
        if len(at) > 1:
            raise NoSeries(f"{ufunc.__name__} of two series")
        from mmlfast.autodiff._special_rules import special_step  # whose steps are primitives, which know series

        name, before = ufunc.__name__, inputs[:-1]
        if at == [len(inputs) - 1] and (g := special_step(name, before)) is not None:
            return self.through(g)
        return self._by_tape(ufunc, inputs, at[0])

    def _like(self, x: Any) -> Array:
        if isinstance(x, PowerSeries):
            return x.c
        c = np.zeros_like(self.c)
        c[0] = x
        return c

    def _by_tape(self, ufunc: np.ufunc, inputs: tuple[Any, ...], at: int) -> PowerSeries:
        """A function that tapes know."""
        from mmlfast.autodiff._taylor import taylor  # which takes series from here

        f: Callable[..., Any] = ufunc
        if len(inputs) > 1:
            f = lambda t: ufunc(*inputs[:at], t, *inputs[at + 1 :])  # noqa: E731
        return self.of(taylor(f, float(self.c[0]), len(self.c) - 1))


def _product(a: Array, b: Array) -> PowerSeries:
    return PowerSeries(np.convolve(a, b)[: len(a)])


def _quotient(a: Array, b: Array) -> PowerSeries:
    found = np.zeros_like(a)
    with np.errstate(all="ignore"):
        for k in range(len(a)):
            found[k] = (a[k] - np.dot(b[1 : k + 1], found[:k][::-1])) / b[0]
    return PowerSeries(found)


_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.sign}
_BY_COEFFICIENTS: dict[np.ufunc, Callable[..., PowerSeries]] = {
    np.add: lambda a, b: PowerSeries(a + b),
    np.subtract: lambda a, b: PowerSeries(a - b),
    np.multiply: _product,
    np.divide: _quotient,
    np.negative: lambda a: PowerSeries(-a),
    np.positive: lambda a: PowerSeries(a),
    np.square: lambda a: _product(a, a),
}


# ---- tapes ----


def without_calls(graph: _core.TapeGraph, result: Ids, inputs: Array, order: int) -> tuple[_core.TapeGraph, Ids]:
    """The tape with polynomials in place of the functions that it calls, near the point `inputs` of all its inputs.

    NoSeries says of a function that is not of one number each.
    """
    point, functions = _core.TapePoint(graph, inputs), callbacks_of(graph)
    copy = _core.TapeGraph()
    for size in graph.n_inputs:
        copy.input(size)
    starts = np.concatenate([[0], np.cumsum(graph.n_inputs)])
    new = np.empty(graph.n_values, np.int32)
    for op, first, count, aux, *operands in graph.runs(result):
        own = np.arange(first, first + count, dtype=np.int32)
        a, b, c = (None if x is None else new[x] for x in operands)
        if op == "input":
            new[own] = np.arange(starts[aux], starts[aux] + count)
        elif op == "constant":
            new[own] = copy.constants(graph.values(own))
        elif op == "callback":
            at = point.values(operands[0], functions)
            new[own] = _polynomial(copy, a, at, _coefficients(functions[aux], at, count, order))
        else:
            new[own] = copy.emit(OPS[op], a, b, c, aux, count)
    return copy, new[result]


def _coefficients(callback: Any, at: Array, count: int, order: int) -> Array:
    """(order + 1, numbers)"""
    g: Step = callback.step
    if g.derivative is None or len(at) != count:
        raise NoSeries(f"{g.name} is no function of one number each")
    with np.errstate(all="ignore"):
        return np.array([_Point(float(u0)).coefficients(g, order) for u0 in at]).reshape(count, order + 1).T


def _polynomial(graph: _core.TapeGraph, u: Ids | None, at: Array, coefficients: Array) -> Ids:
    step = graph.emit(OPS["subtract"], u, graph.constants(at))
    total = graph.constants(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = graph.emit(OPS["add"], graph.emit(OPS["multiply"], total, step), graph.constants(c))
    return total
