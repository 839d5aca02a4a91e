"""Functions on tapes, as solvers use them: programs for values and derivatives, made when they are first asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast import _core
from mmlfast.autodiff._callbacks import inline
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._compiled import Compiled
from mmlfast.autodiff._decisions import Guard, guard_of
from mmlfast.autodiff._errors import TracingError
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Argument, Recording, record, without_gaps
from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]

# A dense Hessian of more variables has more entries than a tape should compute one by one.
_MOST_COLUMNS = 40
# Ways through a function with branches that are kept: the loop of an iteration takes one step more or less.
_MOST_SIDES = 32


class Recorded:
    """A function on a tape; programs for it and its derivatives are made when they are first asked for."""

    has_sides = False  # whether the tape depends on where the function is

    def __init__(self, watch: Watch, seen: Recording) -> None:
        self.watch = watch
        self.seen = seen
        self.shape: tuple[int, ...] = tuple(seen.result.shape)
        self._made: dict[str, Compiled] = {}
        self._pattern: tuple[Array, Array] | None = None
        self._dense: bool | None = None
        self._product: Compiled | None = None
        self._lock = threading.Lock()

    @property
    def n_bytes(self) -> int:
        """Of the tape and its programs, about."""
        return 100 * int(self.seen.trace.graph.n_values)

    def compiled(self, what: str) -> Compiled:
        """The program that gives: "value", "gradient", "value, gradient", "value, gradient, hessian", "hessian",
        "sparse hessian" (its entries, in the order of `pattern`), "value, jacobian", "jacobian" of all x; "value,
        slope" and "value, slope, curvature" of a function that gives a number for a number, or an array entry by
        entry; of one that gives a number for an array, by its first entry."""
        found = self._made.get(what)
        if found is None:
            with self._lock:
                found = self._made.get(what)
                if found is None:
                    found = Compiled(self.seen.trace, self.seen.x.shape, self._outputs(what))
                    self._made[what] = found
        return found

    @property
    def pattern(self) -> tuple[Array, Array]:
        """Of the sparse Hessian: indptr and indices of a csr_array."""
        self.compiled("sparse hessian")
        assert self._pattern is not None
        return self._pattern

    @functools.cached_property
    def calls_python(self) -> bool:
        """Whether Python has a part in each evaluation: a function of the user's own (autodiff.primitive), branches."""
        return any(op == "callback" for op, *_ in self.seen.trace.graph.runs(self.seen.result.ravel()))

    @property
    def is_dense(self) -> bool:
        """Whether the Hessian has too many entries for a tape of them: it is then computed column by column."""
        if self._dense is None:
            self._dense = False
            n = self.seen.x.size
            if n > _MOST_COLUMNS:
                trace, x, result, _ = self.seen
                with self._lock:
                    slopes = transforms.gradient(trace, x.ravel(), result.reshape(()))
                    indices = trace.graph.pattern(slopes[slopes >= 0], x.ravel())[1]
                self._dense = bool(len(indices) > 0.2 * n * n)
        return self._dense

    def hessian_by_columns(self, x: Array, parameters: Sequence[Array]) -> Array:
        """By products with unit vectors, all at once, on a tape of its own whose points are x and a direction."""
        n = x.size
        if self._product is None:
            graph = _core.TapeGraph()
            groups = []
            for k, size in enumerate(self.seen.trace.graph.n_inputs):
                first = graph.input(size if k else 2 * n)
                groups.append(np.arange(first, first + size, dtype=np.int32))
            trace = Trace(graph)
            result = inline(graph, self.seen.trace.graph, groups, self.seen.result.ravel())
            slopes = without_gaps(trace, transforms.gradient(trace, groups[0], result.reshape(())))
            column = transforms.pushforward(trace, groups[0], groups[0] + np.int32(n), slopes)
            self._product = Compiled(trace, (2 * n,), [without_gaps(trace, column)])
        points = np.concatenate([np.broadcast_to(x.ravel(), (n, n)), np.eye(n)], axis=1)
        h = self._product.at_points(points, parameters)[0]
        return np.asarray((h + h.T) / 2)

    def jacobian_pattern(self) -> tuple[Array, Array]:
        """indptr and indices of the entries of the Jacobian that are not zero for every x."""
        trace, x, result, _ = self.seen
        with self._lock:
            indptr, indices = trace.graph.pattern(result.ravel(), x.ravel())
        return np.asarray(indptr), np.asarray(indices)

    def _outputs(self, what: str) -> list[Ids]:
        trace, x, result, _ = self.seen
        if "gradient" in what or "hessian" in what:
            result = result.reshape(())  # one number, perhaps in an array
        found: list[Ids] = []
        slope = result
        for part in what.split(", "):
            if part == "value":
                found.append(result)
            elif part == "gradient":
                found.append(transforms.gradient(trace, x, result))
            elif part == "hessian":
                found.append(transforms.hessian(trace, x, result).dense())
            elif part == "sparse hessian":
                entries = transforms.hessian(trace, x, result)
                self._pattern = entries.indptr, entries.indices
                found.append(entries.ids)
            elif part == "jacobian":
                found.append(transforms.jacobian(trace, x, result).dense().reshape(result.shape + x.shape))
            else:  # slope, then curvature
                tangent = np.broadcast_to(trace.scalar(1.0), x.shape).copy()
                if x.size > result.size:
                    tangent[1:] = -1
                slope = without_gaps(trace, transforms.pushforward(trace, x, tangent, slope))
                found.append(slope)
        return found


class SideLost(TracingError):
    """Where a function with branches has come to, it cannot be traced."""


class Sides(Recorded):
    """A function with branches on its data: a tape for each way through it that was met.

    Each holds at the points where all that the function asked for is answered alike; elsewhere it is traced anew.
    """

    has_sides = True
    calls_python = True
    is_dense = False

    def __init__(
        self, watch: Watch, seen: Recording, guard: Guard, f: Callable[..., Any], arguments: list[Argument]
    ) -> None:
        super().__init__(watch, seen)
        self._f, self._arguments = f, arguments
        self._sides: list[tuple[Guard | None, Recorded]] = [(guard, Recorded(watch, seen))]

    @property
    def n_bytes(self) -> int:
        return sum(2 * side.n_bytes for _, side in list(self._sides))

    def side(self, x: Array, parameters: Sequence[Array]) -> Recorded:
        """The tape that holds at x."""
        for i, (guard, recorded) in enumerate(list(self._sides)):
            if guard is None or guard.holds(x, parameters):
                if i:
                    self._sides.insert(0, self._sides.pop(i))
                return recorded
        values = [np.array(x, np.float64), *parameters]
        arguments = [Argument(v, a.is_number) for v, a in zip(values, self._arguments, strict=True)]
        try:
            seen = record(self._f, arguments, 0, at_point=True)
            compare_with_plain_call(self._f, arguments, 0, seen)
        except Exception as error:  # whatever traced numbers meet in there
            raise SideLost(str(error) or type(error).__name__) from error
        if seen.result.shape != self.shape:
            raise SideLost(f"it gives an array of shape {self.shape} for x0, and {seen.result.shape} for another x")
        self._sides.insert(0, (guard_of(seen), Recorded(self.watch, seen)))
        del self._sides[_MOST_SIDES:]
        return self._sides[0][1]

    def compiled(self, what: str) -> OfSides:  # type: ignore[override]
        return OfSides(self, what)


class OfSides:
    """What `Recorded.compiled` gives, by the tape that holds at each point."""

    def __init__(self, sides: Sides, what: str) -> None:
        self._sides, self._what = sides, what

    def at_point(self, x: Any, parameters: Sequence[Array]) -> list[Array]:
        return self._sides.side(x, parameters).compiled(self._what).at_point(x, parameters)

    def at_points(self, x: Array, parameters: Sequence[Array]) -> list[Array]:
        return [np.stack(column) for column in zip(*(self.at_point(p, parameters) for p in x), strict=True)]
