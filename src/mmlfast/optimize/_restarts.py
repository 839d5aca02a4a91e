"""Ways out where a search for least squares ended at no minimum, or may have ended at a higher one than need be: other
starts, found by scaling parameters and by solving for those that the residuals are linear in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MOST_SEARCHES = 3
_REWEIGHTED = 15
_NARROWER = 4.0  # by what the scale of a loss shrinks from search to search
_MOST_WIDE = 8
_ON_THE_WAY = 60  # evaluations with a loss that is wider than it should be
_MOST_WITHIN = 0.6  # of the points, that a good end fits within the scale of the loss
_NOT_AT_RIGHT_ANGLES = 1e-5
_MOST_SCALED = 3  # parameters whose scales are all tried together
_NEAR = 0.3  # starts whose parameters differ by less of each other are one


class Loss:
    """rho of the squares of residuals in units of `scale`, one of SciPy's by its name, or z -> (rho, rho', rho'')."""

    def __init__(self, rho: Any, scale: float) -> None:
        self.rho, self.scale = rho, scale

    def cost(self, residuals: Array) -> float:
        """What a search with it makes as small as it can."""
        z = (residuals / self.scale) ** 2
        rho: Array
        if callable(self.rho):
            rho = np.asarray(self.rho(z))[0]
        elif self.rho == "huber":
            rho = np.where(z <= 1, z, 2 * np.sqrt(z) - 1)
        elif self.rho == "soft_l1":
            rho = 2 * (np.sqrt(1 + z) - 1)
        else:
            rho = np.log1p(z) if self.rho == "cauchy" else np.arctan(z)
        return 0.5 * self.scale**2 * float(np.sum(rho))


class Problem:
    """Residuals (`_core.Residuals`) between bounds, and what they are linear in (None: that is found by trying)."""

    def __init__(
        self,
        model: Any,
        x0: Array,
        lower: Array | None,
        upper: Array | None,
        linear: Array | None = None,
        loss: Loss | None = None,
    ) -> None:
        n = x0.size
        self.loss = loss
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
        cost = 0.5 * float(residuals @ residuals) if self.loss is None else self.loss.cost(residuals)
        return cost if np.isfinite(cost) else float(np.inf)

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
        change: Array = np.linalg.lstsq(j / scale, -here, rcond=1e-12)[0]
        if self.loss is not None:  # the least sum of sizes, nearly, so that outliers do not count
            for _ in range(_REWEIGHTED):
                size = np.abs(here + (j / scale) @ change)
                weights = np.sqrt(1 / np.maximum(size, self.loss.scale))
                change = np.linalg.lstsq((j / scale) * weights[:, np.newaxis], -here * weights, rcond=1e-12)[0]
        out[which] += change / scale
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
    signs = (1, -1) if len(free) == 1 else (1,)
    powers = sorted({*whole, *(10 ** (k / 2) for k in range(-halves, halves + 1))})
    choices = [
        [problem.x0[i] * p * s for p in powers for s in signs]
        if problem.x0[i] != 0
        else [0.0, *(s * p for p in powers for s in (1, -1))]
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


def lower_nearby(problem: Problem, x: Array, cost: float) -> Array | None:
    """The lowest of the points where a single parameter is a little more or a little less, if one of them is lower than
    x: else it is a minimum, perhaps at a kink."""
    lowest, found = cost * (1 - 1e-12), None
    for i in range(x.size):
        size = abs(x[i]) or abs(problem.x0[i]) or 1.0
        for relative in (1e-2, 1e-4, 1e-6):
            for sign in (1.0, -1.0):
                there = x.copy()
                there[i] = np.clip(x[i] + sign * relative * size, problem.lower[i], problem.upper[i])
                if (at := problem.cost(there)) < lowest:
                    lowest, found = at, there
    return found


def are_steps_only_short(status: int, optimality: float) -> bool:
    """Whether a search ended because its steps were short, and not where residuals are orthogonal to derivatives."""
    return status == 3 and optimality > _NOT_AT_RIGHT_ANGLES


def with_new_scales(first: Any, search: Callable[[Array, int], Any], most: int) -> Any:
    """Steps may be short because of where the search came from: the scales of parameters are the largest influence that
    they have had, 1e47 for a rate at exp(100). If the end of them is no minimum, on from there as from a new start."""
    best = first
    for _ in range(_MOST_SEARCHES):
        if not (are_steps_only_short(best.status, best.optimality) and best.cost > 0):
            break
        other = search(best.x, most)
        if not (other.status >= 0 and other.cost < best.cost * (1 - 1e-6)):
            break
        best = other
    return best


def off_saddles(problem: Problem, first: Any, search: Callable[[Array, int], Any], most: int) -> tuple[Any, list[str]]:
    """Where derivatives vanish (a**2 at a = 0) a search cannot see whether it is a minimum: on from beside it.

    Returns the minimum, and what was done, in words."""
    if not (first.status > 0 and first.rank < first.x.size and first.cost > 0):
        return first, []
    aside = _lower_along(problem, first)
    if aside is None:
        aside = lower_nearby(problem, first.x, first.cost)
    if aside is None:
        return first, []
    other = search(aside, most)
    if not (other.status >= 0 and other.cost < first.cost):
        return first, []
    return other, ["derivatives vanish where the search from the start ended, and it went on beside that"]


def _lower_along(problem: Problem, minimum: Any) -> Array | None:
    """The lowest point, if it is lower than the minimum, along combinations of parameters that change nothing to first
    order: two decays that are one leave it by going apart."""
    x, n = minimum.x, minimum.x.size
    r = np.empty((n, n))
    r[:, minimum.permutation] = np.asarray(minimum.r)[:n]
    lengths = np.linalg.norm(r, axis=0)
    free = np.flatnonzero((lengths > 0) & (np.asarray(minimum.active) == 0))
    if not free.size:
        return None
    _, s, vt = np.linalg.svd(r[:, free] / lengths[free])
    lowest, found = minimum.cost * (1 - 1e-9), None
    for v in vt[np.append(s, np.zeros(len(vt) - len(s))) <= 1e-9 * s[0]]:
        direction = np.zeros(n)
        direction[free] = v / lengths[free]
        size = np.where(x != 0, np.abs(x), np.where(problem.x0 != 0, np.abs(problem.x0), 1.0))
        direction /= float(np.max(np.abs(direction) / size))
        for length in (0.5, 0.1, 0.01):
            for sign in (1.0, -1.0):
                there = np.clip(x + sign * length * direction, problem.lower, problem.upper)
                if (at := problem.cost(there)) < lowest:
                    lowest, found = at, there
    return found


def robust_minimum(
    problem: Problem, first: Any, search: Callable[[Array, int, float], Any], most: int
) -> tuple[Any, int, list[str]]:
    """The lowest end of searches with a loss: from x0; with the loss widened until no point is an outlier, and narrowed
    again; from where what is linear fits most of the points; from elsewhere if no end fits as many. A loss has
    minima of its own beside those of the squares.

    Parameters
    ----------
    first : SquaresMinimum
        Of the search from x0.
    search : callable
        search(start, most, factor) -> SquaresMinimum, with the scale of the loss times the factor.
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
    assert problem.loss is not None
    best, used, rank = first, first.n_evaluations, min(first.rank_at_start, first.x.size)
    outliers = np.abs(problem.residuals(problem.x0)) / problem.loss.scale
    widest = float(np.max(outliers, initial=0.0))
    if not widest > 1 and _is_full(first, rank):
        return first, used, []
    if np.isfinite(widest):
        x, n_wide = problem.x0, min(_MOST_WIDE, max(1, round(np.log(max(widest, 1.0)) / np.log(_NARROWER))))
        for k in range(n_wide, -1, -1):
            if used >= most:
                break
            narrowed = search(x, min(most - used, _ON_THE_WAY if k else most // 3), _NARROWER**k)
            used += narrowed.n_evaluations
            x = narrowed.x if np.isfinite(narrowed.x).all() else x
            if k == 0:
                best = _lower_of(best, narrowed, rank)
    start = problem.with_least_linear(problem.x0)
    if used < most and not np.array_equal(start, problem.x0):
        of_most = search(start, min(most - used, most // 3), 1.0)
        used += of_most.n_evaluations
        best = _lower_of(best, of_most, rank)
    if used < most and (_fits_few(problem, best) or not _is_full(best, rank)):
        for start in _best_starts(problem)[0]:
            if used < most:
                elsewhere = search(start, min(most - used, most // 3), 1.0)
                used += elsewhere.n_evaluations
                best = _lower_of(best, elsewhere, rank)
    used += problem.n_evaluations
    if best is first or not (best.cost < first.cost * (1 - 1e-9) or not _is_full(first, rank)):
        return first, used, []
    return (
        best,
        used,
        ["the loss has several minima: searches with a wider loss first were made, and the lowest counts"],
    )


def _fits_few(problem: Problem, minimum: Any) -> bool:
    assert problem.loss is not None
    return bool(np.quantile(np.abs(problem.residuals(minimum.x)), _MOST_WITHIN) > problem.loss.scale)


def _is_good(minimum: Any) -> bool:
    return minimum.status > 0 and not minimum.lost


def _is_full(minimum: Any, rank: int) -> bool:
    """Good, and not where a bell has become a spike beside which it changes nothing."""
    return _is_good(minimum) and minimum.rank >= rank


def _lower_of(one: Any, other: Any, rank: int) -> Any:
    one_is, other_is = ((_is_full(m, rank), m.rank >= rank) for m in (one, other))
    if one_is != other_is:
        return max((one_is, 0, one), (other_is, 1, other), key=lambda entry: entry[:2])[2]
    return other if other.cost < one.cost * (1 - 1e-12) else one


def other_minima(
    problem: Problem, first: Any, search: Callable[[Array, int], Any], most: int, *, always: bool = False
) -> tuple[Any, int, list[str]]:
    """The lowest of the first search's end and those of searches from other starts, if the first is no minimum, or
    always. Takes and gives what `robust_minimum` does, but for search(start, most), which has no factor."""
    used = first.n_evaluations
    if (_is_good(first) and not always) or (first.status == 0 and problem.loss is None) or first.status in (-1, -2):
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
    why = "the curve explains little" if always else "the search from the start ended at no minimum"
    return best, used, [f"{why}: {done}, {how}"]
