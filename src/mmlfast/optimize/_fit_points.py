"""The tape of one point, of a model that gives each point its number by that point alone: for any number of points.

Whether a model does so is seen by tracing it for some points: each value must depend on its own x only, and all of them
in the same way. Called as it is, it has to give for all points what the tape gives, at the start of each fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._callbacks import inline
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Argument, record, without_gaps
from mmlfast.autodiff._trace import Trace
from mmlfast.optimize._fit_tape import OfVectors, group_of, linear_parameters, program_of

Array = np.ndarray[Any, Any]

_MOST = 16  # points of the trace


def as_points(x: Any, shape: tuple[int, ...]) -> Array | None:
    """x as rows of the numbers of a point, if a model that gives an array of this shape may take them one by one:
    (points,) or (points, k)."""
    if type(x) is not np.ndarray or not shape or 0 in shape:
        return None
    if x.shape == shape:
        return x.reshape(-1)
    if x.shape[1:] == shape:
        return np.ascontiguousarray(x.reshape(x.shape[0], -1).T)
    return None


def beside(p: Array, bounds: tuple[Any, Any] = (None, None)) -> Array:
    """Other parameters near by, between bounds: parts of a model that are alike at p (amplitudes that are all 1) are
    not alike there."""
    parts = 0.01 * (1 + np.modf(0.618 * np.arange(1.0, p.size + 1))[0])
    other = p + parts * np.where(p != 0, np.abs(p), 1.0)
    lower, upper = bounds
    if lower is not None and upper is not None:
        room = np.where(upper - p > p - lower, upper - p, lower - p)
        inside = (other >= lower) & (other <= upper)
        other = np.where(inside, other, p + np.where(np.isfinite(room), 0.1 * room, 0.0))
    return np.asarray(other)


class PointTape:
    """Programs of one point: its groups of inputs are x, the free parameters, and the held ones if there are any."""

    __slots__ = ("jacobian", "linear", "n_variables", "precise", "second", "sizes", "values", "watch")

    def __init__(self, watch: Watch, of_vectors: OfVectors, points: Array, p: Array, fixed: Array) -> None:
        """ValueError if the model looks at more than one point; what it raises for traced numbers comes through."""
        self.n_variables = points.shape[1] if points.ndim > 1 else 0
        self.sizes: set[int] = set()  # numbers of points with which it was compared at other parameters as well
        graph = _core.TapeGraph()
        own = group_of(graph, self.n_variables or 1)
        parameters = group_of(graph, p.size)
        held = [group_of(graph, fixed.size)] if fixed.size else []
        # With other numbers of points as well: a model may look at how many there are.
        most = min(len(points), _MOST)
        found = [
            _one_of(
                graph,
                points[np.linspace(0, len(points) - 1, n).astype(int)],
                of_vectors,
                p,
                fixed,
                own,
                parameters,
                held,
            )
            for n in {most, max(1, most * 2 // 3)}
        ]
        if len(set(found)) > 1:
            raise ValueError("it depends on how many points there are")
        value, trace = np.array(found[:1], np.int32), Trace(graph)
        self.watch = watch
        self.values = program_of(trace, value)
        seeds = np.full((p.size, p.size), -1, np.int32)
        np.fill_diagonal(seeds, int(trace.scalar(1.0)[()]))
        self.jacobian = program_of(trace, np.concatenate([graph.jvp(parameters, seed, value) for seed in seeds]))
        self.precise = _core.TapeDoubleDouble(graph, without_gaps(trace, value))
        self.linear = linear_parameters(trace, parameters, value)
        # Programs made before this know nothing of the direction, which is a new group of inputs.
        direction = group_of(graph, p.size)
        first = graph.jvp(parameters, direction, value)
        self.second = program_of(trace, graph.jvp(parameters, direction, first) if first[0] >= 0 else first)

    def at(self, program: Any, points: Array, p: Array, fixed: Array) -> Array:
        """What a program of one point gives for all: (points, outputs)."""
        rows = points if points.ndim > 1 else points.reshape(-1, 1)
        return np.asarray(program.batch(rows, *((p, fixed) if fixed.size else (p,))))

    def residuals(
        self, points: Array, fixed: Array, y: Array, weights: Array | None, whitening: Array | None
    ) -> _core.RowResiduals:
        return _core.RowResiduals(
            self.values,
            self.jacobian,
            self.second,
            self.precise,
            points,
            fixed if fixed.size else None,
            y,
            weights,
            whitening,
        )


def _one_of(
    graph: _core.TapeGraph,
    some: Array,
    of_vectors: OfVectors,
    p: Array,
    fixed: Array,
    own: Array,
    parameters: Array,
    held: list[Array],
) -> int:
    """The value of the model for one of these points, on the graph: the same for all of them."""
    n = len(some)
    arguments = [Argument(p, False), Argument(np.ascontiguousarray(some.T), False)]
    if fixed.size:
        arguments.append(Argument(fixed, False))
    seen = record(of_vectors, arguments, 0)
    if seen.result.shape != (n,):
        raise ValueError("it does not give a number for each point")
    indptr, indices = (np.asarray(a) for a in seen.trace.graph.pattern(seen.result, seen.parameters[0].ravel()))
    if not np.array_equal(indices % n, np.repeat(np.arange(n), np.diff(indptr))):
        raise ValueError("its values depend on more than one point")
    values = np.asarray(inline(graph, seen.trace.graph, [parameters, np.repeat(own, n), *held], seen.result))
    if not np.all(values == values[0]):
        raise ValueError("it does not treat all points alike")
    return int(values[0])
