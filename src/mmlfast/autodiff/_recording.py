"""From a function and arguments to a graph: one call with traced numbers, and what can go wrong in it."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast.autodiff._decisions import Decisions
from mmlfast.autodiff._errors import (
    ForeignTrace,
    TracingError,
    function_of_scipy,
    instead_of_scipy,
    users_line,
)
from mmlfast.autodiff._trace import Ids, Trace, Traced, active_traces
from mmlfast.autodiff._tracer import TracedArray

Array = np.ndarray[Any, Any]


_NUMBERS = frozenset((float, int, bool, np.float64))


class Argument(NamedTuple):
    """An argument of a function: its numbers, whether it came as a number rather than as an array, and as what kind of
    numbers: "f", or "i" and "b" of what were integers and booleans."""

    values: Array
    is_number: bool
    came_as: str = "f"

    @property
    def kind(self) -> tuple[tuple[int, ...], str, bool, str]:
        return self.values.shape, self.values.dtype.char, self.is_number, self.came_as

    def copy_for_a_call(self) -> Any:
        """What a plain call of the function gets: float64, and never the caller's own array.

        A number is NumPy's, which divides by zero as arrays do.
        """
        return np.float64(self.values) if self.is_number else self.values.astype(np.float64)

    def copy_as_it_came(self) -> Any:
        """For functions that count or index by it."""
        if self.came_as == "f":
            return self.copy_for_a_call()
        kind = int if self.came_as == "i" else bool
        return kind(self.values) if self.is_number else self.values.astype(kind)


def as_argument(x: Any, name: str) -> Argument:
    kind = type(x)
    if kind is np.ndarray:
        return Argument(x, False) if x.dtype.char == "d" else Argument(as_float(x, name), False, _kind_of(x))
    if kind is float:
        return Argument(np.array(x, np.float64), True)
    if kind is int or kind is bool:
        return Argument(as_float(x, name), True, "i" if kind is int else "b")
    if x is None or isinstance(x, dict | str | bytes) or callable(x):
        raise TypeError(
            f"{name} must be a number or an array, got {kind.__name__}: give a function with other arguments its "
            f"values by functools.partial or a lambda"
        )
    if (kind is tuple or kind is list) and not _NUMBERS.issuperset(map(type, x)):
        _refuse_several_arrays(x, name)
    return Argument(as_float(x, name), isinstance(x, np.generic), _kind_of(x))


def _kind_of(x: Any) -> str:
    """Of what as_float has taken."""
    dtype = getattr(x, "dtype", None)
    if dtype is None and type(x) in (list, tuple):
        dtype = np.asarray(x).dtype
    kind = getattr(dtype, "kind", "f")
    return "i" if kind in "iu" else "b" if kind == "b" else "f"


def is_plain(x: Any) -> bool:
    """What _core.TracedCall takes without a look by Python."""
    if type(x) is np.ndarray:
        return x.dtype.char == "d" and x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative
    return type(x) is float or type(x) is np.float64


def _refuse_several_arrays(parts: Sequence[Any], name: str) -> None:
    if any(isinstance(part, dict | str | set) for part in parts) or len({np.shape(part) for part in parts}) > 1:
        raise TypeError(
            f"{name} is a {type(parts).__name__} of parts of several shapes: derivatives are with respect to one array "
            f"(np.concatenate them, and take them apart inside of the function)"
        )


def as_arguments(args: Sequence[Any], argnum: int) -> list[Argument]:
    return [as_argument(x, "x" if i == argnum else f"argument {i}") for i, x in enumerate(args)]


def function_name(f: Any) -> str:
    return str(getattr(f, "__name__", None) or type(f).__name__)


def place_of(f: Any) -> str:
    """Where a function begins: " (file, line n)"; nothing of what was not written in Python."""
    while isinstance(f, functools.partial):
        f = f.func
    if not isinstance(f, types.FunctionType | types.MethodType):
        f = getattr(f, "__call__", None)  # noqa: B004
    code = getattr(f, "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""


def call_traced(trace: Trace, f: Callable[..., Any], args: Sequence[Any]) -> Ids:
    """The ids of what f gives for arguments some of which are traced."""
    with trace:
        try:
            result = f(*args)
            return _ids_of_result(trace, f, result)
        except TracingError:
            raise
        except Exception as error:
            raise _explained(trace, error) from error


def _explained(trace: Trace, error: Exception) -> BaseException:
    """NumPy may hide what a traced number said, or say something of the array of objects that asarray made of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TracingError):
            return type(seen)(*seen.args) if type(seen) is TracingError else seen
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, AttributeError) and isinstance(error.obj, Traced):
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        line = users_line(at.tb_frame) if at is not None else ""
        return TracingError(f"{line}traced arrays have no .{error.name}: use a function of NumPy in its place")
    if trace.objects_line and isinstance(error, TypeError | IndexError | ValueError | AttributeError):
        if name := _scipy_in(error):
            what, instead = instead_of_scipy(name)
            return TracingError(f"{trace.objects_line}{what}: {instead}")
        return TracingError(
            f"{trace.objects_line}traced numbers were made an array of objects here (np.array, np.asarray, an index), "
            f"and then: {type(error).__name__}: {error}: use the traced array as it is, np.stack instead of np.array; "
            f"an index cannot depend on traced numbers"
        )
    return error


def _scipy_in(error: Exception) -> str:
    """The function of SciPy that an error comes from; "" if it is none of SciPy's."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return function_of_scipy(at.tb_frame) if at is not None else ""


def _ids_of_result(trace: Trace, f: Callable[..., Any], result: Any) -> Ids:
    if isinstance(result, Traced):
        return trace.ids_of(result)
    if result is None or isinstance(result, tuple | dict | set | str):
        what = "None (a return is missing?)" if result is None else f"a {type(result).__name__}"
        raise TracingError(
            f"{function_name(f)}{place_of(f)} returns {what}: return one number or array (np.stack or np.concatenate "
            f"of the parts)"
        )
    return trace.ids_of(result)


def decisions_at(arguments: Sequence[Argument], argnum: int) -> Decisions:
    return Decisions(arguments[argnum].values, [a.values for i, a in enumerate(arguments) if i != argnum])


class Recording(NamedTuple):
    """A function on a graph: the values that it is differentiated by, its result, and the other arguments."""

    trace: Trace
    x: Ids
    result: Ids
    parameters: list[Ids]


def record(
    f: Callable[..., Any],
    arguments: Sequence[Argument],
    argnum: int,
    at_point: bool = False,
    as_written: bool = False,
) -> Recording:
    """f on a new graph whose first group of inputs is argument number `argnum`, and the others in order.

    at_point: the arguments answer what f asks for. as_written: without formulas that are better than those of f.
    """
    graph = _core.TapeGraph(as_written)
    trace = Trace(graph, decisions_at(arguments, argnum) if at_point else None)
    ids: dict[int, Ids] = {}
    for i in (argnum, *(j for j in range(len(arguments)) if j != argnum)):
        shape = arguments[i].values.shape
        size = arguments[i].values.size
        first = graph.input(size)
        ids[i] = np.arange(first, first + size, dtype=np.int32).reshape(shape)
    traced = [TracedArray(trace, ids[i].copy(), i != argnum and a.came_as == "b") for i, a in enumerate(arguments)]
    result = call_traced(trace, f, traced)
    return Recording(trace, ids.pop(argnum), result, [ids[i] for i in sorted(ids)])


def outer_trace(error: ForeignTrace) -> Trace | None:
    """The outermost recording that still runs of those that met."""
    return next((trace for trace in active_traces() if trace in error.traces), None)


def without_gaps(trace: Trace, ids: Ids) -> Ids:
    """-1, a derivative that is zero whatever the numbers, as the constant 0."""
    return np.where(ids < 0, trace.scalar(0.0), ids) if ids.size and ids.min() < 0 else ids
