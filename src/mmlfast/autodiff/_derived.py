"""Derivatives as functions: traced when they are called, once for each kind of argument, and again when what the
function sees has changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import is_dask
from mmlfast.autodiff._bound import Bindings, Bound, all_numbers, is_numbers
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._compiled import Compiled, as_points, result_is_float32
from mmlfast.autodiff._decisions import Guard, guard_of
from mmlfast.autodiff._errors import ForeignTrace, refuse
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._function import Function, as_result, check_argnum
from mmlfast.autodiff._lazy import lazy_batch
from mmlfast.autodiff._recording import (
    Argument,
    Recording,
    as_arguments,
    call_traced,
    function_name,
    is_plain,
    outer_trace,
    record,
    without_gaps,
)
from mmlfast.autodiff._trace import Ids, Trace, trace_of
from mmlfast.autodiff._tracer import TracedArray

Array = np.ndarray[Any, Any]

# Programs for one kind of arguments that are kept: for functions whose variables change back and forth.
_KEPT = 8
# Kinds of arguments, shapes for the most part, of which programs are kept: the oldest go first.
_KINDS = 128


class _Entry:
    """A program, and what it holds for."""

    __slots__ = ("compiled", "extra", "guard", "watch")

    def __init__(self, watch: Watch, guard: Guard | None, compiled: Any, extra: Any) -> None:
        self.watch = watch
        self.guard = guard  # at which points it holds, if not at all
        self.compiled = compiled
        self.extra = extra  # what else the derivative needs to know: a sparse pattern

    def holds(self, arguments: Sequence[Argument], argnum: int) -> bool:
        if not self.watch.holds():
            return False
        if self.guard is None:
            return True
        parameters = [a.values for i, a in enumerate(arguments) if i != argnum]
        return self.guard.holds(arguments[argnum].values, parameters)


class Derived(_core.TracedCall, ABC):
    """A function that is made of another one by differentiating it.

    Calls with plain float64 arguments of shapes that were there before go straight to a program (_core.TracedCall);
    all others come to `_call`.
    """

    _what = "derivative"
    _is_tuple = False  # whether it gives a tuple of arrays rather than one
    _has_directions = False  # whether arguments besides x are directions, which f does not see

    def __init__(self, f: Callable[..., Any], argnums: int = 0) -> None:
        if not callable(f):
            raise TypeError(f"{self._what}: f must be a function, got {type(f).__name__}")
        self._f = f
        self._argnums = check_argnum(argnums)
        self._entries: dict[Any, list[_Entry]] = {}
        self._bindings = Bindings()
        self.__name__ = f"{self._what} of {function_name(f)}"

    @property
    def n_bytes(self) -> int:
        """Of the programs, about."""
        kept = [entry.compiled for entries in list(self._entries.values()) for entry in list(entries)]
        return sum(50 * int(c.program.n_instructions) for c in kept if isinstance(c, Compiled))

    # ---- what a derivative is ----

    @abstractmethod
    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        """The arrays of ids of the derivative, and what `_finish` needs besides."""

    def _finish(self, arrays: list[Any], extra: Any, lead: tuple[int, ...]) -> Any:
        """What the caller gets; `lead` are the leading axes of a batch."""
        return tuple(arrays) if self._is_tuple else arrays[0]

    # ---- calls ----

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self._f, self._argnums, *self._options())

    def _options(self) -> tuple[Any, ...]:
        return ()

    def _call(self, *args: Any, **keywords: Any) -> Any:
        if keywords or not all_numbers(args):
            derived, numbers = self._bound(args, keywords)
            return derived(*numbers)
        if (outer := trace_of(args)) is not None:
            return self._inline(outer, args)
        argnum = self._position(args)
        arguments = as_arguments(args, argnum)
        try:
            entry = self._entry(arguments, argnum)
        except ForeignTrace as error:
            if (outer := outer_trace(error)) is None:
                raise
            return self._inline(outer, args)
        if entry.guard is None and all(map(is_plain, args)):
            shapes = [a.values.shape for a in arguments]
            self._keep_quick(entry, argnum, shapes)
        x = arguments.pop(argnum)
        arrays = entry.compiled.at_point(x.values, [p.values for p in arguments])
        float32 = result_is_float32(x, arguments)
        return self._finish([as_result(a, float32) for a in arrays], entry.extra, ())

    def _keep_quick(self, entry: _Entry, argnum: int, shapes: list[tuple[int, ...]]) -> None:
        """For the next call with arguments of these shapes."""
        if entry.extra is None:
            self._keep(entry.watch.quick, entry.compiled.program, argnum, shapes, entry.compiled.shapes, self._is_tuple)

    def _bound(self, args: Sequence[Any], keywords: dict[str, Any]) -> tuple[Derived, list[Any]]:
        """The same derivative of f with what is no number given, and the numbers."""
        argnum = self._position(args)
        if not is_numbers(args[argnum]):  # what NumPy makes an array of, or an error that says what it is
            x = as_arguments(args[argnum : argnum + 1], 0)[0].values
            args = [*args[:argnum], x, *args[argnum + 1 :]]
        key, slots, numbers = self._bindings.find(args, keywords, argnum)
        derived: Derived | None = self._bindings.get(key)
        if derived is None:
            f = Bound(self._f, slots[: len(args)], dict(zip(keywords, slots[len(args) :], strict=True)))
            derived = _restored(type(self), {**self.__dict__, "_f": f, "_argnums": slots[argnum].i, **self._fresh()})
            self._bindings.keep(key, derived, slots)
        return derived, numbers

    def _fresh(self) -> dict[str, Any]:
        """The attributes of one that has seen nothing yet."""
        return {"_entries": {}, "_bindings": Bindings()}

    def batch(self, *args: Any, **keywords: Any) -> Any:
        """The derivative at many points.

        Parameters
        ----------
        *args : array-like
            The arguments of the function. The one that derivatives are with respect to has the points in its first axis
            (for a `Function`, in all axes before those of its own argument); parameters are those of all points.
        **keywords
            Parameters by name.

        Returns
        -------
        ndarray
            The derivatives of the points, in the same leading axes. Of points in a Dask array, lazily a Dask array.
        """
        if keywords or not (any(map(is_dask, args)) or all_numbers(args)):
            derived, numbers = self._bound(args, keywords)
            return derived.batch(*numbers)
        argnum = self._position(args)
        if is_dask(args[argnum]):
            return lazy_batch(self.batch, args, argnum, self._n_lead(args[argnum]))
        if (outer := trace_of(args)) is not None:
            return self._inline_batch(outer, args, argnum)
        points = as_points(args[argnum], "x")
        n_lead = self._n_lead(points)
        lead = points.shape[:n_lead]
        given = list(args)
        given[argnum] = points[(0,) * n_lead] if 0 not in lead else np.ones(points.shape[n_lead:], points.dtype)
        arguments = as_arguments(given, argnum)
        arguments[argnum] = Argument(arguments[argnum].values, not arguments[argnum].values.ndim)
        try:
            entry = self._entry(arguments, argnum)
        except ForeignTrace as error:
            if (outer := outer_trace(error)) is None:
                raise
            return self._inline_batch(outer, args, argnum)
        if entry.guard is not None and 0 not in lead:
            return self._by_side(points, arguments, argnum, lead)
        x = arguments.pop(argnum)
        arrays = entry.compiled.at_points(points, [p.values for p in arguments])
        if result_is_float32(x, arguments):
            arrays = [a.astype(np.float32) for a in arrays]
        return self._finish(arrays, entry.extra, lead)

    def _by_side(self, points: Array, arguments: list[Argument], argnum: int, lead: tuple[int, ...]) -> Any:
        """A batch of points of a function with branches: those that take the same sides together."""
        number = not arguments[argnum].values.ndim
        rows = points.reshape(-1, *points.shape[len(lead) :])
        parameters = [a.values for i, a in enumerate(arguments) if i != argnum]
        float32 = result_is_float32(arguments[argnum], [a for i, a in enumerate(arguments) if i != argnum])
        left = np.arange(len(rows))
        answers: list[Any] = [None] * len(rows)
        while left.size:
            arguments[argnum] = Argument(np.asarray(rows[left[0]]), number)
            entry = self._entry(arguments, argnum)
            here = np.ones(len(left), bool)
            if entry.guard is not None:
                here = entry.guard.holding(rows[left], parameters)
                here[0] = True
            arrays = entry.compiled.at_points(rows[left[here]], parameters)
            for place, *parts in zip(left[here], *arrays, strict=True):
                answers[place] = self._finish([as_result(np.asarray(p), float32) for p in parts], entry.extra, ())
            left = left[~here]
        return self._side_by_side(answers, lead)

    def _side_by_side(self, answers: list[Any], lead: tuple[int, ...]) -> Any:
        if self._is_tuple:
            return tuple(self._side_by_side_arrays(list(column), lead) for column in zip(*answers, strict=True))
        return self._side_by_side_arrays(answers, lead)

    def _side_by_side_arrays(self, answers: list[Any], lead: tuple[int, ...]) -> Any:
        """One array, or a list of what are no arrays: sparse matrices."""
        if not isinstance(answers[0], np.ndarray | np.generic):
            return answers
        return np.stack(answers).reshape(lead + np.shape(answers[0]))

    def _n_lead(self, points: Any) -> int:
        """How many axes are those of the points."""
        if not isinstance(self._f, Function):
            return 1
        n_lead: int = points.ndim - len(self._f.x_shape)
        if n_lead < 0:
            raise ValueError(f"x has shape {points.shape}, it has to end with {self._f.x_shape}")
        return n_lead

    def _position(self, args: Sequence[Any]) -> int:
        if not -len(args) <= self._argnums < len(args):
            raise TypeError(f"{self.__name__}: argnums={self._argnums}, but it was called with {len(args)} arguments")
        return self._argnums % len(args)

    def _entry(self, arguments: Sequence[Argument], argnum: int) -> _Entry:
        kind = tuple(a.kind for a in arguments)
        entries = self._entries.setdefault(kind, [])
        for i, entry in enumerate(entries):
            if entry.holds(arguments, argnum):
                if i:
                    entries.insert(0, entries.pop(i))
                return entry
        watch = Watch(self._f)
        seen = record(self._f, arguments, argnum, True)
        self._check(seen)
        if not isinstance(self._f, Function):
            compare_with_plain_call(self._f, arguments, argnum, seen)
        outputs, extra = self._transform(seen)
        entry = _Entry(watch, guard_of(seen), self._compiled(seen, outputs), extra)
        entries.insert(0, entry)
        del entries[_KEPT:]
        while len(self._entries) > _KINDS:
            self._entries.pop(next(iter(self._entries)), None)
        return entry

    def _compiled(self, seen: Recording, outputs: list[Ids]) -> Any:
        return Compiled(seen.trace, seen.x.shape, outputs)

    def _check(self, seen: Recording) -> None:  # most exist for all functions
        """An error if this derivative does not exist for such a function."""

    def _inline(self, trace: Trace, args: Sequence[Any]) -> Any:
        """Inside of a traced function: on the same graph."""
        outputs, extra = self._inlined(trace, args)
        return self._finish([TracedArray(trace, ids) for ids in outputs], extra, ())

    def _inlined(self, trace: Trace, args: Sequence[Any]) -> tuple[list[Ids], Any]:
        """By new numbers for the same values, so that nothing else is differentiated by."""
        argnum = self._position(args)
        ids = trace.ids_of(args[argnum])
        x = trace.graph.identity(ids.ravel()).reshape(ids.shape)
        given = list(args)
        given[argnum] = TracedArray(trace, x.copy())
        result = call_traced(trace, self._f, given)
        others = [trace.ids_of(p) for i, p in enumerate(args) if i != argnum] if self._has_directions else []
        seen = Recording(trace, x, result, others)
        self._check(seen)
        outputs, extra = self._transform(seen)
        return [without_gaps(trace, ids) for ids in outputs], extra

    def _inline_batch(self, trace: Trace, args: Sequence[Any], argnum: int) -> Any:
        """Inside of a traced function: point by point."""
        ids = trace.ids_of(args[argnum])
        lead = ids.shape[: self._n_lead(ids)]
        points = ids.reshape((-1, *ids.shape[len(lead) :]))
        if not len(points):
            refuse("batch of no points inside of a traced function", "leave such calls out")
        given = [[TracedArray(trace, p.copy()) if i == argnum else x for i, x in enumerate(args)] for p in points]
        answers = [self._inlined(trace, one) for one in given]
        columns = [np.stack(column) for column in zip(*(arrays for arrays, _ in answers), strict=True)]
        arrays = [TracedArray(trace, x.reshape(lead + x.shape[1:])) for x in columns]
        return self._finish(arrays, answers[0][1], lead)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), {**self.__dict__, **self._fresh()})

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


def _restored(cls: type[Derived], attributes: dict[str, Any]) -> Derived:
    """A copy, which has traced nothing yet."""
    again = cls.__new__(cls)
    again.__dict__.update(attributes)
    return again
