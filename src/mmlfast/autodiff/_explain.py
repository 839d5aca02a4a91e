"""A tape for readers: as a list of steps, as a table with numbers and derivatives, as NumPy code, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._compiled import Compiled
from mmlfast.autodiff._recording import without_gaps
from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]

_SIGNS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
    "negative": "-{}",
    "multiply_add": "{} * {} + {}",
    "select": "{1} where {0} else {2}",
    "identity": "{}",
}


class Step(NamedTuple):
    """A run of the tape: the same operation on `n` numbers."""

    name: str
    op: str
    first: int
    n: int
    aux: int
    operands: list[Ids]


class Listing:
    """The steps that a result needs, with names for their values: x, a, b ... for inputs, t1, t2 ... for the rest."""

    def __init__(self, graph: _core.TapeGraph, result: Ids, input_names: Sequence[str]) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        for op, first, count, aux, *operands in graph.runs(result.ravel()):
            number = sum(step.op not in ("input", "constant") for step in self.steps) + 1
            name = input_names[aux] if op == "input" else "" if op == "constant" else f"t{number}"
            self.steps.append(Step(name, op, first, count, aux, [x for x in operands if x is not None]))
        self._firsts = [step.first for step in self.steps]

    def pieces(self, ids: Ids) -> list[tuple[Step, Array]]:
        """The ids as (step, places in it), in order."""
        out: list[tuple[Step, Array]] = []
        of_step = np.searchsorted(self._firsts, ids, side="right") - 1
        for part in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(of_step)) + 1):
            if len(part):
                step = self.steps[int(of_step[part[0]])]
                out.append((step, ids[part] - step.first))
        return out

    def phrase(self, ids: Ids) -> str:
        """The ids in words of a reader: x[1:4], t3, 2.5."""
        if len(ids) > 1 and (ids == ids[0]).all():
            ids = ids[:1]
        if len(ids) and self.graph.is_constant(ids).all():
            values = self.graph.values(ids)
            return _number(values[0]) if len(values) == 1 else _short([_number(v) for v in values])
        parts = [_part(step, places) for step, places in self.pieces(ids)]
        return parts[0] if len(parts) == 1 else _short(parts)

    def formula(self, step: Step, i: int | None = None) -> str:
        """What a step computes; with i, what it computes of its number i."""
        operands = step.operands
        if i is not None and step.op not in ("solve", "determinant", "callback"):
            n = step.aux if step.op in ("sum", "dot", "norm") else 1
            operands = [x[i * n : (i + 1) * n] for x in operands]
        words = [self.phrase(x) for x in operands]
        if step.op == "integer_power":
            return f"{words[0]} ** {step.aux}"
        if step.op in _SIGNS:
            return _SIGNS[step.op].format(*words)
        options = f", {step.aux}" if step.op == "polygamma" else ""
        if step.op in ("sum", "dot", "norm") and i is None and step.n > 1:
            options = f", terms={step.aux}"
        return f"{step.op}({', '.join(words)}{options})"


def _number(value: float) -> str:
    whole = np.isfinite(value) and value == np.rint(value) and abs(value) < 1e6
    return repr(int(value)) if whole else repr(float(value))


def _short(parts: list[str], most: int = 6) -> str:
    return "[" + ", ".join(parts if len(parts) <= most else [*parts[: most - 1], f"... {len(parts)} in all"]) + "]"


def _part(step: Step, places: Array) -> str:
    if step.op == "constant":
        return "constants"
    if len(places) == step.n and (places == np.arange(step.n)).all():
        return step.name
    return f"{step.name}[{_index(places)}]"


def _index(places: Array) -> str:
    """As an index of NumPy: 3, 1:4, 0:9:2, [0, 0, 2]."""
    if len(places) == 1:
        return str(int(places[0]))
    steps = np.unique(np.diff(places))
    if len(steps) == 1 and steps[0] > 0:
        return f"{places[0]}:{places[-1] + 1}" + (f":{steps[0]}" if steps[0] > 1 else "")
    return str(places.tolist()) if len(places) <= 8 else f"{str(places[:6].tolist())[:-1]}, ...]"


# ---- print ----


def as_text(listing: Listing, title: str, result: Ids) -> str:
    lines = [title]
    for step in listing.steps:
        if step.op != "constant":
            count = f"[{step.n}]" if step.n > 1 else ""
            what = "input" if step.op == "input" else listing.formula(step)
            lines.append(f"    {step.name + count:<10} = {what}")
    lines.append(f"    return {listing.phrase(result.ravel())}")
    return "\n".join(lines)


# ---- a table with numbers ----


class TraceTable(NamedTuple):
    """The steps of a function at one point, one number a row.

    Read downwards it is the computation; read upwards, `derivatives` is the chain rule: how the result changes with
    each number, from the result itself (1) back to the arguments.
    """

    names: list[str]
    formulas: list[str]
    values: Array
    derivatives: Array

    def __str__(self) -> str:
        head = ("", "step", "value", "d result / d step")
        rows = [
            (name, formula, f"{value:.8g}", f"{slope:.8g}") for name, formula, value, slope in zip(*self, strict=True)
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in [head, *rows]
        ]
        return "\n".join([lines[0], "-" * (sum(widths) + 6), *lines[1:]])


def trace_table(
    listing: Listing, result: int, x_shape: tuple[int, ...], x: Array, parameters: Sequence[Array]
) -> TraceTable:
    trace = Trace(listing.graph)
    steps = [(step, i) for step in listing.steps if step.op != "constant" for i in range(step.n)]
    ids = np.array([step.first + i for step, i in steps], np.int32)
    one = trace.scalar(1.0).reshape(1)
    target = np.array([result], np.int32)
    # A sweep for each step: those of one sweep would count as independent of each other.
    firsts = [step for step in listing.steps if step.op != "constant"]
    sweeps = [listing.graph.vjp(target, one, np.arange(s.first, s.first + s.n, dtype=np.int32)) for s in firsts]
    slopes = without_gaps(trace, np.concatenate(sweeps))
    values, derivatives = Compiled(trace, x_shape, [ids, slopes]).at_point(x, parameters)
    names = [f"{step.name}[{i}]" if step.n > 1 else step.name for step, i in steps]
    formulas = ["" if step.op == "input" else listing.formula(step, i) for step, i in steps]
    return TraceTable(names, formulas, values, derivatives)
