"""One plain call of a function beside its trace: branches that were missed, chance, and all else that a trace does not
see show as another number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._compiled import Compiled
from mmlfast.autodiff._decisions import Decisions
from mmlfast.autodiff._errors import TracingError
from mmlfast.autodiff._recording import Argument, Recording, function_name, place_of, record, without_gaps
from mmlfast.autodiff._trace import OPS, Ids, Trace

Array = np.ndarray[Any, Any]

# Far above the rounding errors of ordinary functions. Where one is further off, its rounding errors are estimated.
_TOLERANCE = 1e-9
_RANGE = (1e-140, 1e140)


def compare_with_plain_call(
    f: Callable[..., Any],
    arguments: Sequence[Argument],
    argnum: int,
    seen: Recording,
    recorded: Callable[..., Any] | None = None,
) -> None:
    """TracingError if f, called with numbers, gives others than its trace. f gets copies of all arrays.

    recorded: what was traced, if that is not f itself.
    """
    parameters = [a.values for i, a in enumerate(arguments) if i != argnum]
    x = arguments[argnum].values
    traced = _numbers_of(seen, x, parameters)
    with np.errstate(all="ignore"):
        given = _called(f, arguments, argnum)
        if type(given) is np.float64 and not traced.ndim and abs(given - traced.item()) <= _TOLERANCE * abs(given):
            return
        plain = np.asarray(given)
        if plain.dtype == object:
            plain = plain.astype(np.float64)
        if plain.shape != traced.shape:
            raise TracingError(
                f"{function_name(f)}{place_of(f)} gives an array of shape {plain.shape} ({plain.dtype}) for numbers, "
                f"and of shape {traced.shape} when it is traced: it has to do the same with both"
            )
        plain = plain.astype(np.float64)
        good = _agree(plain, traced)
        if good.all():
            return
        # The tape has other formulas for some of f, 1 / (1 + exp(-x)) for one, which may be more exact by far.
        at_point = seen.trace.decisions is not None
        seen = record(recorded or f, arguments, argnum, as_written=True, at_point=at_point)
        traced = _values_of(seen, x, parameters)
        good = _agree(plain, traced)
        if good.all():
            return
        i = int(np.argmin(good))
        a, b = float(plain.flat[i]), float(traced.flat[i])
        error = _rounding_error(seen, i, x, parameters)
        if error == np.inf or abs(a - b) <= 1e3 * error:
            return
    where = f"[{', '.join(map(str, np.unravel_index(i, plain.shape)))}]" if plain.ndim else ""
    raise TracingError(
        f"{function_name(f)}{where}{place_of(f)} is {a!r} for numbers, and {b!r} when it is traced: it does something "
        "that a trace does not see (random numbers, a branch on the type of its argument, state that each call changes)"
    )


def _called(f: Callable[..., Any], arguments: Sequence[Argument], argnum: int) -> Any:
    try:
        return f(*(a.copy_for_a_call() for a in arguments))
    except (TypeError, IndexError):
        if all(a.came_as == "f" for i, a in enumerate(arguments) if i != argnum):
            raise
        # A count, an index or a mask, which cannot be float64.
        return f(*(a.copy_for_a_call() if i == argnum else a.copy_as_it_came() for i, a in enumerate(arguments)))


def _numbers_of(seen: Recording, x: Array, parameters: Sequence[Array]) -> Array:
    """What the tape gives, run by run: a program would take ten times as long to make as these numbers take."""
    return (seen.trace.decisions or Decisions(x, parameters)).values(seen.trace, seen.result)


def _values_of(seen: Recording, x: Array, parameters: Sequence[Array]) -> Array:
    (values,) = Compiled(seen.trace, x.shape, [seen.result]).at_point(x, parameters)
    return values


def _agree(plain: Array, traced: Array) -> Array:
    near = np.abs(plain - traced) <= _TOLERANCE * np.maximum(np.abs(plain), np.abs(traced))
    return np.asarray(near | (plain == traced) | (np.isnan(plain) & np.isnan(traced)))


def _rounding_error(seen: Recording, output: int, x: Array, parameters: Sequence[Array]) -> float:
    """To first order: how much the rounding of every number on the tape can change an output.

    Infinite where some are so large or small that NumPy's functions may leave the range of float64 in between, where
    the tape does not: np.linalg.norm squares its numbers.
    """
    graph = _core.TapeGraph()
    changes, result = _with_relative_changes(graph, seen.trace.graph, seen.result.reshape(-1)[output : output + 1])
    if changes is None:
        return np.inf
    values, n_changes = changes[0], len(changes[1])
    slopes = without_gaps(Trace(graph), graph.vjp(result, graph.constants(np.ones(1)), changes[1]))
    numbers, effects = Compiled(Trace(graph), x.shape, [values, slopes]).at_point(x, [*parameters, np.ones(n_changes)])
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    if sizes.size and (sizes.min() < _RANGE[0] or sizes.max() > _RANGE[1]):
        return np.inf
    total = float(np.sum(np.abs(effects)))
    return float(np.finfo(np.float64).eps) * total if np.isfinite(total) else 0.0


def _with_relative_changes(
    graph: _core.TapeGraph, old: _core.TapeGraph, result: Ids
) -> tuple[tuple[Ids, Ids] | None, Ids]:
    """The function again, with each number of it times a new input, which is 1: ((numbers, new inputs), result).

    None if it has functions of the user's own.
    """
    runs = old.runs(result)
    for size in old.n_inputs:
        graph.input(size)
    n_changes = sum(count for _, _, count, *_ in runs)
    first_change = graph.input(n_changes)
    changes = np.arange(first_change, first_change + n_changes, dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(old.n_inputs)])
    new = np.empty(old.n_values, np.int32)
    at, numbers = 0, []
    for op, first, count, aux, *operands in runs:
        if op == "callback":
            return None, result
        if op == "input":
            exact = np.arange(starts[aux], starts[aux] + count, dtype=np.int32)
        elif op == "constant":
            exact = graph.constants(old.values(np.arange(first, first + count, dtype=np.int32)))
        else:
            a, b, c = (None if x is None else new[x] for x in operands)
            exact = graph.emit(OPS[op], a, b, c, aux, count)
        numbers.append(exact)
        new[first : first + count] = graph.emit(OPS["multiply"], exact, changes[at : at + count])
        at += count
    return (np.concatenate(numbers), changes), new[result]
