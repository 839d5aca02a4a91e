"""The model of many fits: f on a tape of one point and of its parameters.

It has to give each point its number by that point alone. Whether it does is seen by one plain call of f for all points
of a data set, beside the tape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.kept import kept
from mmlfast.autodiff._callbacks import callbacks_of
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Argument, function_name, record, without_gaps
from mmlfast.optimize._fit_model import fits_shape, numbers_of
from mmlfast.optimize._fit_points import beside

Array = np.ndarray[Any, Any]

_MOST_TAPES = 4  # of one function
# The tape and the plain call differ by rounding; more than this, relative to the number or to all of them, is another
# function.
_CLOSE, _CLOSE_TO_ALL = 1e-9, 1e-12


class OfPoint:
    """f as a function of x and of its parameters one by one, those that are fitted first."""

    def __init__(self, f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...]) -> None:
        self.f, self.order = f, (*free, *held)
        self.__name__ = function_name(f)

    def __call__(self, x: Any, *parameters: Any) -> Any:
        values: list[Any] = [None] * len(self.order)
        for i, value in zip(self.order, parameters, strict=True):
            values[i] = value
        return self.f(x, *values)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, self.order)


class RowTape(NamedTuple):
    """The tape of one point: of its value, and of that and the derivatives by the parameters that are fitted."""

    watch: Watch
    values: Any
    rows: Any
    sizes: set[int]  # numbers of points with which it was compared at other parameters as well


class Rows(NamedTuple):
    """A model that was looked at: its tape, or why there is none."""

    tape: RowTape | None
    reason: str


@kept
def _kept(f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...], n_variables: int) -> list[RowTape]:
    return []


def _tapes_of(f: Callable[..., Any], free: tuple[int, ...], held: tuple[int, ...], n_variables: int) -> list[RowTape]:
    try:
        return _kept(f, free, held, n_variables)
    except TypeError:  # not hashable
        return []


def look_at(
    f: Callable[..., Any],
    free: tuple[int, ...],
    held: tuple[int, ...],
    start: Array,
    x: Array,
    n_variables: int,
    bounds: tuple[Array | None, Array | None] = (None, None),
) -> Rows:
    """The tape of f, compared with f itself for the points x of one data set.

    Parameters
    ----------
    start : ndarray
        All parameters, in the order of f.
    x : ndarray
        (n,), (n_variables, n), or (n, -n_variables). `n_variables` is 0 for the former.
    bounds : pair of ndarray, optional
        Of the parameters that are fitted; f is not called beyond them.
    """
    tapes = _tapes_of(f, free, held, n_variables)
    of_point = OfPoint(f, free, held)
    tape = next((t for t in tapes if t.watch.holds()), None)
    watch = tape.watch if tape is not None else Watch(of_point)
    could_hold = watch.holds()
    with np.errstate(all="ignore"):
        first = np.asarray(numbers_of(f, f(x.copy(), *start.tolist())), np.float64)
    n = x.shape[0 if n_variables < 0 else -1]
    fits_shape(f, first.shape, (n,))
    first = np.broadcast_to(first.reshape(first.size if first.size > 1 else ()), (n,))
    if could_hold and not watch.holds():
        return Rows(None, "f changes what it uses besides its arguments")
    order = [*free, *held]
    if tape is None:
        try:
            tape = _record(watch, of_point, n_variables, x, start[order], len(free))
        except Exception as error:  # whatever traced numbers meet in there: the plain call went well
            return Rows(None, f"f cannot be traced: {str(error) or type(error).__name__}")
    points = np.ascontiguousarray(x if n_variables < 0 else np.atleast_2d(x).T)
    if not _agree(tape, points, start[order], first):
        if tape in tapes:
            tapes.remove(tape)
            return look_at(f, free, held, start, x, n_variables, bounds)
        return Rows(None, "f does not give each point its number by that point alone")
    if tape not in tapes or n not in tape.sizes:
        other = start.copy()
        other[list(free)] = beside(start[list(free)], bounds)
        try:
            with np.errstate(all="ignore"):
                there = np.asarray(numbers_of(f, f(x.copy(), *other.tolist())), np.float64)
        except Exception:  # it is not asked for there
            pass
        else:
            there = np.broadcast_to(there.reshape(there.size if there.size > 1 else ()), (n,))
            if not _agree(tape, points, other[order], there):
                return Rows(None, "f does not give each point its number by that point alone")
        tape.sizes.add(n)
    if tape not in tapes:
        tapes.insert(0, tape)
        del tapes[_MOST_TAPES:]
    return Rows(tape, "")


def _record(watch: Watch, of_point: OfPoint, n_variables: int, x: Array, start: Array, n_free: int) -> RowTape:
    point = x[:1] if n_variables < 0 else x[..., :1]
    arguments = [Argument(point, False), *(Argument(np.array(value), True) for value in start)]
    seen = record(of_point, arguments, 0)
    if seen.result.size != 1:
        raise ValueError(f"it gives {seen.result.size} numbers for one point")
    graph = seen.trace.graph
    result = seen.result.reshape(1)
    wrt = np.array([p.reshape(-1)[0] for p in seen.parameters[:n_free]], np.int32)
    slopes = graph.vjp(result, seen.trace.scalar(1.0).reshape(1), wrt)
    outputs = without_gaps(seen.trace, np.concatenate([result, slopes]).astype(np.int32))
    return RowTape(watch, _core.TapeProgram(graph, result, callbacks_of(graph)), _core.TapeRows(graph, outputs), set())


def _agree(tape: RowTape, points: Array, start: Array, plain: Array) -> bool:
    if not plain.size:
        return True
    traced = tape.values.batch(points, *(np.array(value) for value in start)).reshape(-1)
    with np.errstate(all="ignore"):
        finite = np.isfinite(plain) & np.isfinite(traced)
        size = np.maximum(np.abs(plain), np.abs(traced))
        largest = size[finite].max(initial=0.0)
        close = np.abs(plain - traced) <= np.maximum(_CLOSE * size, _CLOSE_TO_ALL * largest)
        return bool(np.all(close | (plain == traced) | (np.isnan(plain) & np.isnan(traced)) | ~finite))
