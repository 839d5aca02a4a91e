"""Branches on data: which side a function takes is looked up at the point that it is recorded for.

`if x[0] > 0`, `while`, `max(a, b)`, `v[v > 0]`, `np.argmax(v)` and indices that are computed ask for numbers. A
derivative that is asked for at a point has them: the recording goes on along the side that is taken there, and keeps
what was asked and answered. It holds for all points where the answers are the same; elsewhere the function is recorded
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._callbacks import callbacks_of

if TYPE_CHECKING:
    from mmlfast.autodiff._recording import Recording
    from mmlfast.autodiff._trace import Ids, Trace

Array = np.ndarray[Any, Any]

# A function that asks more often would take long to be recorded, and each recording would hold for next to no point.
MOST_QUESTIONS = 10_000


class Guard(NamedTuple):
    """Whether a recording holds at a point: the numbers that were asked for, and what they were."""

    program: Any  # a Compiled
    answers: Array

    def holds(self, x: Array, parameters: Sequence[Array]) -> bool:
        found = self.program.program(x, *parameters)
        if found.tobytes() == self.answers.tobytes():  # as a rule; a tenth of the time
            return True
        return bool(self._same(found).all())

    def _same(self, found: Array) -> Array:
        return np.asarray((found == self.answers) | ((found != found) & (self.answers != self.answers)))

    def holding(self, points: Array, parameters: Sequence[Array]) -> Array:
        """At which points, in the leading axes."""
        return np.asarray(self._same(self.program.at_points(points, parameters)[0]).all(axis=-1))


def guard_of(seen: Recording) -> Guard | None:
    """None if nothing was asked for: the recording holds everywhere."""
    decisions = seen.trace.decisions
    return decisions.guard(seen.trace) if decisions is not None else None


class Decisions:
    """What a recording asks for at its point."""

    def __init__(self, x: Array, parameters: Sequence[Array]) -> None:
        self._x = x
        self._parameters = parameters
        self._point: _core.TapePoint | None = None
        self._questions: list[Ids] = []
        self._answers: list[Array] = []

    def _numbers(self, trace: Trace) -> _core.TapePoint:
        if self._point is None:
            inputs = (
                np.concatenate([np.ravel(a) for a in (self._x, *self._parameters)]) if self._parameters else self._x
            )
            self._point = _core.TapePoint(trace.graph, inputs)
        return self._point

    def values(self, trace: Trace, ids: Ids) -> Array:
        """The numbers of these ids at the point."""
        return self._numbers(trace).values(ids, callbacks_of(trace.graph)).reshape(ids.shape)

    def ask(self, trace: Trace, ids: Ids) -> Array:
        """The same, and the recording holds only where they are the same."""
        values = self.values(trace, ids)
        if ids.size and not np.all(trace.graph.is_constant(ids.ravel())):
            self._questions.append(ids.ravel())
            self._answers.append(values.ravel())
        return values

    def has_room(self) -> bool:
        return len(self._questions) < MOST_QUESTIONS

    def depends_on_x(self, trace: Trace, ids: Ids) -> bool:
        return self._numbers(trace).depends_on_x(ids)

    def guard(self, trace: Trace) -> Guard | None:
        if not self._questions:
            return None
        from mmlfast.autodiff._compiled import Compiled  # which needs recordings

        # Every operation rounded as NumPy's are, and as those were that the answers come from.
        program = Compiled(trace, self._x.shape, [np.concatenate(self._questions)], as_written=True)
        return Guard(program, np.concatenate(self._answers))
