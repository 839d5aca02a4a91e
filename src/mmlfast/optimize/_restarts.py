"""Ways out where a search for least squares ended at no minimum: other starts, found by scaling parameters and by
solving for those that the residuals are linear in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MOST_SEARCHES = 3
_MOST_SCALED = 3  # parameters whose scales are all tried together
_NEAR = 0.3  # starts whose parameters differ by less of each other are one


class Problem:
    """Residuals (`_core.Residuals`) between bounds, and what they are linear in (None: that is found by trying)."""

    def __init__(
        self, model: Any, x0: Array, lower: Array | None, upper: Array | None, linear: Array | None = None
    ) -> None:
        n = x0.size
        self.model, self.x0 = model, x0
        self.lower = np.full(n, -np.inf) if lower is None else lower
        self.upper = np.full(n, np.inf) if upper is None else upper
        self._linear = linear
        self.n_evaluations = 0

    @property
    def linear(self) -> Array:
        if self._linear is None:
            self._linear = _found_linear(self)
        return self._linear

    def residuals(self, x: Array) -> Array:
        self.n_evaluations += 1
        return np.asarray(self.model.residuals(x))

    def cost(self, x: Array) -> float:
        residuals = self.residuals(x)
        cost = 0.5 * float(residuals @ residuals)
        return cost if np.isfinite(cost) else np.inf

    def step(self, x: Array, i: int) -> float:
        """A wide one, to the side where there is room."""
        size = abs(x[i]) or abs(self.x0[i]) or 1.0
        return size if x[i] + size <= self.upper[i] else -size if x[i] - size >= self.lower[i] else 0.0

    def with_least_linear(self, x: Array) -> Array:
        """x with those parameters that the residuals are linear in where the cost is least."""
        if not self.linear.any():
            return x
        here = self.residuals(x)
        columns, which = [], []
        for i in np.flatnonzero(self.linear).tolist():
            if step := self.step(x, i):
                there = x.copy()
                there[i] += step
                columns.append((self.residuals(there) - here) / step)
                which.append(i)
        j = np.stack(columns, axis=1) if columns else np.empty((here.size, 0))
        if not (np.isfinite(j).all() and np.isfinite(here).all()):
            return x
        lengths = np.linalg.norm(j, axis=0)
        scale = np.where(lengths > 0, lengths, 1.0)
        out = x.copy()
        out[which] += np.linalg.lstsq(j / scale, -here, rcond=1e-12)[0] / scale
        return np.clip(out, self.lower, self.upper)


def _found_linear(problem: Problem) -> Array:
    """Parameters whose second differences vanish, one by one and in pairs, in two places, and whose first do not."""
    n = problem.x0.size
    linear = np.ones(n, bool)
    for factor in (1.0, 0.3):
        x = np.clip(problem.x0 * factor, problem.lower, problem.upper)
        here = problem.residuals(x)
        steps = [problem.step(x, i) for i in range(n)]

        def moved(*which: int, x: Array = x, steps: list[float] = steps) -> Array:
            there = x.copy()
            for i in which:
                there[i] += steps[i]
            return problem.residuals(there)

        ones = [moved(i) for i in range(n)]
        rounding = 1e-12 * max(float(np.max(np.abs(r), initial=0.0)) for r in (here, *ones))
        for i in range(n):
            if not (steps[i] and linear[i] and np.max(np.abs(ones[i] - here), initial=0.0) > rounding):
                linear[i] = False
                continue
            for k in (i, *np.flatnonzero(linear[:i]).tolist()):
                other = moved(i, k)
                if not np.all(np.abs(other - ones[i] - ones[k] + here) <= rounding):
                    linear[i] = False
                    break
    return linear


def _scaled(problem: Problem) -> Iterator[Array]:
    """Starts whose parameters are those of x0 times powers of ten, on both sides of zero where x0 has a zero."""
    n = problem.x0.size
    free = np.flatnonzero(~problem.linear)
    decades = {1: 6, 2: 4}.get(len(free), 2)
    halves = {1: 12, 2: 4}.get(len(free), 0)
    whole = [10.0**k for k in range(-decades, decades + 1)]
    powers = sorted({*whole, *(10 ** (k / 2) for k in range(-halves, halves + 1))})
    choices = [
        [problem.x0[i] * p for p in powers] if problem.x0[i] != 0 else [0.0, *(s * p for p in powers for s in (1, -1))]
        for i in range(n)
    ]
    if len(free) <= _MOST_SCALED:
        for values in itertools.product(*(choices[i] for i in free)):
            x = problem.x0.copy()
            x[free] = values
            yield x
        return
    for p in powers:
        yield problem.x0 * p
    for i in free:
        for value in choices[i]:
            x = problem.x0.copy()
            x[i] = value
            yield x


def _decades(problem: Problem, x: Array) -> float:
    """How far away x is from the start, of what is not linear."""
    both = ~problem.linear & (x != 0) & (problem.x0 != 0)
    return float(np.sum(np.abs(np.log10(np.abs(x[both] / problem.x0[both])))))


def _best_starts(problem: Problem) -> tuple[list[Array], int]:
    """The lowest few that differ, and how many were looked at."""
    found = []
    for k, far in enumerate(_scaled(problem)):
        x = problem.with_least_linear(np.clip(far, problem.lower, problem.upper))
        # What is far away has to be much lower: a sine of a thousand times the frequency may be just as low.
        found.append((problem.cost(x) * (1 + _decades(problem, far)) ** 2, k, x))
    starts: list[Array] = []
    for cost, _, x in sorted(found, key=lambda entry: entry[:2]):
        near = any(np.all(np.abs(x - other) <= _NEAR * np.maximum(np.abs(x), np.abs(other))) for other in starts)
        if cost < np.inf and not near:
            starts.append(x)
        if len(starts) == _MOST_SEARCHES:
            break
    return starts, len(found)


def is_lowest_nearby(problem: Problem, x: Array, cost: float) -> bool:
    """Whether no single parameter, a little more or a little less, lowers the cost: a minimum at a kink."""
    for i in range(x.size):
        size = abs(x[i]) or abs(problem.x0[i]) or 1.0
        for relative in (1e-2, 1e-4, 1e-6):
            for sign in (1.0, -1.0):
                there = x.copy()
                there[i] = np.clip(x[i] + sign * relative * size, problem.lower[i], problem.upper[i])
                if problem.cost(there) < cost * (1 - 1e-12):
                    return False
    return True


def other_minima(
    problem: Problem, first: Any, search: Callable[[Array, int], Any], most: int
) -> tuple[Any, int, list[str]]:
    """The lowest of the first search's end and those of searches from other starts, if the first is no minimum.

    Parameters
    ----------
    first : SquaresMinimum
    search : callable
        search(start, most) -> SquaresMinimum.
    most : int
        The most evaluations of all searches.

    Returns
    -------
    minimum : SquaresMinimum
    n_evaluations : int
        Of all searches.
    words : list of str
        What was done.
    """
    used = first.n_evaluations
    if not (first.status == -3 or first.lost):
        return first, used, []
    starts, count = _best_starts(problem)
    used += problem.n_evaluations
    best, n_searches = first, 0
    for start in starts:
        if used >= most:
            break
        other = search(start, most - used)
        n_searches += 1
        used += other.n_evaluations
        is_minimum = other.status > 0 and other.rank >= min(first.rank_at_start, first.x.size)
        if is_minimum and other.cost < best.cost * (1 - 1e-6):
            best = other
    eliminated = ", solving for those that the residuals are linear in" if problem.linear.any() else ""
    done = f"{count} other starts were looked at{eliminated}, and {n_searches} searches made"
    how = "but none led lower" if best is first else "of which this is the lowest end"
    return best, used, [f"the search from the start ended at no minimum: {done}, {how}"]
