"""Minima under inequalities and bounds: SciPy's SLSQP or trust-constr looks for the point, in units in which variables
and gradients are about one; Newton's method on the constraints that are active there finds its last digits; and the
conditions of Karush, Kuhn and Tucker, with the signs of the multipliers, say whether it is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast.optimize._constraints import Constraint
from mmlfast.optimize._kkt import Point, Problem, first_scales, geometry, point_at
from mmlfast.optimize._sqp import IRREGULAR
from mmlfast.optimize._trust_region import Box

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# So near to a side, beside the size of x, a constraint may be active.
_NEAR = 1e-5
# Of the conditions: what is left of the gradient, and of the constraints, beside what they are made of.
_LEFT = 1e-6
_VIOLATED = 1e-9
_BEYOND = 1e10  # what the search is told where f or a constraint is not a number
_STEPS = 40
_FADED = 1e-9  # of f at the start
_NO_END = "it has no smallest value: x or f grows without end"
_BENDS_NOTHING = 1e-12
# Forces that nearly cancel, so many times as large as what they hold: of constraints whose gradients depend on each
# other where they meet.
_HUGE = 1e6


class Rows:
    """All that has two sides: the constraints, and the variables that have bounds."""

    def __init__(self, problem: Problem, constraints: list[Constraint], box: Box | None) -> None:
        self.problem, self.box = problem, box
        sides: tuple[list[Array], list[Array]] = ([], [])
        for i, (c, size) in enumerate(zip(constraints, problem.sizes, strict=True)):
            for side, into in zip((c.lower, c.upper), sides, strict=True):
                if side.size not in (1, size):
                    raise ValueError(f"constraints[{i}] gives {size} numbers, its lb and ub have {side.size}")
                into.append(np.broadcast_to(side.ravel(), (size,)))
        n = problem.n
        low, high = (box.lower, box.upper) if box is not None else (np.full(n, -np.inf), np.full(n, np.inf))
        self.bounded = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
        self.lower = np.concatenate([*sides[0], low[self.bounded]])
        self.upper = np.concatenate([*sides[1], high[self.bounded]])
        self.equal = self.lower == self.upper
        self.m = problem.m

    def into(self, x: Array) -> Array:
        return x if self.box is None else self.box.into(x)

    def values(self, p: Point) -> Array:
        return np.concatenate([p.c, p.x[self.bounded]])

    def jacobian(self, p: Point) -> Array:
        return np.concatenate([p.a, np.eye(self.problem.n)[self.bounded]])

    def hessian(self, x: Array, multipliers: Array) -> Array:
        """Of the Lagrangian; bounds are not curved."""
        return np.asarray(self.problem.hessian(x, multipliers[: self.m]))

    def violation(self, values: Array) -> Array:
        """By how much each is above (positive) or below (negative) its sides."""
        return np.asarray(np.maximum(values - self.upper, 0.0) + np.minimum(values - self.lower, 0.0))


class Look(NamedTuple):
    """A point, the rows that hold it, and how far from the conditions it is."""

    p: Point
    working: Array  # indices of the rows that are equations, or push
    side: Array  # of those, the values that they have to have
    multipliers: Array  # of all rows
    near: Array  # bool: within reach of a side
    left: float  # of the gradient, relative to what it is made of
    pull: float  # the same in the unit of f, for a step as large as x
    violated: float  # relative to the size of x
    rows: Array  # lengths of the scaled gradients of all rows
    strain: float  # the largest force of a row beside the gradient of f
    level: float  # of f, where it began or here

    @property
    def residual(self) -> float:
        """Where no row pushes, all of the gradient is left, however small it is: f tells whether it matters."""
        return min(self.left, self.pull / self.level) if self.level > 0 else self.left

    @property
    def merit(self) -> float:
        return self.residual + self.violated


class Outcome(NamedTuple):
    look: Look
    kind: str
    reason: str  # empty: it is certified
    n_iter: int
    d: Array


class _Search:
    def __init__(
        self,
        rows: Rows,
        x0: Array,
        limit: int,
        stepped: Callable[[Array, float], Any] | None,
    ) -> None:
        self.rows, self.limit, self.stepped = rows, limit, stepped
        self.start = point_at(rows.problem, rows.into(x0))
        if not self.start.is_finite:
            raise ValueError("fun, the constraints or their derivatives are not finite at x0: start elsewhere")
        self.d = first_scales(rows.problem, self.start)
        self.size = float(np.linalg.norm(self.d * self.start.x)) or 1.0
        self.level = abs(self.start.value)
        first = np.sqrt(np.sum((rows.jacobian(self.start) / self.d) ** 2, axis=1))
        self.first_lengths = first  # of the gradients of all rows, scaled
        self.n_iter = 0
        self._last: Point | None = None

    # ---- where it may be ----

    def at(self, x: Array) -> Point:
        if self._last is None or not np.array_equal(self._last.x, x):
            self._last = point_at(self.rows.problem, x.copy())
        return self._last

    def scaled(self) -> tuple[Any, ...]:
        """f with its gradient, and the constraints with theirs, of x in units of its size."""
        unit = self.size / self.d
        slope = float(np.linalg.norm(self.start.gradient * unit))
        height = slope if slope > 0 else abs(self.start.value) or 1.0
        lengths = np.sqrt(np.sum((self.start.a * unit) ** 2, axis=1))
        lengths = np.where(lengths > 0, lengths, 1.0)

        def f(z: Array) -> tuple[float, Array]:
            p = self.at(self.rows.into(z * unit))
            value = (p.value - self.start.value) / height
            gradient = p.gradient * unit / height
            return (value if np.isfinite(value) else _BEYOND), np.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)

        def c(z: Array) -> Array:
            return np.asarray(self.at(self.rows.into(z * unit)).c / lengths)

        def a(z: Array) -> Array:
            return np.nan_to_num(
                self.at(self.rows.into(z * unit)).a * unit / lengths[:, np.newaxis], posinf=0, neginf=0
            )

        def h(z: Array, multipliers: Array) -> Array:
            """Of f plus the constraints times multipliers."""
            x = self.rows.into(z * unit)
            found = self.rows.problem.hessian(x, -multipliers * height / lengths)
            return np.nan_to_num(found * unit[:, np.newaxis] * unit / height, posinf=0, neginf=0)

        m = self.rows.m
        return unit, lengths, f, c, a, h, self.rows.lower[:m] / lengths, self.rows.upper[:m] / lengths

    def bounds(self, unit: Array) -> Any:
        from scipy.optimize import Bounds

        box = self.rows.box
        return None if box is None else Bounds(box.lower / unit, box.upper / unit, keep_feasible=True)

    def by_slsqp(self, x: Array, ftol: float = 1e-14) -> Array:
        from scipy.optimize import minimize

        unit, _, f, c, a, _, low, high = self.scaled()
        equal = low == high
        below, above = np.isfinite(low) & ~equal, np.isfinite(high) & ~equal

        def bent(values: Array) -> Array:
            return np.nan_to_num(values, nan=-_BEYOND, posinf=_BEYOND, neginf=-_BEYOND)

        parts = []
        if equal.any():
            parts.append({"type": "eq", "fun": lambda z: bent(c(z)[equal] - low[equal]), "jac": lambda z: a(z)[equal]})
        if below.any() or above.any():
            parts.append(
                {
                    "type": "ineq",
                    "fun": lambda z: bent(np.concatenate([c(z)[below] - low[below], high[above] - c(z)[above]])),
                    "jac": lambda z: np.concatenate([a(z)[below], -a(z)[above]]),
                }
            )
        found = minimize(
            f,
            x / unit,
            jac=True,
            method="SLSQP",
            bounds=self.bounds(unit),
            constraints=parts,
            callback=self._callback(unit),
            options={"ftol": ftol, "maxiter": self.limit},
        )
        self.n_iter += int(found.nit)
        return self.rows.into(np.asarray(found.x) * unit)

    def by_trust_region(self, x: Array) -> Array:
        from scipy.optimize import NonlinearConstraint, minimize

        unit, _, f, c, a, h, low, high = self.scaled()
        none = np.zeros(self.rows.m)
        found = minimize(
            f,
            x / unit,
            jac=True,
            hess=lambda z: h(z, none),
            method="trust-constr",
            bounds=self.bounds(unit),
            constraints=NonlinearConstraint(c, low, high, jac=a, hess=lambda z, v: h(z, v) - h(z, none)),
            callback=self._callback(unit),
            options={"gtol": 1e-9, "xtol": 1e-11, "maxiter": min(self.limit, 400)},
        )
        self.n_iter += int(found.nit)
        return self.rows.into(np.asarray(found.x) * unit)

    def _callback(self, unit: Array) -> Any:
        if self.stepped is None:
            return None
        stepped = self.stepped

        def told(z: Array, *_: Any) -> None:
            x = self.rows.into(np.asarray(z) * unit)
            stepped(x, self.at(x).value)

        return told

    def met(self, x: Array) -> Array:
        """From x, where the constraints are violated least."""
        from mmlfast.optimize._least_squares import least_squares

        unit, lengths, _, _, a, _, _, _ = self.scaled()
        rows = self.rows
        m, both = rows.m, np.concatenate([lengths, np.ones(rows.bounded.size)])

        def by(z: Array) -> Array:
            return np.asarray((rows.violation(rows.values(self.at(rows.into(z * unit)))) / both)[:m])

        box = rows.box
        sides = (-np.inf, np.inf) if box is None else (box.lower / unit, box.upper / unit)
        inside = np.any(~rows.equal) and box is not None and np.any(box.lower >= box.upper)
        if inside or not np.isfinite(by(x / unit)).all():
            return x
        found = least_squares(by, x / unit, jac=lambda z: a(z) * (by(z) != 0)[:, np.newaxis], bounds=sides)
        return rows.into(np.asarray(found.x) * unit)

    # ---- whether it is ----

    def look(self, p: Point) -> Look:
        rows, d = self.rows, self.d
        values, a = rows.values(p), rows.jacobian(p) / d
        lengths = np.sqrt(np.sum(a**2, axis=1))
        lengths = np.where(lengths > 0, lengths, 1.0)
        size = max(float(np.linalg.norm(d * p.x)), 1e-3 * self.size)
        reach = _NEAR * size * lengths
        low, high = values <= rows.lower + reach, values >= rows.upper - reach
        near = low | high | rows.equal
        slope = p.gradient / d
        multipliers = np.zeros(len(values))
        found = _multipliers(a[near] / lengths[near, np.newaxis], slope, low[near], high[near], rows.equal[near])
        multipliers[near] = found
        pushing = rows.equal | (np.abs(multipliers) > 1e-12 * float(np.abs(multipliers).max(initial=0.0)))
        working = np.flatnonzero(pushing)
        upper = (multipliers[working] < 0) | ~np.isfinite(rows.lower[working])
        side = np.where(upper & ~rows.equal[working], rows.upper[working], rows.lower[working])
        forces = multipliers[:, np.newaxis] * (a / lengths[:, np.newaxis])
        rest = slope - forces.sum(axis=0)
        made_of = max(float(np.linalg.norm(slope)), float(np.linalg.norm(forces, axis=1).sum()))
        left = float(np.linalg.norm(rest))
        violated = float(np.abs(rows.violation(values) / lengths).max(initial=0.0)) / size
        relative = left / made_of if made_of else 0.0
        vanishing = pushing & (lengths < 1e-5 * self.first_lengths)
        strain = (
            np.inf
            if vanishing.any()
            else float(np.abs(multipliers).max(initial=0.0)) / (float(np.linalg.norm(slope)) or 1.0)
        )
        level = max(abs(p.value), self.level)
        return Look(
            p, working, side, multipliers / lengths, near, relative, left * size, violated, lengths, strain, level
        )

    def polished(self, x: Array) -> Look:
        """From x, by Newton's method on the rows that hold it, as long as that brings it nearer."""
        best = self.look(point_at(self.rows.problem, x))
        now, stale = best, 0
        for _ in range(min(_STEPS, self.limit)):
            if not now.merit or stale >= 4:
                break
            to = self._newton(now)
            if to is None:
                break
            x, p = to, point_at(self.rows.problem, to)
            for _ in range(6):
                if p.is_finite:
                    break
                x = now.p.x + 0.25 * (x - now.p.x)
                p = point_at(self.rows.problem, self.rows.into(x))
            if not p.is_finite or np.array_equal(p.x, now.p.x):
                break
            now = self.look(p)
            self.n_iter += 1
            better = now.merit < best.merit
            stale = 0 if now.merit < 0.5 * best.merit else stale + 1
            best = now if better else best
        return best

    def _newton(self, now: Look) -> Array | None:
        """Where the conditions hold, by their linear model with the working rows as equations; rows that it would
        violate join them."""
        rows, d, p = self.rows, self.d, now.p
        values, a = rows.values(p), rows.jacobian(p)
        h = rows.hessian(p.x, now.multipliers) / d[:, np.newaxis] / d
        working, side = now.working, now.side
        for _ in range(p.x.size + 1):
            w = a[working] / d / now.rows[working, np.newaxis]
            matrix = np.block([[h, -w.T], [w, np.zeros((len(working), len(working)))]])
            forces = (now.multipliers * now.rows)[working]
            right = -np.concatenate([p.gradient / d - forces @ w, (values[working] - side) / now.rows[working]])
            if not (np.isfinite(matrix).all() and np.isfinite(right).all()):
                return None
            step = np.linalg.lstsq(matrix, right, rcond=1e-12)[0][: p.x.size] / d
            after = values + a @ step
            over = np.abs(rows.violation(after)) / now.rows
            over[working] = 0.0
            i = int(np.argmax(over)) if over.size else 0
            if not over.size or over[i] <= 1e-13 * self.size:
                break
            working = np.append(working, i)
            side = np.append(side, rows.upper[i] if after[i] > rows.upper[i] else rows.lower[i])
        x = self.rows.into(p.x + step)
        held = working >= rows.m
        x[rows.bounded[working[held] - rows.m]] = side[held]  # exactly
        return x

    def is_certified(self, look: Look) -> bool:
        met = look.violated <= _VIOLATED
        return met and (look.left <= _LEFT or look.pull <= 1e-9 * look.level)

    def kind(self, look: Look) -> str:
        """By the curvatures of the Lagrangian along the rows that push, and along all that are active."""
        rows, d = self.rows, self.d
        h = rows.hessian(look.p.x, look.multipliers) / d[:, np.newaxis] / d
        zero = float(np.abs(h).max(initial=0.0))
        zero *= 256 * len(d) * _EPS if rows.problem.derivatives == "exact" else 1e-5
        # Nor is a curvature any that would not change f over the size of x: forces of rounding bend as well.
        size = max(float(np.linalg.norm(d * look.p.x)), self.size)
        zero = max(zero, _BENDS_NOTHING * max(abs(look.p.value), self.level) / size**2)
        a = rows.jacobian(look.p)
        forces = np.abs(look.multipliers * look.rows)
        strong = rows.equal | (forces > 1e-9 * max(float(forces.max(initial=0.0)), 1e-300))
        active = strong | (np.abs(rows.violation(rows.values(look.p))) > 0) | self._touching(look)
        values, vectors = _curvatures(h, a[strong], d)
        if not values.size or np.all(values > zero):
            return "minimum"
        for v in vectors.T[values < -zero]:
            slopes = (a[active & ~strong] / d) @ v
            low = self._low_side(look)[active & ~strong]
            inward = np.where(low, slopes, -slopes)
            if np.all(inward >= -1e-9) or np.all(inward <= 1e-9):
                return "saddle"
        return "degenerate"

    def has_no_end(self, look: Look) -> bool:
        """Whether f, of which next to nothing is left, is lower still twice as far from the start: exp(-x) has no
        minimum; nor has what is minus infinity."""
        p = look.p
        if not p.is_finite:
            return True
        if not 0 < p.value <= _FADED * self.level:
            return False
        further = point_at(self.rows.problem, self.rows.into(2 * p.x - self.start.x))
        if not further.is_finite or not further.value < 0.9 * p.value:
            return False
        violation = np.abs(self.rows.violation(self.rows.values(further))) / look.rows
        size = max(float(np.linalg.norm(self.d * further.x)), self.size)
        return bool(violation.max(initial=0.0) <= _VIOLATED * size)

    def _touching(self, look: Look) -> Array:
        values = self.rows.values(look.p)
        reach = 1e-9 * self.size * look.rows
        return np.asarray((values <= self.rows.lower + reach) | (values >= self.rows.upper - reach))

    def _low_side(self, look: Look) -> Array:
        values = self.rows.values(look.p)
        return np.asarray(np.abs(values - self.rows.lower) <= np.abs(values - self.rows.upper))


def _curvatures(h: Array, a: Array, d: Array) -> tuple[Array, Array]:
    """Eigenvalues and directions along the rows of a."""
    z = geometry(a, d).along if len(a) else np.eye(len(d))
    reduced = z.T @ h @ z
    values, vectors = np.linalg.eigh((reduced + reduced.T) / 2)
    return values, z @ vectors


def _multipliers(a: Array, slope: Array, low: Array, high: Array, equal: Array) -> Array:
    """Of rows a: slope is nearest to multipliers @ a, those of lower sides not negative, of upper ones not positive.
    Those of rows that push are then computed again, without what rounding has left of the others."""
    from scipy.optimize import nnls

    up, down = equal | low, equal | (high & ~low)
    columns = np.concatenate([a[up], -a[down]])
    if not len(columns) or not slope.any():
        return np.zeros(len(a))
    try:
        found = nnls(columns.T, slope, maxiter=30 * len(columns))[0]
    except RuntimeError:  # it goes round among rows that depend on each other
        found = np.maximum(np.linalg.lstsq(columns.T, slope, rcond=1e-12)[0], 0.0)
    out = np.zeros(len(a))
    out[up] += found[: int(up.sum())]
    out[down] -= found[int(up.sum()) :]
    pushing = out != 0
    if pushing.any():
        again = np.linalg.lstsq(a[pushing].T, slope, rcond=1e-12)[0]
        if np.all(equal[pushing] | (again * out[pushing] > 0)):
            out[pushing] = again
    return out


def minimum_within(
    problem: Problem,
    constraints: list[Constraint],
    box: Box | None,
    x0: Array,
    limit: int,
    stepped: Callable[[Array, float], Any] | None,
) -> tuple[Outcome, Rows]:
    """The point, certified or with the reason why not."""
    rows = Rows(problem, constraints, box)
    with np.errstate(all="ignore"):
        return _minimum_within(_Search(rows, x0, limit, stepped)), rows


def _minimum_within(search: _Search) -> Outcome:
    import warnings

    start, best = search.start.x, search.look(search.start)
    stopped: Outcome | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of searches whose ends are looked at here
        for way in _ways(search, start) if search.limit else [lambda: start]:
            look = search.polished(way())
            if search.is_certified(look):
                if search.has_no_end(look):
                    return Outcome(look, "not stationary", _NO_END, search.n_iter, search.d)
                if look.strain > _HUGE:
                    if stopped is None or look.p.value < stopped.look.p.value:
                        stopped = Outcome(look, "not stationary", IRREGULAR, search.n_iter, search.d)
                    continue
                kind = search.kind(look)
                if kind != "saddle":
                    return Outcome(look, kind, "", search.n_iter, search.d)
                stopped = Outcome(look, kind, "it has stopped at a saddle: start elsewhere", search.n_iter, search.d)
            if (look.violated, look.p.value) < (best.violated, best.p.value) or look.merit < best.merit:
                best = look
        if stopped is None:
            stopped = Outcome(best, "not stationary", _reason(search, best), search.n_iter, search.d)
    return stopped._replace(n_iter=search.n_iter)


def _ways(search: _Search, start: Array) -> list[Callable[[], Array]]:
    rng = np.random.default_rng(7)

    def beside() -> Array:
        return search.rows.into(start + 0.3 * search.size * rng.standard_normal(start.size) / search.d)

    return [
        lambda: search.by_slsqp(start, 1e-8),  # Newton's method finds the digits after the eighth much sooner
        lambda: search.by_slsqp(search.met(start)),
        lambda: search.by_slsqp(beside()),
        lambda: search.by_trust_region(start),
        *(lambda: search.by_slsqp(search.met(beside())) for _ in range(3)),
    ]


def _reason(search: _Search, best: Look) -> str:
    if not search.limit:
        return "max_iter=0 steps were not enough"
    met = search.look(point_at(search.rows.problem, search.met(best.p.x)))
    if met.violated > _VIOLATED:
        by = search.rows.violation(search.rows.values(met.p))[: search.rows.m]
        worst = int(np.argmax(np.abs(by) / met.rows[: search.rows.m]))
        owner = int(np.searchsorted(np.cumsum(search.rows.problem.sizes), worst, side="right"))
        return (
            "the constraints contradict each other, or cannot be met near here: where they are violated least, "
            f"constraints[{owner}] is off by {abs(float(by[worst])):.3g}"
        )
    size = float(np.linalg.norm(search.d * best.p.x))
    if not best.p.is_finite or size > 1e8 * search.size or best.p.value < -1e12 * (1 + search.level):
        return _NO_END
    return "the slope along the constraints is not zero where the search ended (a kink, no smallest value, or maxiter)"
